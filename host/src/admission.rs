//! Admission: what a file must be before anything in it runs, whatever its world.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::component;

use crate::bindings::exports::floe::telemetry::describe::Info;
use crate::cache;
use crate::engine::engine;
use crate::error::Problem;
use crate::platform;

/// Version of the contract that this host speaks; its minor version is the one that counts before 1.0.
const CONTRACT: &str = "0.1.0";
/// Largest component in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How long whoever replaces a component's file may take, and how long is waited before it is read again.
const REPLACEMENT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

/// A compiled component, of which nothing has run.
pub(crate) struct Admitted {
    pub(crate) component: component::Component,
    /// SHA-256 of the file in hexadecimal digits.
    pub(crate) digest: String,
}

/// A component from a file, by what makes one of its bytes. A file that is being replaced is read again.
pub(crate) fn from_file<T>(
    path: &Path,
    help: &str,
    make: impl Fn(&[u8]) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let started = Instant::now();
    loop {
        match read(path, help).and_then(|bytes| make(&bytes)) {
            Err(_) if started.elapsed() < REPLACEMENT && is_new(path) => thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Whether a file was written a moment ago, or is gone from a directory that was: whoever replaces it may not be done.
fn is_new(path: &Path) -> bool {
    let about = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            path.parent().and_then(|parent| fs::metadata(parent).ok())
        }
        about => about.ok(),
    };
    let modified = about.and_then(|about| about.modified().ok());
    // A moment to come is of a clock that was set back.
    modified.is_some_and(|modified| modified.elapsed().map_or(true, |age| age < REPLACEMENT))
}

/// The bytes of a component's file, which did not change meanwhile.
fn read(path: &Path, help: &str) -> Result<Vec<u8>, Problem> {
    let unreadable = |reason: String| {
        Problem::new(
            "FLOE-C001",
            format!("the component {} cannot be read: {reason}", path.display()),
            help,
        )
    };
    let io = |error: std::io::Error| unreadable(error.to_string());
    // A pipe or a device might never end.
    let before = fs::metadata(path).map_err(io)?;
    if !before.is_file() {
        return Err(unreadable("it is not a file".to_owned()));
    }
    if before.len() > LARGEST {
        return Err(unreadable(format!("it is larger than {LARGEST} bytes")));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .map_err(io)?;
    let after = fs::metadata(path).map_err(io)?;
    let same = |about: &Metadata| (platform::identity(about), about.len(), about.modified().ok());
    if same(&before) != same(&after) || before.len() != bytes.len() as u64 {
        return Err(unreadable("it changed while it was read".to_owned()));
    }
    Ok(bytes)
}

/// Checks and compiles a component.
pub(crate) fn admit(bytes: &[u8], help: &str) -> Result<Admitted, Problem> {
    match bytes.get(..8) {
        // Component Model binary format: version 0x0d, layer 1.
        Some(b"\0asm\x0d\0\x01\0") => {}
        Some(b"\0asm\x01\0\0\0") => {
            return Err(Problem::new(
                "FLOE-C003",
                "this is a core WebAssembly module, not a component",
                help,
            ));
        }
        _ => {
            return Err(Problem::new(
                "FLOE-C002",
                "this is not a WebAssembly component",
                help,
            ));
        }
    }
    let digest = hex(&Sha256::digest(bytes));
    let component = cache::compiled(engine()?, bytes, &digest).map_err(|error| {
        Problem::new(
            "FLOE-C002",
            format!("the component is truncated or broken: {}", first_line(&error)),
            help,
        )
    })?;
    Ok(Admitted { component, digest })
}

/// Refuses a component that asks for more than its host gives.
pub(crate) fn imports(
    admitted: &Admitted,
    given: impl Fn(&str) -> bool,
    what: &str,
    help: &str,
) -> Result<(), Problem> {
    match admitted
        .component
        .component_type()
        .imports(engine()?)
        .find(|(import, _)| !given(import))
    {
        Some((import, _)) => Err(Problem::new(
            "FLOE-C004",
            format!("the component asks for {import}, and {what}"),
            help,
        )),
        None => Ok(()),
    }
}

/// The refusal of a component that does not have a world's exports, or not of their types.
pub(crate) fn other_world(world: &str, error: &wasmtime::Error, help: &str) -> Problem {
    Problem::new(
        "FLOE-C004",
        format!(
            "the component is not of the world `{world}`: {}",
            first_line(error)
        ),
        help,
    )
}

/// Refuses a component that was built against another minor version of the contract.
pub(crate) fn contract(info: &Info) -> Result<(), Problem> {
    if minor(&info.contract) == minor(CONTRACT) {
        return Ok(());
    }
    Err(Problem::new(
        "FLOE-C005",
        format!(
            "the component speaks contract {}, this host {CONTRACT}",
            info.contract
        ),
        "use a component of the host's minor version",
    ))
}

/// What a WebAssembly error says, on one line and without where in the component it was.
pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    error
        .chain()
        .filter_map(|cause| cause.to_string().lines().next().map(str::to_owned))
        .filter(|line| !line.starts_with("error while executing at wasm backtrace"))
        .collect::<Vec<_>>()
        .join(": ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn minor(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}
