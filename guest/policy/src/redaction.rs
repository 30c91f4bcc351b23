//! Credentials out of text: time is linear in the text, whatever it holds.
//!
//! The text is read word by word. A word may name the secret that follows it ([`names`]), be a token that names itself ([`tokens`]), or be part
//! of a URL or another address with credentials ([`address`]). What was masked is not read again.

use std::sync::LazyLock;

mod address;
mod command;
mod files;
mod innocent;
mod marks;
mod names;
mod pass;
mod tokens;
mod value;
mod word;

use names::Names;
use pass::{Cut, Found};
use word::{count, work};

/// What stands where a secret was.
const MASK: &str = "***";

/// What finds secrets: what everybody knows to be one, and what a manifest adds.
#[derive(Debug, Clone)]
pub struct Redactor {
    names: Names,
    /// Beginnings of further tokens.
    prefixes: Vec<String>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

impl Redactor {
    /// Masks the values of these names as well, and what starts with these prefixes.
    pub fn new(names: &[String], prefixes: &[String]) -> Self {
        Self {
            names: Names::new(names),
            prefixes: prefixes.to_vec(),
        }
    }

    /// Whether what has this name is a secret.
    pub fn names_secret(&self, name: &str) -> bool {
        let last = name.rsplit('.').next().unwrap_or(name);
        [name, last]
            .iter()
            .any(|name| self.names.kind(name.as_bytes()).is_some())
    }

    /// Redacts one text. Idempotent.
    pub fn redact(&self, text: &str) -> String {
        const MOST: usize = 8;
        // Terminal escapes mean nothing in telemetry and would split what is looked for.
        let mut redacted = match text.contains('\u{1b}') {
            true => without_escapes(text),
            false => text.to_owned(),
        };
        for _ in 0..MOST {
            let Some(pass) = self.pass(&redacted) else { break };
            let more = pass.again && pass.text != redacted;
            redacted = pass.text;
            if !more {
                break;
            }
        }
        redacted
    }
}

/// The default redactor's work on one text.
pub fn redact(text: &str) -> String {
    static DEFAULT: LazyLock<Redactor> = LazyLock::new(Redactor::default);
    DEFAULT.redact(text)
}

/// A text without ESC and what it begins (ECMA-48, control sequences).
fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.strip_prefix('[').map_or(part, |sequence| {
            let rest = sequence.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ';');
            rest.strip_prefix(|letter: char| letter.is_ascii_alphabetic())
                .unwrap_or(rest)
        });
        plain.push_str(rest);
    }
    plain
}

#[cfg(test)]
mod tests;
