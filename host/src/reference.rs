//! Values that the plan only refers to: they are resolved last, where an exporter is built, and shown nowhere.

use std::fs::{self, File};
use std::io::{self, Read as _};
#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use data_encoding::BASE64;
use floe_telemetry_otlp::Headers;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::bindings::exports::floe::telemetry::configuration::{Header, Member, Reference};
use crate::error::Problem;
use crate::manifest::Manifest;

/// Largest file that holds a value, in bytes.
const LARGEST: u64 = 64 * 1024;

/// The headers of a plan, resolved. A value that comes from a file is read again when the file changes: credentials in files are rotated.
#[derive(Debug)]
pub(crate) struct ResolvedHeaders(Vec<Resolved>);

/// A header, and what its value is made of for as long as it may change.
#[derive(Debug)]
struct Resolved {
    name: HeaderName,
    shape: Header,
    parts: Vec<Part>,
    current: Mutex<Current>,
}

/// What a header's value was last made from.
#[derive(Debug)]
struct Current {
    value: HeaderValue,
    stamps: Vec<Option<Stamp>>,
    /// Whether it was said that the files give no value any more.
    said: bool,
}

#[derive(Debug)]
enum Part {
    /// From the plan or from a variable, which do not change.
    Fixed(SecretString),
    File(PathBuf),
}

/// By what a file that changed is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Another file of the same name, length and moment is another file all the same.
    #[cfg(unix)]
    inode: u64,
}

