//! Values that are no secrets although a secret's name stands before them: nothing, placeholders, references, types, words of people.

use super::count;
use super::names::{Name, Names};

/// Nothing, in the words of languages and tools, in lower case.
const NOTHING: [&[u8]; 13] = [
    b"none",
    b"null",
    b"nil",
    b"true",
    b"false",
    b"undefined",
    b"yes",
    b"no",
    b"n/a",
    b"unset",
    b"empty",
    b"redacted",
    b"filtered",
];

/// Types that a declaration gives after a name, and words that begin an expression.
const TYPES: [&[u8]; 26] = [
    b"str",
    b"String",
    b"string",
    b"bytes",
    b"int",
    b"bool",
    b"Any",
    b"any",
    b"Optional",
    b"Option",
    b"Union",
    b"SecretStr",
    b"SecretString",
    b"Secret",
    b"text",
    b"varchar",
    b"VARCHAR",
    b"TEXT",
    b"number",
    b"boolean",
    b"object",
    b"Callable",
    b"dict",
    b"await",
    b"new",
    b"lambda",
];

/// Words of sentences and of languages that follow a name: `password: must be`, `token = await`.
const WORDS: [&[u8]; 60] = [
    b"an",
    b"and",
    b"as",
    b"at",
    b"be",
    b"by",
    b"can",
    b"cannot",
    b"could",
    b"denied",
    b"did",
    b"does",
    b"error",
    b"expected",
    b"expired",
    b"failed",
    b"file",
    b"for",
    b"force",
    b"forbidden",
    b"from",
    b"has",
    b"have",
    b"if",
    b"in",
    b"instead",
    b"invalid",
    b"is",
    b"it",
    b"may",
    b"missing",
    b"must",
    b"never",
    b"not",
    b"of",
    b"on",
    b"only",
    b"option",
    b"or",
    b"prompt",
    b"read",
    b"required",
    b"requires",
    b"should",
    b"the",
    b"this",
    b"to",
    b"unable",
    b"unauthorized",
    b"unavailable",
    b"unexpected",
    b"unknown",
    b"use",
    b"was",
    b"when",
    b"which",
    b"will",
    b"with",
    b"without",
    b"your",
];

/// What expressions begin with that read a secret from elsewhere.
const SOURCES: [&[u8]; 16] = [
    b"os.environ",
    b"self.",
    b"cls.",
    b"this.",
    b"var.",
    b"local.",
    b"module.",
    b"data.",
    b"settings.",
    b"config.",
    b"process.env",
    b"secrets.",
    b"env.",
    b"vault.",
    b"each.value",
    b".Values",
];

/// Parts of the names of functions that read a secret from elsewhere.
const READERS: [&[u8]; 10] = [
    b"env", b"get", b"var", b"read", b"load", b"fetch", b"lookup", b"find", b"ref", b"resolve",
];

/// Whether a value without quotes is none, as it stands by itself.
pub(super) fn is_innocent(name: Name, own: &[u8], value: &[u8]) -> bool {
    is_nothing(value)
        || is_placeholder(value)
        || value.len() > 2 && value.iter().all(u8::is_ascii_alphabetic) && TYPES.contains(&value)
        || value.contains(&b'.') && SOURCES.iter().any(|source| value.starts_with(source)) && is_path(value)
        || is_same(own, value)
        || (value.contains(&b'.') && is_path(value) && Names::known().kind(value).is_some())
        || match name {
            Name::Counter => is_number(value),
            Name::Secret => value.len() <= 3 && is_number(value),
            Name::Keyword => value.iter().all(u8::is_ascii_uppercase),
            Name::Identifier => is_number(value) || is_path(value) && !value.iter().any(u8::is_ascii_digit),
            Name::Mechanism => is_number(value) || is_word(value),
            _ => false,
        }
}

/// Whether a value in quotes is none.
pub(super) fn is_innocent_quoted(value: &[u8]) -> bool {
    let inner = |open: &[u8], close: &[u8]| value.starts_with(open) && value.ends_with(close);
    value.is_empty()
        || is_placeholder(value)
        || inner(b"{{", b"}}")
        || inner(b"{", b"}") && is_path(value.get(1..value.len() - 1).unwrap_or_default())
        || value.iter().all(|byte| *byte == b'.')
}

/// Whether a value is a word with which a sentence goes on.
pub(super) fn is_of_sentence(value: &[u8]) -> bool {
    (2..=12).contains(&value.len())
        && value.iter().all(u8::is_ascii_alphabetic)
        && WORDS.iter().any(|word| word.eq_ignore_ascii_case(value))
}

fn is_nothing(value: &[u8]) -> bool {
    (2..=9).contains(&value.len()) && NOTHING.iter().any(|nothing| nothing.eq_ignore_ascii_case(value))
}

/// What stands for a secret: `$1`, `$NAME`, `${name}`, `%s`, `%(name)s`, `?`, `:name`, `****`.
fn is_placeholder(value: &[u8]) -> bool {
    match value {
        b"?" | b"%s" => true,
        [b'$', b'{', ..] => value.ends_with(b"}"),
        [b'$', rest @ ..] => {
            let is_number = rest.iter().all(u8::is_ascii_digit);
            let is_variable = rest.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
            (is_number || is_variable) && !rest.is_empty()
        }
        [b'%', b'(', ..] => true,
        [b':', rest @ ..] => {
            !rest.is_empty() && rest.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_')
        }
        // A mask of somebody else; floe's own stays by being masked again.
        _ => value.len() > 3 && value.iter().all(|byte| *byte == b'*'),
    }
}

fn is_number(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

fn is_path(value: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    value.iter().all(is_name) && value.first().is_some_and(|byte| !byte.is_ascii_digit())
}

fn is_word(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_'))
}

/// Whether a value is its own name: `password=password`, `on a.token = b.token`.
fn is_same(own: &[u8], value: &[u8]) -> bool {
    fn last(path: &[u8]) -> &[u8] {
        path.rsplit(|byte| *byte == b'.').next().unwrap_or_default()
    }
    value.len() >= last(own).len() && is_path(value) && last(own).eq_ignore_ascii_case(last(value))
}

/// Whether a sentence goes on here, after a colon and a blank: `token: expected a name`.
pub(super) fn is_sentence(bytes: &[u8], from: usize, to: usize) -> bool {
    let value = bytes.get(from..to).unwrap_or_default();
    let blanks = count(bytes, to, |byte| byte == b' ');
    let is_like_word = value.iter().all(u8::is_ascii_alphabetic)
        || value.len() <= 3 && value.iter().all(u8::is_ascii_digit)
        || value == b"/*";
    is_like_word
        && blanks > 0
        && bytes
            .get(to + blanks)
            .is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'{' | b'\'' | b'"'))
}

/// Whether a name before a parenthesis is of what reads a secret from elsewhere: `os.getenv(`.
pub(super) fn is_reader(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    READERS
        .iter()
        .any(|reader| lower.windows(reader.len()).any(|part| part == *reader))
}
