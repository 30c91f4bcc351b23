//! Headers of exports.

use serde_json::{Value as Json, json};

use super::reference::{self, WRITE_A_REFERENCE};
use crate::baggage::is_token;
use crate::bindings::exports::floe::telemetry::configuration::{Header, Reference};
use crate::diagnostic::{self, shown};
use crate::fields::{Field, Findings, safe_key};
use crate::kinds::Written;
use crate::redaction;
use crate::settings::Kind;

/// Most headers.
const MOST: usize = 32;
/// Headers that the transports write themselves (RFC 9110, RFC 9113 section 8.2.2, gRPC over HTTP/2).
const RESERVED: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// Words in the names of headers that carry credentials.
const CREDENTIALS: [&str; 9] = [
    "auth",
    "cookie",
    "credential",
    "dsn",
    "key",
    "password",
    "secret",
    "signature",
    "token",
];

/// A mapping of names to values.
#[derive(Debug)]
pub struct Headers;

impl Kind for Headers {
    type Value = Vec<Written<Header>>;
    const IGNORABLE: bool = false;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Vec<Written<Header>>> {
        let section = field.clone().unshown().mapping(findings)?;
        let mut headers: Vec<Written<Header>> = Vec::new();
        for (key, value) in section.fields() {
            let place = value.place();
            let name = match checked_name(&key.name) {
                Ok(name) => name,
                Err(reason) => {
                    findings.push(place.error(
                        diagnostic::WRONG_HEADER,
                        format!(
                            "{} cannot be the name of a header: {reason}",
                            shown(&safe_key(&key.name))
                        ),
                        "write the name of a header that the Collector asks for",
                    ));
                    continue;
                }
            };
            if value.is_null() {
                continue;
            }
            if headers.iter().any(|found| found.value.name == name) {
                findings.push(place.error(
                    diagnostic::WRONG_HEADER,
                    format!("the header {} is there twice", shown(&name)),
                    "names of headers are compared without regard to case: take one out",
                ));
                continue;
            }
            let Some(parts) = reference::Text.read(&value, findings) else {
                continue;
            };
            let alone = parts.len() == 1;
            let is_secret =
                |part: &Reference| matches!(part, Reference::Text(text) if is_secret(&name, text, alone));
            if parts.iter().any(is_secret) {
                findings.push(place.error(
                    diagnostic::SECRET_IN_CLEAR,
                    format!(
                        "the header {} carries a secret, which must not stand in a manifest",
                        shown(&name)
                    ),
                    WRITE_A_REFERENCE,
                ));
                continue;
            }
            headers.push(Written {
                place,
                layer: value.layer(),
                value: Header {
                    name,
                    prefix: String::new(),
                    value: parts,
                    base64: false,
                },
            });
        }
        if headers.len() > MOST {
            findings.push(field.place().error(
                diagnostic::WRONG_VALUE,
                format!("{} headers are too many", headers.len()),
                format!("write at most {MOST}"),
            ));
        }
        Some(headers)
    }

    fn json(&self, value: &Vec<Written<Header>>) -> Json {
        value
            .iter()
            .map(|found| {
                (
                    found.value.name.clone(),
                    json!(reference::text(&found.value.value)),
                )
            })
            .collect()
    }

    fn parts(&self, value: &Self::Value) -> Vec<(String, Written<Json>)> {
        let part = |found: &Written<Header>| Written {
            place: found.place.clone(),
            layer: found.layer,
            value: json!(reference::text(&found.value.value)),
        };
        value
            .iter()
            .map(|found| (found.value.name.clone(), part(found)))
            .collect()
    }

    fn schema(&self) -> Json {
        json!({
            "type": "object",
            "propertyNames": {"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
            "additionalProperties": {"type": ["string", "null"]},
        })
    }
}

/// The name of a header, to be given once.
#[derive(Debug)]
pub struct HeaderName;

impl Kind for HeaderName {
    type Value = String;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<String> {
        let text = field.text(findings)?;
        match checked_name(text) {
            Ok(name) => Some(name),
            Err(reason) => {
                findings.push(field.place().error(
                    diagnostic::WRONG_HEADER,
                    format!("this cannot be the name of a header: {reason}"),
                    "write the name of a header that the Collector asks for, such as x-api-key",
                ));
                None
            }
        }
    }

    fn json(&self, value: &String) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^\\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\\s*$"})
    }
}

/// A header's name in lower case, or why it is none.
pub fn checked_name(name: &str) -> Result<String, &'static str> {
    let lower = name.to_ascii_lowercase();
    if !is_token(name) {
        Err("it is empty or has a character that names of headers do not have")
    } else if RESERVED.contains(&lower.as_str()) || lower.starts_with("grpc-") {
        Err("the transport writes it")
    } else if lower.ends_with("-bin") {
        Err("gRPC takes it for a binary one")
    } else {
        Ok(lower)
    }
}

/// Whether a header can carry the text (RFC 9110 section 5.5), as far as both transports do.
pub fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Whether a text in a header's value is a secret. Beside a reference, a scheme such as `Bearer ` is none.
fn is_secret(name: &str, text: &str, alone: bool) -> bool {
    let is_scheme = || {
        text.trim_end()
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
            && text.len() < 16
    };
    let names_credentials = CREDENTIALS.iter().any(|word| name.contains(word));
    names_credentials && (alone || !is_scheme()) || redaction::redact(text) != text
}
