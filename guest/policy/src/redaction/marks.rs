//! Punctuation as it is written: by itself, or encoded for a URL, for HTML, for XML or for JSON.

use super::{count, work};

/// Most backslashes before a quote or an escape: JSON in JSON in JSON in JSON.
const ESCAPES: usize = 16;
/// Most times that a percent sign is encoded again.
const DEPTH: usize = 4;

/// How a mark is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Plain,
    /// Percent-encoded (RFC 3986 section 2.1), this many times.
    Percent(usize),
    /// A character reference of HTML, or an escape of JSON.
    Escaped,
}

/// A mark: the byte that it stands for, and the bytes that it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) byte: u8,
    pub(super) len: usize,
    pub(super) writing: Writing,
}

impl Mark {
    pub(super) fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let byte = *bytes.get(at)?;
        let encoded = match byte {
            b'%' => percent(bytes, at),
            b'&' => reference(bytes, at),
            b'\\' => escape(bytes, at),
            _ => None,
        };
        Some(encoded.unwrap_or(Self {
            byte,
            len: 1,
            writing: Writing::Plain,
        }))
    }

    pub(super) fn is_blank(self) -> bool {
        matches!(self.byte, b' ' | b'\t') || (self.byte == b'+' && self.writing == Writing::Plain)
    }
}

fn percent(bytes: &[u8], at: usize) -> Option<Mark> {
    let mut digits = at + 1;
    let mut depth = 1;
    while depth < DEPTH && bytes.get(digits..digits + 2)? == b"25" {
        digits += 2;
        depth += 1;
    }
    Some(Mark {
        byte: hexadecimal(bytes.get(digits..digits + 2)?)?,
        len: digits + 2 - at,
        writing: Writing::Percent(depth),
    })
}

fn reference(bytes: &[u8], at: usize) -> Option<Mark> {
    const NAMES: [(&[u8], u8); 6] = [
        (b"quot;", b'"'),
        (b"apos;", b'\''),
        (b"lt;", b'<'),
        (b"gt;", b'>'),
        (b"equals;", b'='),
        (b"colon;", b':'),
    ];
    let mut from = at + 1;
    if bytes.get(from..)?.starts_with(b"amp;") {
        from += 4;
    }
    let rest = bytes.get(from..)?;
    let (byte, len) = match NAMES.iter().find(|(name, _)| rest.starts_with(name)) {
        Some((name, byte)) => (*byte, name.len()),
        None => numbered(rest.strip_prefix(b"#")?)?,
    };
    Some(Mark {
        byte,
        len: from + len - at,
        writing: Writing::Escaped,
    })
}

/// The byte of `34;` or `x22;`, and the length with the `#` before it.
fn numbered(number: &[u8]) -> Option<(u8, usize)> {
    const LONGEST: usize = 5;
    let length = number.iter().take(LONGEST).position(|byte| *byte == b';')?;
    let digits = str::from_utf8(number.get(..length)?).ok()?;
    let byte = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    Some((byte.ok()?, length + 2))
}

/// `\u0022`, `\x22` or `\/`, with further backslashes where it was escaped again.
fn escape(bytes: &[u8], at: usize) -> Option<Mark> {
    let slashes = count(bytes, at, |byte| byte == b'\\');
    let letter = at + slashes;
    let (byte, len) = match bytes.get(letter)? {
        _ if slashes > ESCAPES => return None,
        b'u' if bytes.get(letter + 1..letter + 3)? == b"00" => {
            (hexadecimal(bytes.get(letter + 3..letter + 5)?)?, 5)
        }
        b'x' => (hexadecimal(bytes.get(letter + 1..letter + 3)?)?, 3),
        b'/' => (b'/', 1),
        _ => return None,
    };
    Some(Mark {
        byte,
        len: slashes + len,
        writing: Writing::Escaped,
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(digits).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

/// Where a word begins that stands beside an encoded mark: `3Bpwd` of `%3Bpwd`, `u0026sig` of `\u0026sig`, `ntoken` of `\ntoken`.
pub(super) fn word_start(bytes: &[u8], start: usize) -> usize {
    let Some(before) = start.checked_sub(1).and_then(|before| bytes.get(before)) else {
        return start;
    };
    match (before, bytes.get(start)) {
        (b'%', _) => percent(bytes, start - 1).map_or(start, |mark| start - 1 + mark.len),
        (b'\\', Some(b'n' | b'r' | b't')) => start + 1,
        (b'\\', _) => escape(bytes, start - 1).map_or(start, |mark| start - 1 + mark.len),
        _ => start,
    }
}

/// Whether the line of a place begins there, as it is or written with an escape.
pub(super) fn follows_written_line_end(bytes: &[u8], start: usize) -> bool {
    matches!(
        start.checked_sub(2).and_then(|from| bytes.get(from..start)),
        Some(b"\\n" | b"\\r")
    )
}

/// A quote as it is written, with the backslashes before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote<'a> {
    mark: u8,
    escapes: usize,
    /// How it is written, where it is encoded or threefold: it closes as it opened.
    written: Option<&'a [u8]>,
}

impl<'a> Quote<'a> {
    pub(super) fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let first = *bytes.get(at)?;
        if !matches!(first, b'"' | b'\'' | b'`' | b'\\' | b'%' | b'&') {
            return None;
        }
        let escapes = match first {
            b'\\' => count(bytes, at, |byte| byte == b'\\'),
            _ => 0,
        };
        let mark = *bytes.get(at + escapes)?;
        if escapes <= ESCAPES && matches!(mark, b'"' | b'\'' | b'`') {
            return Some(Self {
                mark,
                escapes,
                written: None,
            });
        }
        let encoded = Mark::at(bytes, at)?;
        (encoded.writing != Writing::Plain && matches!(encoded.byte, b'"' | b'\'' | b'`')).then_some(Self {
            mark: encoded.byte,
            escapes: 0,
            written: bytes.get(at..at + encoded.len),
        })
    }

    /// The same quote three times, as Python and TOML write texts of several lines, if it is closed.
    pub(super) fn threefold(self, bytes: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let one = bytes.get(at..at + self.len())?;
        let written = bytes
            .get(at..at + 3 * one.len())
            .filter(|three| three.chunks(one.len()).all(|quote| quote == one))?;
        let threefold = Self {
            written: Some(written),
            ..self
        };
        let rest = bytes.get(at + written.len()..)?;
        let length = rest.windows(written.len()).position(|three| three == written);
        work(length.unwrap_or(rest.len()));
        Some((threefold, at + written.len() + length?))
    }

    pub(super) fn len(self) -> usize {
        self.written.map_or(self.escapes + 1, <[u8]>::len)
    }

    /// Whether it is a mark that stands for itself.
    pub(super) fn is_plain(self) -> bool {
        self.written.is_none()
    }

    /// Where what starts here is closed, or where the line ends.
    pub(super) fn close(self, bytes: &[u8], from: usize) -> usize {
        if let Some(written) = self.written {
            let first = written.first();
            let mut at = from;
            loop {
                at += count(bytes, at, |byte| {
                    Some(&byte) != first && !matches!(byte, b'\r' | b'\n')
                });
                if is_line_end(bytes, at) || bytes.get(at..).is_some_and(|rest| rest.starts_with(written)) {
                    return at;
                }
                at += 1;
            }
        }
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
