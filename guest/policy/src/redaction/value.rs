//! Values of names: where one starts and ends, as settings, headers, JSON, YAML, SQL, XML and commands write it.

use super::names::{self, Name};
use super::word::Word;
use super::{Cut, count, tokens, work};

/// Longest value in braces, in bytes.
const LONGEST_IN_BRACES: usize = 128;
/// How far from a name a mask may bring out a value that was none.
pub(super) const UNSETTLED: usize = 8 + LONGEST_IN_BRACES;
/// Most backslashes before a quote: JSON in JSON in JSON.
const ESCAPES: usize = 8;

/// A quote with the backslashes before it.
#[derive(Debug, Clone, Copy)]
struct Quote {
    mark: u8,
    escapes: usize,
}

impl Quote {
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let escapes = match bytes.get(at)? {
            b'\\' => count(bytes, at, |byte| byte == b'\\'),
            _ => 0,
        };
        let mark = *bytes.get(at + escapes)?;
        (escapes <= ESCAPES && matches!(mark, b'"' | b'\'' | b'`')).then_some(Self { mark, escapes })
    }

    fn len(self) -> usize {
        self.escapes + 1
    }

    /// Where what starts here is closed, or where the line ends.
    fn close(self, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(byte) = bytes.get(at) {
            work(1);
            let escapes = count(bytes, at, |byte| byte == b'\\');
            if escapes > 0 {
                if escapes <= self.escapes && bytes.get(at + escapes) == Some(&self.mark) {
                    return at;
                }
                // An odd number escapes what follows.
                at += escapes + (escapes % 2).min(usize::from(!is_line_end(bytes, at + escapes)));
            } else if *byte == self.mark && self.escapes == 0 {
                // SQL writes a quote within by two.
                if bytes.get(at + 1) != Some(&self.mark) || at == from {
                    return at;
                }
                at += 2;
            } else if is_line_end(bytes, at) {
                return at;
            } else {
                at += 1;
            }
        }
        bytes.len()
    }
}

fn is_line_end(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), None | Some(b'\r' | b'\n'))
}

/// How many blanks stand at a place: mostly none.
#[inline]
fn blanks(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b' ' | b'\t') => count(bytes, at, is_blank),
        _ => 0,
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A byte of a value without quotes.
fn is_bare(byte: u8) -> bool {
    !matches!(
        byte,
        b' ' | b'\t'
            | b'\r'
            | b'\n'
            | b','
            | b';'
            | b'&'
            | b'"'
            | b'\''
            | b'}'
            | b')'
            | b']'
            | b'<'
            | b'\\'
            | b'`'
    )
}

/// Whether a value may follow a word: a cheap look before a name is looked up.
pub(super) fn may_follow(bytes: &[u8], word: Word) -> bool {
    let Word { start, end, is_whole } = word;
    match bytes.get(end) {
        Some(b'=' | b':' | b'"' | b'\'' | b'\\' | b'>' | b'`') => true,
        Some(b' ' | b'\t') => {
            let next = bytes.get(end + count(bytes, end, is_blank));
            matches!(next, Some(b'=' | b':' | b'\'')) || !is_whole && is_option(bytes, start, end)
        }
        _ => false,
    }
}

