//! The manifest's file, bounded before anything parses it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::error::Problem;

/// Largest manifest in bytes. Real ones have a few thousand.
const LARGEST: u64 = 1024 * 1024;

/// Reads a manifest's text.
pub fn read(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Problem::new(
            "FLOE-H004",
            format!("{shown} is a directory"),
            "name the manifest file in it",
        ));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let help = match error.kind() {
                ErrorKind::NotFound => "name a file that exists, or create it",
                _ => "make the file readable for this user",
            };
            Problem::new(
                "FLOE-H001",
                format!("the manifest {shown} cannot be read: {error}"),
                help,
            )
        })?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::new(
            "FLOE-H003",
            format!("the manifest {shown} is larger than {LARGEST} bytes"),
            "check that it is a floe manifest",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        Problem::new(
            "FLOE-H002",
            format!(
                "the manifest {shown} is not UTF-8 (byte {})",
                error.utf8_error().valid_up_to()
            ),
            "save it as UTF-8",
        )
    })
}
