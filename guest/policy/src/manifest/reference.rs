//! Values of headers: text with references to secrets, which a host resolves last.

use serde_json::{Value as Json, json};

use super::header::is_printable;
use crate::bindings::exports::floe::telemetry::configuration::Reference;
use crate::diagnostic::{self, shown};
use crate::fields::{Field, Findings};
use crate::settings::Kind;
use crate::yaml::Value;

/// What a secret's help says.
pub const WRITE_A_REFERENCE: &str =
    "write ${env:NAME} for a variable of the process, or ${file:/path} for a file";

/// Text with references `${env:NAME}` and `${file:PATH}`. `$$` is a dollar sign.
#[derive(Debug)]
pub struct Text;

/// A secret: references, and nothing that could be a secret itself.
#[derive(Debug)]
pub struct Secret;

impl Kind for Text {
    type Value = Vec<Reference>;
    const IGNORABLE: bool = false;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Vec<Reference>> {
        references(field, findings)
    }

    fn json(&self, value: &Vec<Reference>) -> Json {
        json!(text(value))
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "\\S"})
    }
}

impl Kind for Secret {
    type Value = Vec<Reference>;
    const IGNORABLE: bool = false;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Vec<Reference>> {
        // Whatever stands here may be the secret.
        let field = &field.clone().unshown();
        if !matches!(field.value(), Value::Text(_) | Value::Member(_)) {
            let message = format!("expected a reference, found {}", field.value().kind());
            findings.push(
                field
                    .place()
                    .error(diagnostic::WRONG_TYPE, message, WRITE_A_REFERENCE),
            );
            return None;
        }
        let found = references(field, findings)?;
        if found.iter().any(|part| matches!(part, Reference::Text(_))) {
            findings.push(field.place().error(
                diagnostic::SECRET_IN_CLEAR,
                "a secret must not stand in a manifest",
                WRITE_A_REFERENCE,
            ));
            return None;
        }
        Some(found)
    }

    fn json(&self, value: &Vec<Reference>) -> Json {
        json!(text(value))
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^\\s*(\\$\\{(env:[A-Za-z_][A-Za-z0-9_]*|file:[^}]+)\\})+\\s*$"})
    }
}

/// References as the manifest writes them.
pub fn text(parts: &[Reference]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Reference::Text(text) => text.replace('$', "$$"),
            Reference::Variable(name) => format!("${{env:{name}}}"),
            Reference::File(path) => format!("${{file:{path}}}"),
            Reference::Member(member) => format!("${{env:{}}}", member.variable),
        })
        .collect()
}

/// The parts of a text. No message shows it: it may be a secret that was put in the wrong way.
fn references(field: &Field<'_>, findings: &mut Findings) -> Option<Vec<Reference>> {
    if let Value::Member(member) = field.value() {
        return Some(vec![Reference::Member(member.clone())]);
    }
    let field = &field.clone().unshown();
    let whole = field.text(findings)?;
    if !is_printable(whole) {
        findings.push(field.place().error(
            diagnostic::WRONG_HEADER,
            "the value holds a line break or another character that a header cannot carry",
            "write visible ASCII characters and spaces only",
        ));
        return None;
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = whole;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = from.strip_prefix("$$") {
            plain.push('$');
            rest = after;
        } else if let Some((inner, after)) = from.strip_prefix("${").and_then(|inner| inner.split_once('}')) {
            let Some(part) = reference(inner) else {
                findings.push(field.place().error(
                    diagnostic::WRONG_VALUE,
                    format!("{} is no reference", shown(&format!("${{{}}}", scheme(inner)))),
                    WRITE_A_REFERENCE,
                ));
                return None;
            };
            if !plain.is_empty() {
                parts.push(Reference::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
            rest = after;
        } else {
            findings.push(field.place().error(
                diagnostic::WRONG_VALUE,
                "a `$` begins a reference, and this one is none",
                format!("{WRITE_A_REFERENCE}; write $$ for a dollar sign"),
            ));
            return None;
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Reference::Text(plain));
    }
    Some(parts)
}

/// `env:NAME` or `file:PATH`.
fn reference(inner: &str) -> Option<Reference> {
    match inner.split_once(':')? {
        ("env", name) if is_variable(name) => Some(Reference::Variable(name.to_owned())),
        ("file", path) if !path.trim().is_empty() => Some(Reference::File(path.to_owned())),
        _ => None,
    }
}

/// What a message shows of something in braces: no more than what stands before a colon, for the rest may be a secret.
fn scheme(inner: &str) -> String {
    match inner.split_once(':') {
        Some((scheme, _)) if scheme.len() < 16 => format!("{scheme}:…"),
        _ => "…".to_owned(),
    }
}

/// Whether a text is the name of a variable (POSIX.1-2024, "Name").
pub fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