/// The value of the name that stands at `start..end`.
pub(super) fn of(name: Name, bytes: &[u8], start: usize, end: usize) -> Option<Cut> {
    let quote = Quote::at(bytes, end);
    let mut at = end + quote.map_or(0, Quote::len);
    // A subscript: `os.environ['TOKEN'] = `.
    at += usize::from(quote.is_some() && bytes.get(at) == Some(&b']'));
    let blanks = blanks(bytes, at);
    let spaced = at + blanks;
    match (bytes.get(spaced)?, bytes.get(spaced + 1)) {
        (b'=', Some(b'>')) => written(name, bytes, start, spaced + 2),
        // A comparison is no assignment, but what is compared with may be the secret.
        (b'=', Some(b'=')) | (b':', Some(b'=')) => written(name, bytes, start, spaced + 2),
        (b'=' | b':', _) => written(name, bytes, start, spaced + 1),
        // A pair of texts: `('authorization', 'Bearer x')`.
        (b',', _) if quote.is_some() => {
            let value = spaced + 1 + count(bytes, spaced + 1, is_blank);
            quoted(name, bytes, value)
        }
        (b'>', _) if blanks == 0 && start > 0 && bytes.get(start - 1) == Some(&b'<') => {
            let length = count(bytes, spaced + 1, |byte| byte != b'<');
            Some(Cut {
                from: spaced + 1,
                to: spaced + 1 + length,
            })
        }
        // SQL: `PASSWORD 'x'`, and DuckDB's `SECRET 'x'`, unlike people's "secret 'x' not found".
        (b'\'', _) if blanks > 0 && quote.is_none() && is_of_sql(name, bytes, start, end) => {
            quoted(name, bytes, spaced)
        }
        (byte, _) if blanks > 0 && quote.is_none() && *byte != b'-' && is_option(bytes, start, end) => {
            quoted(name, bytes, spaced).or_else(|| bare(name, bytes, spaced))
        }
        _ => None,
    }
}

fn is_of_sql(name: Name, bytes: &[u8], start: usize, end: usize) -> bool {
    let is_keyword = |word: &[u8]| !word.iter().any(u8::is_ascii_lowercase);
    match name {
        Name::Password => true,
        Name::Secret => bytes.get(start..end).is_some_and(is_keyword),
        _ => false,
    }
}

fn is_option(bytes: &[u8], start: usize, end: usize) -> bool {
    bytes.get(start..end).is_some_and(names::is_option)
}

/// What stands after a separator.
fn written(name: Name, bytes: &[u8], start: usize, from: usize) -> Option<Cut> {
    let at = from + blanks(bytes, from);
    if let Some(line) = first_line(bytes, at) {
        return block(bytes, start, line);
    }
    match (bytes.get(at)?, bytes.get(at + 1)) {
        // A reference is not the secret.
        (b'$', Some(b'{')) | (b'{', Some(b'{')) => None,
        // ODBC writes what holds a semicolon in braces.
        (b'{', _) if at == from => {
            let near = bytes
                .get(..bytes.len().min(at + LONGEST_IN_BRACES))
                .unwrap_or_default();
            let length = count(near, at + 1, |byte| {
                !matches!(byte, b'{' | b'}' | b'\r' | b'\n' | b'"' | b'\'' | b':')
            });
            (bytes.get(at + 1 + length) == Some(&b'}')).then_some(Cut {
                from: at + 1,
                to: at + 1 + length,
            })
        }
        // What is within is looked at by itself.
        (b'{' | b'(', _) => None,
        (b'[', _) => {
            let length = count(bytes, at + 1, |byte| !matches!(byte, b']' | b'\r' | b'\n'));
            Some(Cut {
                from: at + 1,
                to: at + 1 + length,
            })
        }
        _ => quoted(name, bytes, at).or_else(|| {
            bare(name, bytes, at).map(|cut| match name {
                Name::Password if from < at && starts_line(bytes, start) => to_line_end(bytes, cut),
                _ => cut,
            })
        }),
    }
}

/// A text in quotes, which may have a letter before it as Python writes it.
fn quoted(name: Name, bytes: &[u8], at: usize) -> Option<Cut> {
    let letters = count(bytes, at, |byte| {
        matches!(byte, b'b' | b'B' | b'r' | b'R' | b'u' | b'U' | b'f' | b'N')
    });
    let at = if letters <= 2 { at + letters } else { at };
    let quote = Quote::at(bytes, at)?;
    let from = at + quote.len();
    let to = quote.close(bytes, from);
    let from = match name {
        Name::Header => from + scheme(bytes, from, to),
        _ => from,
    };
    Some(Cut { from, to })
}