impl ResolvedHeaders {
    /// Resolves a plan's headers; on problems all of them are returned.
    pub(crate) fn new(headers: &[Header], manifest: &Manifest) -> Result<Self, Vec<Problem>> {
        let mut resolved = Vec::new();
        let mut problems = Vec::new();
        for header in headers {
            match Resolved::new(header, manifest) {
                Ok(header) => resolved.push(header),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            Ok(Self(resolved))
        } else {
            Err(problems)
        }
    }
}

impl Headers for ResolvedHeaders {
    fn current(&self) -> HeaderMap {
        self.0
            .iter()
            .map(|header| (header.name.clone(), header.current()))
            .collect()
    }
}

impl Resolved {
    fn new(header: &Header, manifest: &Manifest) -> Result<Self, Vec<Problem>> {
        let name = HeaderName::try_from(&header.name).map_err(|error| {
            vec![Problem::new(
                "FLOE-X005",
                format!("`{}` is no name of a header: {error}", header.name),
                "use letters, digits and hyphens",
            )]
        })?;
        let mut parts = Vec::new();
        let mut problems = Vec::new();
        for reference in &header.value {
            match part(reference, &header.name, manifest) {
                Ok(part) => parts.push(part),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let (value, stamps) = made(header, &parts).map_err(|problem| vec![problem])?;
        Ok(Self {
            name,
            shape: header.clone(),
            parts,
            current: Mutex::new(Current {
                value,
                stamps,
                said: false,
            }),
        })
    }

    /// The value now. Where a file gives none any more, the value stays as it was, and that is said once.
    fn current(&self) -> HeaderValue {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self
            .parts
            .iter()
            .zip(&current.stamps)
            .any(|(part, known)| match part {
                Part::Fixed(_) => false,
                Part::File(path) => Stamp::of(path) != *known,
            });
        if changed {
            match made(&self.shape, &self.parts) {
                Ok((value, stamps)) => {
                    *current = Current {
                        value,
                        stamps,
                        said: false,
                    };
                }
                Err(problem) if !current.said => {
                    current.said = true;
                    tracing::warn!(
                        code = problem.code,
                        "{}; the value that was read before is sent on",
                        problem.message
                    );
                }
                Err(_) => {}
            }
        }
        current.value.clone()
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|about| Self::from(&about))
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(about: &fs::Metadata) -> Self {
        Self {
            modified: about.modified().ok(),
            length: about.len(),
            #[cfg(unix)]
            inode: about.ino(),
        }
    }
}

/// What a reference of a header stands for.
fn part(reference: &Reference, header: &str, manifest: &Manifest) -> Result<Part, Problem> {
    match reference {
        Reference::Text(text) => Ok(Part::Fixed(text.clone().into())),
        Reference::Variable(name) => variable(name, header, manifest).map(Part::Fixed),
        Reference::Member(member) => self::member(member, header, manifest).map(Part::Fixed),
        Reference::File(path) => Ok(Part::File(path.into())),
    }
}

fn variable(name: &str, header: &str, manifest: &Manifest) -> Result<SecretString, Problem> {
    manifest
        .variable(name)
        .filter(|value| !value.is_empty())
        .map(SecretString::from)
        .ok_or_else(|| {
            Problem::new(
                "FLOE-X003",
                format!("the variable {name}, which the header `{header}` needs, is not set"),
                "set it in the environment of this process",
            )
        })
}

/// The last member of a name counts (OTLP exporter specification, "Specifying headers via environment variables").
fn member(member: &Member, header: &str, manifest: &Manifest) -> Result<SecretString, Problem> {
    let text = variable(&member.variable, header, manifest)?;
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().map(String::from);
    let found = text
        .expose_secret()
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .rfind(|(key, _)| decoded(key).is_ok_and(|key| key.eq_ignore_ascii_case(&member.key)));
    match found.map(|(_, value)| decoded(value)) {
        Some(Ok(value)) if !value.is_empty() => Ok(value.into()),
        Some(Err(_)) => Err(Problem::new(
            "FLOE-X005",
            format!(
                "the member `{}` of the variable {}, which the header `{header}` needs, is not percent-encoded UTF-8",
                member.key, member.variable
            ),
            "percent-encode it",
        )),
        _ => Err(Problem::new(
            "FLOE-X003",
            format!(
                "the variable {} has no member `{}`, which the header `{header}` needs",
                member.variable, member.key
            ),
            format!("write {}=VALUE into it", member.key),
        )),
    }
}

/// A header's value as it is sent, with the stamps of the files that it was read from.
fn made(header: &Header, parts: &[Part]) -> Result<(HeaderValue, Vec<Option<Stamp>>), Problem> {
    let unsendable = |found: &str| {
        Problem::new(
            "FLOE-X005",
            format!("the value of the header `{}` holds {found}", header.name),
            format!("check {}", origins(&header.value)),
        )
    };
    let mut text = Zeroizing::new(String::new());
    let mut stamps = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Fixed(value) => {
                text.push_str(value.expose_secret());
                stamps.push(None);
            }
            Part::File(path) => {
                let (bytes, stamp) =
                    read(path, LARGEST).map_err(|why| unreadable(path, &header.name, &why))?;
                let value = std::str::from_utf8(&bytes)
                    .map_err(|_| unreadable(path, &header.name, "it is not UTF-8"))?
                    .trim_end();
                if value.is_empty() {
                    return Err(unreadable(path, &header.name, "it is empty"));
                }
                text.push_str(value);
                stamps.push(Some(stamp));
            }
        }
    }
    if text.chars().any(char::is_control) {
        return Err(unsendable("a control character"));
    }
    if header.base64 {
        text = Zeroizing::new(BASE64.encode(text.as_bytes()));
    } else if !text.is_ascii() {
        return Err(unsendable("a character beyond ASCII"));
    }
    let sent = Zeroizing::new(format!("{}{}", header.prefix, *text));
    let mut value = HeaderValue::from_str(&sent).map_err(|_| unsendable("a control character"))?;
    // What stands in the plan is no secret.
    value.set_sensitive(!header.value.iter().all(|part| matches!(part, Reference::Text(_))));
    Ok((value, stamps))
}

/// Resolves a header and answers where its value comes from, for people; never the value.
pub fn resolve_header(header: &Header, manifest: &Manifest) -> Result<String, Vec<Problem>> {
    Resolved::new(header, manifest).map(|_| origins(&header.value))
}

fn origins(value: &[Reference]) -> String {
    let named: Vec<_> = value.iter().filter_map(origin).collect();
    if named.is_empty() {
        "the manifest".to_owned()
    } else {
        named.join(" and ")
    }
}

fn origin(reference: &Reference) -> Option<String> {
    match reference {
        Reference::Text(_) => None,
        Reference::Variable(name) => Some(format!("the variable {name}")),
        Reference::File(path) => Some(format!("the file {path}")),
        Reference::Member(member) => Some(format!("`{}` in the variable {}", member.key, member.variable)),
    }
}

fn unreadable(path: &Path, header: &str, why: &str) -> Problem {
    Problem::new(
        "FLOE-X004",
        format!(
            "the file {}, which the header `{header}` needs, cannot be read: {why}",
            path.display()
        ),
        "check the path and its permissions",
    )
}

/// The bytes of a regular file of at most so many, wiped when they are dropped.
pub(crate) fn read(path: &Path, largest: u64) -> Result<(Zeroizing<Vec<u8>>, Stamp), String> {
    let words = |error: io::Error| error.to_string();
    // A pipe or a device might never end.
    if !fs::metadata(path).map_err(words)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = File::open(path).map_err(words)?;
    // Before its content: what is written meanwhile makes another stamp.
    let stamp = Stamp::from(&file.metadata().map_err(words)?);
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(largest + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > largest {
        return Err(format!("it has more than {largest} bytes"));
    }
    Ok((bytes, stamp))
}
