//! Credentials out of text: time is linear in the text, whatever it holds.
//!
//! The text is read word by word. A word may name the secret that follows it ([`names`]), be a token that names itself ([`tokens`]), or be part
//! of a URL or another address with credentials ([`address`]). What was masked is not read again.

use std::sync::LazyLock;

mod address;
mod names;
mod tokens;
mod value;

use names::Names;
use tokens::Token;

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

/// A part of the text that is masked: bytes `from..to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    from: usize,
    to: usize,
}

/// What came of one pass.
struct Pass {
    text: String,
    /// Whether another pass may find more.
    again: bool,
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

    /// One pass over a text; nothing where there is nothing to mask.
    fn pass(&self, text: &str) -> Option<Pass> {
        let bytes = text.as_bytes();
        let mut redacted = String::new();
        let (mut again, mut of_url) = (false, false);
        let (mut at, mut copied) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            let end = at + count(bytes, at, is_word);
            let found = match byte {
                _ if end > at => self.word(bytes, at, end),
                b':' => address::credentials_of_url(bytes, at),
                b'@' => address::password_before(bytes, copied, at),
                _ => None,
            };
            // What is beside a mask may be read otherwise when it stands beside the secret.
            again |= copied > 0
                && match byte {
                    b'@' => !of_url && address::may_reach(bytes, copied, at),
                    _ => at == copied && end > at,
                };
            at = end.max(at + 1);
            if let Some(cut) = found.filter(|cut| cut.to > cut.from) {
                redacted.push_str(text.get(copied..cut.from)?);
                redacted.push_str(MASK);
                copied = cut.to;
                of_url = *byte == b':';
                at = copied;
            }
        }
        if copied == 0 {
            return None;
        }
        redacted.push_str(text.get(copied..)?);
        Some(Pass {
            text: redacted,
            again,
        })
    }

    /// What a word has or brings.
    fn word(&self, bytes: &[u8], start: usize, end: usize) -> Option<Cut> {
        let word = bytes.get(start..end)?;
        if word.ends_with(tokens::PEM) {
            return tokens::private_key(bytes, end);
        }
        let named = self.names.before_value(word, bytes, end);
        named
            .and_then(|name| value::of(name, bytes, start, end))
            .or_else(|| tokens::after_scheme(word, bytes, end))
            .or_else(|| Token::within(bytes, start, end, &self.prefixes))
    }
}

/// The default redactor's work on one text.
pub fn redact(text: &str) -> String {
    static DEFAULT: LazyLock<Redactor> = LazyLock::new(Redactor::default);
    DEFAULT.redact(text)
}

/// A byte of a word.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// How many bytes are so from a place on.
fn count(bytes: &[u8], from: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let count = rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len());
    work(count);
    count
}

/// Notes that so many bytes were looked at, for the test that their number is linear in the text.
fn work(bytes: usize) {
    #[cfg(test)]
    tests::WORK.set(tests::WORK.get() + bytes + 1);
    let _ = bytes;
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
