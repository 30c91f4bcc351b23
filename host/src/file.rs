//! Files that the plan names: read within bounds, and again when they change, since credentials in files are rotated.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use secrecy::zeroize::Zeroizing;

use crate::error::Problem;
use crate::platform;
use crate::warning;

/// What is made from files, made anew when one of them changes.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    files: Vec<PathBuf>,
    current: Mutex<Current<T>>,
}

#[derive(Debug)]
struct Current<T> {
    value: T,
    /// Of the files that the value was made from.
    stamps: Vec<Option<Stamp>>,
    /// Whether it was said that the files give no value any more.
    said: bool,
}

/// By what a file that changed is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Another file of the same name, length and moment is another file all the same.
    identity: Option<(u64, u64)>,
}

impl<T: Clone> Watched<T> {
    /// Makes the first value.
    pub(crate) fn new(
        files: Vec<PathBuf>,
        make: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<Self, Problem> {
        // Before their content: what is written meanwhile makes another stamp.
        let stamps = stamps(&files);
        let current = Mutex::new(Current {
            value: make()?,
            stamps,
            said: false,
        });
        Ok(Self { files, current })
    }

    /// The value now. Where the files give none any more, it stays as it was, and that is said once.
    pub(crate) fn current(&self, make: impl FnOnce() -> Result<T, Problem>) -> T {
        let (value, known, said) = {
            let current = self.lock();
            (current.value.clone(), current.stamps.clone(), current.said)
        };
        let stamps = stamps(&self.files);
        if stamps == known {
            return value;
        }
        match make() {
            Ok(value) => {
                *self.lock() = Current {
                    value: value.clone(),
                    stamps,
                    said: false,
                };
                value
            }
            Err(problem) => {
                if !said {
                    self.lock().said = true;
                    warning::say(&format!(
                        "warning[{}]: {}; what was read before is used on",
                        problem.code, problem.message
                    ));
                }
                value
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current<T>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        Some(Self {
            modified: about.modified().ok(),
            length: about.len(),
            identity: platform::identity(&about),
        })
    }
}

/// Why a file cannot be used, and what to do.
pub(crate) struct Unreadable {
    why: String,
    help: &'static str,
}

impl Unreadable {
    pub(crate) fn new(why: impl Into<String>, help: &'static str) -> Self {
        Self {
            why: why.into(),
            help,
        }
    }

    /// The problem of who needs the file.
    pub(crate) fn of(&self, path: &Path, need: &str) -> Problem {
        Problem::new(
            "FLOE-X004",
            format!(
                "the file {}, which {need}, cannot be read: {}",
                path.display(),
                self.why
            ),
            self.help,
        )
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string(), "check the path and its permissions")
    }
}

/// The bytes of a regular file of at most so many, wiped when they are dropped.
pub(crate) fn read(path: &Path, largest: u64) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    // A pipe or a device might never end.
    if !fs::metadata(path)?.is_file() {
        return Err(Unreadable::new("it is not a file", "name a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        return Err(Unreadable::new(
            format!("it has more than {largest} bytes"),
            "name the file that holds it and nothing else",
        ));
    }
    Ok(bytes)
}
