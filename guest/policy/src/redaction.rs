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

/// What stands at a place of the text.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    /// What of it is masked.
    cut: Option<Cut>,
    /// From where on a mask does not change how it is read.
    settled: usize,
    /// What ends it: it goes on where a mask takes this away.
    edge: Option<usize>,
    /// Whether more of it may be read once this is masked.
    is_partial: bool,
}

impl From<Option<Cut>> for Found {
    fn from(cut: Option<Cut>) -> Self {
        Self {
            cut,
            ..Self::default()
        }
    }
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
        let (mut at, mut copied, mut settled, mut edge) = (0, 0, 0, None);
        loop {
            at += count(bytes, at, |byte| matches!(Class::of(byte), Class::Other));
            let Some(byte) = bytes.get(at) else { break };
            let class = Class::of(*byte);
            let (found, may_change, end) = match class {
                Class::Letter | Class::Separator => {
                    let word = Word::at(bytes, at);
                    (self.word(bytes, word), at == copied, word.end)
                }
                Class::Colon => (address::credentials_of_url(bytes, at), false, at + 1),
                Class::At => (
                    address::password_before(bytes, copied, at),
                    !of_url && address::may_reach(bytes, copied, at),
                    at + 1,
                ),
                Class::Other => (Found::default(), false, at + 1),
            };
            // What is beside a mask may be read otherwise when it stands beside the secret.
            again |= copied > 0 && may_change;
            at = end;
            if let Some(cut) = found.cut.filter(|cut| cut.to > cut.from) {
                redacted.push_str(text.get(copied..cut.from)?);
                redacted.push_str(MASK);
                copied = cut.to;
                of_url = matches!(class, Class::Colon);
                let takes_edge = edge.is_some_and(|edge| cut.from <= edge && edge < cut.to);
                again |= cut.from < settled || takes_edge || found.is_partial;
                // The `@` after a password was looked at.
                at = copied + usize::from(matches!(class, Class::At));
            }
            settled = settled.max(found.settled);
            edge = found.edge.or(edge);
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
    fn word(&self, bytes: &[u8], word: Word) -> Found {
        let Word { start, end, is_whole } = word;
        let word = bytes.get(start..end).unwrap_or_default();
        if word.ends_with(tokens::PEM) {
            return tokens::private_key(bytes, end).into();
        }
        let named = self.names.before_value(word, bytes, end);
        let value = named.and_then(|name| value::of(name, bytes, start, end));
        Found {
            cut: value
                .or_else(|| tokens::after_scheme(word, bytes, end))
                .or_else(|| Token::within(bytes, start, end, is_whole, &self.prefixes)),
            settled: if named.is_some() && value.is_none() {
                end + value::UNSETTLED
            } else {
                0
            },
            ..Found::default()
        }
    }
}

/// The default redactor's work on one text.
pub fn redact(text: &str) -> String {
    static DEFAULT: LazyLock<Redactor> = LazyLock::new(Redactor::default);
    DEFAULT.redact(text)
}

/// What a byte is to a pass.
#[derive(Debug, Clone, Copy)]
enum Class {
    /// A letter or a digit of a word.
    Letter,
    /// What stands between the parts of a word.
    Separator,
    Colon,
    At,
    Other,
}

impl Class {
    /// A table: a pass asks of every byte.
    #[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
    const TABLE: [Self; 256] = {
        let mut table = [Self::Other; 256];
        let mut byte = 0;
        while byte < table.len() {
            table[byte] = match byte as u8 {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => Self::Letter,
                b'_' | b'-' | b'.' => Self::Separator,
                b':' => Self::Colon,
                b'@' => Self::At,
                _ => Self::Other,
            };
            byte += 1;
        }
        table
    };

    fn of(byte: u8) -> Self {
        let found = Self::TABLE.get(usize::from(byte));
        found.copied().unwrap_or(Self::Other)
    }
}

/// A word of a text: bytes `start..end`.
#[derive(Debug, Clone, Copy)]
struct Word {
    start: usize,
    end: usize,
    /// Whether it has no separators.
    is_whole: bool,
}

impl Word {
    fn at(bytes: &[u8], start: usize) -> Self {
        let (mut end, mut is_whole) = (start, true);
        for byte in bytes.get(start..).unwrap_or_default() {
            match Class::of(*byte) {
                Class::Letter => {}
                Class::Separator => is_whole = false,
                _ => break,
            }
            end += 1;
        }
        work(end - start);
        Self { start, end, is_whole }
    }
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
