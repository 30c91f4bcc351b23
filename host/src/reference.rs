//! Values that the plan only refers to: they are resolved last, where an exporter is built, and shown nowhere.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use floe_telemetry_otlp::Headers;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::bindings::exports::floe::telemetry::configuration::{Header, Member, Reference};
use crate::error::Problem;
use crate::file::{Unreadable, Watched, read};
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
    value: Watched<HeaderValue>,
}

#[derive(Debug)]
enum Part {
    /// From the plan or from a variable, which do not change.
    Fixed(SecretString),
    File(PathBuf),
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
        let files = parts
            .iter()
            .filter_map(|part| match part {
                Part::Fixed(_) => None,
                Part::File(path) => Some(path.clone()),
            })
            .collect();
        let value = Watched::new(files, || made(header, &parts)).map_err(|problem| vec![problem])?;
        Ok(Self {
            name,
            shape: header.clone(),
            parts,
            value,
        })
    }

    fn current(&self) -> HeaderValue {
        self.value.current(|| made(&self.shape, &self.parts))
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

/// A header's value as it is sent.
fn made(header: &Header, parts: &[Part]) -> Result<HeaderValue, Problem> {
    let unsendable = |found: &str| {
        Problem::new(
            "FLOE-X005",
            format!("the value of the header `{}` holds {found}", header.name),
            format!("check {}", origins(&header.value)),
        )
    };
    let mut text = Zeroizing::new(String::new());
    for part in parts {
        match part {
            Part::Fixed(value) => text.push_str(value.expose_secret()),
            Part::File(path) => {
                let value = text_of(path)
                    .map_err(|found| found.of(path, &format!("the header `{}` needs", header.name)))?;
                text.push_str(&value);
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
    Ok(value)
}

/// The text of a file, without the white space at its end.
fn text_of(path: &Path) -> Result<Zeroizing<String>, Unreadable> {
    let bytes = read(path, LARGEST)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Unreadable::new("it is not UTF-8", "save it as UTF-8 text"))?
        .trim_end();
    if text.is_empty() {
        return Err(Unreadable::new("it is empty", "write the value into it"));
    }
    Ok(Zeroizing::new(text.to_owned()))
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