/// A text without quotes.
fn bare(name: Name, bytes: &[u8], at: usize) -> Option<Cut> {
    let length = match name {
        Name::Header => count(bytes, at, |byte| {
            !matches!(byte, b'\r' | b'\n' | b'"' | b'\'' | b'\\')
        }),
        _ => count(bytes, at, is_bare),
    };
    let cut = Cut {
        from: at,
        to: at + length,
    };
    let value = bytes.get(cut.from..cut.to)?;
    match name {
        // Nothing is no secret, and often the cause.
        _ if [&b"None"[..], b"null", b"true", b"false", b"True", b"False"].contains(&value) => None,
        Name::Counter if value.iter().all(u8::is_ascii_digit) => None,
        Name::Keyword if value.iter().all(u8::is_ascii_uppercase) => None,
        Name::Header => Some(Cut {
            from: at + scheme(bytes, at, cut.to),
            ..cut
        }),
        _ => Some(cut),
    }
    .filter(|cut| cut.to > cut.from)
}

/// Length of the scheme that a header's credentials start with, with what follows it.
fn scheme(bytes: &[u8], from: usize, to: usize) -> usize {
    let word = count(bytes, from, |byte| byte.is_ascii_alphabetic() || byte == b'-');
    let blanks = count(bytes, from + word, is_blank);
    let known = bytes.get(from..from + word).is_some_and(tokens::is_scheme);
    if known && blanks > 0 && from + word + blanks < to {
        word + blanks
    } else {
        0
    }
}

/// Where the first line of a block of YAML starts, whose mark stands here.
fn first_line(bytes: &[u8], at: usize) -> Option<usize> {
    if !matches!(bytes.get(at)?, b'|' | b'>') {
        return None;
    }
    let mark = count(bytes, at, |byte| {
        matches!(byte, b'|' | b'>' | b'-' | b'+') || byte.is_ascii_digit()
    });
    let blanks = count(bytes, at + mark, |byte| matches!(byte, b' ' | b'\t' | b'\r'));
    let end = at + mark + blanks;
    (bytes.get(end)? == &b'\n').then_some(end + 1)
}

/// A block of YAML: the lines that are indented more than its key's.
fn block(bytes: &[u8], start: usize, from: usize) -> Option<Cut> {
    let own = indentation(bytes, start)?;
    let mut line = from;
    while line < bytes.len() {
        let blanks = count(bytes, line, is_blank);
        let rest = count(bytes, line + blanks, |byte| byte != b'\n');
        if blanks <= own && rest > 0 {
            break;
        }
        line += blanks + rest + 1;
    }
    // The last line end stays.
    let to = line.min(bytes.len());
    let ends_line = bytes.get(to.wrapping_sub(1)) == Some(&b'\n');
    let blanks = count(bytes, from, is_blank);
    Some(Cut {
        from: (from + blanks).min(to),
        to: if ends_line { to - 1 } else { to },
    })
}

/// The blanks and the dash of a list before a place, if nothing else stands before it in its line.
fn indentation(bytes: &[u8], start: usize) -> Option<usize> {
    const MOST: usize = 128;
    let before = bytes.get(start.saturating_sub(MOST)..start)?;
    let blanks = before
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'-' | b'"' | b'\''))
        .count();
    let starts = blanks == start || before.iter().rev().nth(blanks) == Some(&b'\n');
    starts.then_some(blanks)
}

fn starts_line(bytes: &[u8], start: usize) -> bool {
    indentation(bytes, start).is_some()
}

/// The rest of the line, without the blanks at its end.
fn to_line_end(bytes: &[u8], cut: Cut) -> Cut {
    let rest = count(bytes, cut.from, |byte| !matches!(byte, b'\r' | b'\n'));
    let line = bytes.get(cut.from..cut.from + rest).unwrap_or_default();
    Cut {
        to: cut.from + line.trim_ascii_end().len(),
        ..cut
    }
}
