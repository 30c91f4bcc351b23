//! Carriers of context, for OpenTelemetry's propagators: HTTP headers, gRPC metadata, the process environment, Dagster's run tags and
//! Kubernetes' lists of environment variables.
//!
//! Context in an environment: OpenTelemetry specification, "Environment Variables as Context Propagation Carriers".

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};
pub use opentelemetry_http::HeaderInjector;
use serde::{Deserialize, Serialize};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};

/// HTTP headers to read. A line that is not UTF-8 is there all the same, as text that no list allows: to pass over it would make a valid header of
/// two lines of which one is not.
#[derive(Debug)]
pub struct HeaderExtractor<'a>(pub &'a HeaderMap);

fn text(line: &[u8]) -> &str {
    std::str::from_utf8(line).unwrap_or("\u{FFFD}")
}

/// The members of a line, each on its own where one of them is not UTF-8.
fn members(line: &[u8]) -> Vec<&str> {
    match std::str::from_utf8(line) {
        Ok(line) => vec![line],
        Err(_) => line.split(|byte| *byte == b',').map(text).collect(),
    }
}

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|line| text(line.as_bytes()))
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let lines: Vec<&str> = self
            .0
            .get_all(key)
            .iter()
            .flat_map(|line| members(line.as_bytes()))
            .collect();
        (!lines.is_empty()).then_some(lines)
    }
}

/// gRPC metadata to read.
#[derive(Debug)]
pub struct MetadataExtractor<'a>(pub &'a MetadataMap);

/// gRPC metadata to write. Keys are lower-case.
#[derive(Debug)]
pub struct MetadataInjector<'a>(pub &'a mut MetadataMap);

impl Extractor for MetadataExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|line| text(line.as_encoded_bytes()))
    }

    fn keys(&self) -> Vec<&str> {
        self.0
            .keys()
            .filter_map(|key| match key {
                tonic::metadata::KeyRef::Ascii(key) => Some(key.as_str()),
                tonic::metadata::KeyRef::Binary(_) => None,
            })
            .collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let lines: Vec<&str> = self
            .0
            .get_all(key)
            .iter()
            .flat_map(|line| members(line.as_encoded_bytes()))
            .collect();
        (!lines.is_empty()).then_some(lines)
    }
}

impl Injector for MetadataInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        let key = AsciiMetadataKey::from_bytes(key.to_ascii_lowercase().as_bytes());
        if let (Ok(key), Ok(value)) = (key, AsciiMetadataValue::try_from(value)) {
            self.0.insert(key, value);
        }
    }
}

/// Variables of a process. Names are normalized: upper case, and `_` for what is no letter and no digit.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

/// Names only: an environment holds secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 carry no context.
    pub fn current() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The variables of this process that name a file of ours, by absolute paths: a child may run in another directory.
    pub(crate) fn of_paths() -> Self {
        let path = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
            let path = std::path::absolute(value).ok()?;
            Some((name.to_owned(), path.into_os_string().into_string().ok()?))
        };
        PATHS.into_iter().filter_map(path).collect()
    }

    /// The variables.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(name, value)| (OsStr::new(name), OsStr::new(value)))
    }
}

/// The variables that name a file or a directory of ours.
const PATHS: [&str; 3] = [
    crate::MANIFEST_VARIABLE,
    crate::component::VARIABLE,
    "FLOE_TELEMETRY_BACKENDS",
];

impl FromIterator<(String, String)> for Environment {
    /// Variables whose names are not normalized carry no context, and are left out.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        let variables = variables.into_iter();
        Self(variables.filter(|(name, _)| normalized(name) == *name).collect())
    }
}

/// The name of a variable for a key.
fn normalized(key: &str) -> String {
    let upper = |c: char| match c.to_ascii_uppercase() {
        c @ ('A'..='Z' | '0'..='9') => c,
        _ => '_',
    };
    let name: String = key.chars().map(upper).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

impl Extractor for Environment {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(&normalized(key)).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Injector for Environment {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(normalized(key), value);
    }
}

/// Tags of a Dagster run. Those of context start with `floe/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunTags(pub BTreeMap<String, String>);

/// What tags of context start with.
const TAG: &str = "floe/";

impl Extractor for RunTags {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(&format!("{TAG}{key}")).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().filter_map(|tag| tag.strip_prefix(TAG)).collect()
    }
}

impl Injector for RunTags {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(format!("{TAG}{key}"), value);
    }
}

/// A variable of a Kubernetes container, as `env` of its specification lists it. What else an entry has, such as `valueFrom`, stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// Value, unless it comes from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// `env` of a Kubernetes container.
///
/// A container gets another variable's value, a secret's as well, where `$(NAME)` stands in one, and `$` where `$$` does. So that nobody reads variables by
/// sending baggage, injecting doubles each `$`. To extract, take its [`Self::environment`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnvList(pub Vec<EnvVar>);

impl EnvList {
    /// What a container of this list reads. The last entry of a name holds.
    pub fn environment(&self) -> Environment {
        let value = |entry: &EnvVar| Some((entry.name.clone(), entry.value.as_ref()?.replace("$$", "$")));
        self.0.iter().filter_map(value).collect()
    }
}

impl Injector for EnvList {
    /// The first entry of the name gets the value, the others go. One that takes its value from elsewhere stays as it is: somebody chose it.
    fn set(&mut self, key: &str, value: String) {
        let name = normalized(key);
        let is_named = |entry: &EnvVar| entry.name == name;
        if self
            .0
            .iter()
            .any(|entry| is_named(entry) && !entry.other.is_empty())
        {
            return;
        }
        let first = self.0.iter().position(is_named).unwrap_or(self.0.len());
        self.0.retain(|entry| !is_named(entry));
        self.0.insert(
            first,
            EnvVar {
                name,
                value: Some(value.replace('$', "$$")),
                ..EnvVar::default()
            },
        );
    }
}
