//! A manifest with what overrides it. Its file is bounded before anything parses it.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use crate::bindings::exports::floe::telemetry::types::KeyValue;
use crate::error::Problem;

/// Largest manifest in bytes. Real ones have a few thousand.
const LARGEST: u64 = 1024 * 1024;

/// A manifest, the variables that take precedence over it, and the settings of code that take precedence over both.
#[derive(Clone)]
pub struct Manifest {
    /// Its name in messages: the path.
    pub file: String,
    /// Its text.
    pub text: String,
    /// By path below `observability.telemetry`, values as JSON text.
    pub(crate) settings: Vec<KeyValue>,
    variables: Variables,
}

/// Answers the value of a variable that is set.
type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Manifest {
    /// A manifest's text under the variables of the process environment. `file` names it in messages.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            text: text.into(),
            settings: Vec::new(),
            variables: Arc::new(|name| std::env::var(name).ok()),
        }
    }

    /// Reads a manifest's file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Problem> {
        let path = path.as_ref();
        Ok(Self::new(path.display().to_string(), read(path)?))
    }

    /// The same with variables from elsewhere than the process environment.
    #[must_use]
    pub fn with_variables(self, variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            variables: Arc::new(variables),
            ..self
        }
    }

    /// The same with a setting of the code that calls, by its path below `observability.telemetry`, for example `otlp_endpoint`.
    #[must_use]
    pub fn with_setting(mut self, path: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.settings.push(KeyValue {
            key: path.into(),
            value: value.into().to_string(),
        });
        self
    }

    /// A variable that is set.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name)
    }
}

fn read(path: &Path) -> Result<String, Problem> {
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
