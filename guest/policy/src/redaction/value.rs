//! Values of names: where one starts and ends, as settings, headers, JSON, YAML, SQL, XML and commands write it.

use super::innocent;
use super::marks::{Mark, Quote, Writing, follows_written_line_end};
use super::names::{self, Name};
use super::word::Word;
use super::{Cut, count, tokens, work};

/// Longest value in braces, in bytes.
const LONGEST_IN_BRACES: usize = 128;
/// How far from a name a mask may bring out a value that was none.
pub(super) const UNSETTLED: usize = 8 + LONGEST_IN_BRACES;
/// How far the two of a pair, or what belongs to one value, may reach, in bytes.
const NEAR: usize = 256;

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
#[inline]
pub(super) fn may_follow(bytes: &[u8], word: Word, next: u8) -> bool {
    let Word { start, end, is_whole } = word;
    match next {
        b'=' | b':' | b'"' | b'\'' | b'\\' | b'>' | b'`' | b'%' => true,
        b'(' => matches!(bytes.get(end + 1), Some(b'\'' | b'"' | b'\\')),
        b'&' => matches!(bytes.get(end + 1), Some(b'#' | b'q' | b'a' | b'g' | b'e' | b'c')),
        b' ' | b'\t' => {
            let at = end + count(bytes, end, is_blank);
            match bytes.get(at) {
                Some(b'=' | b':' | b'\'' | b'$') => true,
                Some(b'-') => bytes.get(at + 1) == Some(&b'>') || !is_whole && is_option(bytes, start, end),
                // `PASSWORD E'x'`, `PASSWORD FOR`, `IDENTIFIED BY`: few words end so.
                Some(b'E' | b'e' | b'N' | b'n' | b'F' | b'f' | b'B' | b'b' | b'W' | b'w')
                    if matches!(bytes.get(end - 1), Some(b'd' | b'D')) =>
                {
                    true
                }
                Some(b'T' | b't') if matches!(bytes.get(at + 1..at + 4), Some(b"o '" | b"O '")) => true,
                _ if start > 0 && bytes.get(start - 1) == Some(&b'<') => true,
                _ => !is_whole && (is_option(bytes, start, end) || is_conf(bytes, start, end)),
            }
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
    let mut blanks = blanks(bytes, at);
    if quote.is_some_and(|quote| !quote.is_plain()) {
        blanks = encoded_blanks(bytes, at);
    }
    let spaced = at + blanks;
    let mark = Mark::at(bytes, spaced)?;
    let after = spaced + mark.len;
    let value = Value {
        name,
        bytes,
        start,
        own: bytes.get(start..end)?,
        writing: mark.writing,
        is_spaced: blanks > 0 && quote.is_none(),
    };
    match (mark.byte, bytes.get(after)) {
        _ if name == Name::Pair => (mark.byte == b'(')
            .then(|| second_of_pair(bytes, after))
            .flatten(),
        _ if name == Name::Identified => {
            identified(bytes, start, spaced).filter(|_| blanks > 0 && quote.is_none())
        }
        // A comparison is no assignment, but what is compared with may be the secret.
        (b'=', Some(b'>' | b'=')) | (b':', Some(b'=')) => value.written(after + 1),
        // A path of Rust, or the name of a secret in AWS.
        (b':', Some(b':')) => None,
        (b':', _) if is_arn(bytes, start) => None,
        (b'=', _) => value.written(after),
        (b':', Some(b' ' | b'\t')) if mark.writing == Writing::Plain => value.written(after).filter(|cut| {
            !matches!(
                name,
                Name::Secret | Name::Keyword | Name::Counter | Name::Identifier
            ) || !innocent::is_sentence(bytes, cut.from, cut.to)
        }),
        (b':', _) => value.written(after),
        (b'-', Some(b'>')) if blanks > 0 => value.written(after + 1),
        (b'>', _) if blanks == 0 && bytes.get(end - 1) == Some(&b'-') => value.written(after),
        (b',', _) if quote.is_some() && is_option(bytes, start, end) => {
            let next = after + count(bytes, after, is_blank);
            quoted(name, bytes, next).filter(|cut| bytes.get(cut.from) != Some(&b'-'))
        }
        // A pair of texts: `('authorization', 'Bearer x')`.
        (b',', _) => quote.and_then(|quote| pair(name, bytes, start, end, quote, after)),
        (b'>', _) if blanks == 0 && opens_element(bytes, start) => Some(element(bytes, after)),
        _ if blanks > 0 && quote.is_none() && opens_element(bytes, start) => {
            let near = bytes.get(..bytes.len().min(spaced + NEAR))?;
            let length = count(near, spaced, |byte| !matches!(byte, b'<' | b'>' | b'\r' | b'\n'));
            let close = spaced + length;
            let has_attributes = bytes.get(spaced..close)?.contains(&b'=');
            (has_attributes && bytes.get(close) == Some(&b'>') && bytes.get(close - 1) != Some(&b'/'))
                .then(|| element(bytes, close + 1))
        }
        (b'(', Some(b'\'' | b'"' | b'\\')) if is_word(bytes, start, end, b"password") && blanks == 0 => {
            quoted(name, bytes, after)
        }
        _ if blanks == 0 || quote.is_some() => None,
        (byte, _) if byte != b'-' && is_option(bytes, start, end) => option(&value.plain(), spaced),
        (b'$', _) if name == Name::Password => dollars(bytes, spaced),
        // `SET s3_secret_access_key TO 'x'`.
        (b'T' | b't', Some(b'o' | b'O')) => {
            let next = after + 1 + count(bytes, after + 1, is_blank);
            (bytes.get(next) == Some(&b'\''))
                .then(|| quoted(name, bytes, next))
                .flatten()
        }
        // `SET PASSWORD FOR ann = 'x'`.
        (b'F' | b'f', _)
            if is_word(bytes, start, end, b"password") && starts_with(bytes, spaced, b"for ") =>
        {
            let near = bytes.get(..bytes.len().min(spaced + NEAR))?;
            let length = count(near, spaced, |byte| !matches!(byte, b'=' | b'\r' | b'\n'));
            (bytes.get(spaced + length) == Some(&b'='))
                .then(|| value.written(spaced + length + 1))
                .flatten()
        }
        // SQL: `PASSWORD 'x'`, and DuckDB's `SECRET 'x'`, unlike people's "secret 'x' not found".
        _ => quoted(name, bytes, spaced)
            .filter(|cut| is_of_sql(value, cut, spaced))
            .or_else(|| conf(&value.plain(), spaced, end)),
    }
}

/// The value of an option of a command.
fn option(value: &Value<'_>, at: usize) -> Option<Cut> {
    let Value { name, bytes, own, .. } = *value;
    if Quote::at(bytes, at).is_some() {
        return quoted(name, bytes, at);
    }
    if matches!(bytes.get(at), Some(b'(' | b'[' | b'<')) {
        return None;
    }
    let cut = bare(value, at)?;
    let text = bytes.get(cut.from..cut.to)?;
    // A manual names what it takes: `--password PASSWORD`.
    let is_named = text.iter().all(u8::is_ascii_uppercase) && text.len() <= own.len();
    let is_source = name == Name::Source
        && [&b"env:"[..], b"file:", b"fd:", b"stdin"]
            .iter()
            .any(|source| text.starts_with(source));
    (!is_named && !is_source).then_some(cut)
}

/// The value of a setting with blanks between, as Spark's files have it: one word up to the end of the line.
fn conf(value: &Value<'_>, at: usize, end: usize) -> Option<Cut> {
    let Value { bytes, start, .. } = *value;
    let cut = bare(value, at).filter(|_| is_conf(bytes, start, end) && starts_line(bytes, start))?;
    let rest = cut.to + count(bytes, cut.to, is_blank);
    matches!(bytes.get(rest), None | Some(b'\r' | b'\n')).then_some(cut)
}

/// Whether a name has at least three parts with dots between.
fn is_conf(bytes: &[u8], start: usize, end: usize) -> bool {
    let dots = bytes
        .get(start..end)
        .unwrap_or_default()
        .iter()
        .filter(|byte| **byte == b'.');
    dots.count() > 1
}

/// Blanks that are encoded, or not.
fn encoded_blanks(bytes: &[u8], at: usize) -> usize {
    let mut to = at;
    while let Some(mark) = Mark::at(bytes, to).filter(|mark| mark.is_blank()) {
        to += mark.len;
    }
    to - at
}

fn is_word(bytes: &[u8], start: usize, end: usize, word: &[u8]) -> bool {
    bytes
        .get(start..end)
        .is_some_and(|found| found.eq_ignore_ascii_case(word))
}

fn starts_with(bytes: &[u8], at: usize, word: &[u8]) -> bool {
    bytes
        .get(at..at + word.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(word))
}

/// Whether a name stands in the name of a secret of AWS: `arn:aws:secretsmanager:eu-west-1:1234:secret:prod/db`.
fn is_arn(bytes: &[u8], start: usize) -> bool {
    let before = start.checked_sub(2).and_then(|from| bytes.get(from..start));
    before.is_some_and(|before| matches!(before, [b'0'..=b'9', b':']))
        && starts_with(bytes, start, b"secret:")
}

/// Whether a name is an element's of XML, which may have a namespace.
fn opens_element(bytes: &[u8], start: usize) -> bool {
    const LONGEST: usize = 32;
    let before = bytes
        .get(start.saturating_sub(LONGEST)..start)
        .unwrap_or_default();
    match before {
        [.., b'<'] | [.., b'&', b'l', b't', b';'] => true,
        [before @ .., b':'] => {
            let name = before
                .iter()
                .rev()
                .take_while(|byte| byte.is_ascii_alphanumeric())
                .count();
            work(name);
            before.iter().rev().nth(name) == Some(&b'<')
        }
        _ => false,
    }
}

/// What an element holds.
fn element(bytes: &[u8], from: usize) -> Cut {
    const DATA: &[u8] = b"<![CDATA[";
    let rest = bytes.get(from..).unwrap_or_default();
    let from = if rest.starts_with(DATA) {
        from + DATA.len()
    } else {
        from
    };
    let length = count(bytes, from, |byte| !matches!(byte, b'<' | b'&' | b']'));
    let ends = |at: usize| match bytes.get(at) {
        Some(b'&') => Mark::at(bytes, at).is_some_and(|mark| mark.byte == b'<'),
        _ => true,
    };
    let mut to = from + length;
    // A reference to another character is a part of it.
    while to < bytes.len() && !ends(to) {
        to += 1 + count(bytes, to + 1, |byte| !matches!(byte, b'<' | b'&'));
    }
    Cut { from, to }
}

/// The second of a pair of texts in parentheses or brackets of its own.
fn pair(name: Name, bytes: &[u8], start: usize, end: usize, quote: Quote<'_>, after: usize) -> Option<Cut> {
    let open = start.checked_sub(quote.len())?;
    let before = |at: usize| at.checked_sub(1).and_then(|at| bytes.get(at));
    let open = if matches!(before(open), Some(b'b' | b'u' | b'r')) {
        open - 1
    } else {
        open
    };
    if !matches!(before(open), Some(b'(' | b'[')) {
        return None;
    }
    let next = after + count(bytes, after, is_blank);
    let cut = quoted(name, bytes, next)?;
    let closed = cut.to + Quote::at(bytes, cut.to).map_or(0, Quote::len);
    let ends = bytes.get(closed + count(bytes, closed, is_blank));
    let is_column = |word: &[u8]| word.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    let are_columns =
        name != Name::Header && is_column(bytes.get(start..end)?) && is_column(bytes.get(cut.from..cut.to)?);
    (matches!(ends, Some(b')' | b']')) && !are_columns).then_some(cut)
}

/// The password of a pair whose parenthesis opens before a place: `('ann', 'x')`.
fn second_of_pair(bytes: &[u8], at: usize) -> Option<Cut> {
    let first = quoted(Name::Secret, bytes, at + count(bytes, at, is_blank))?;
    let closed = first.to + Quote::at(bytes, first.to)?.len();
    let comma = closed + count(bytes, closed, is_blank);
    let second = comma + 1 + count(bytes, comma + 1, is_blank);
    let wrapped = if starts_with(bytes, second, b"Some(") {
        second + 5
    } else {
        second
    };
    (bytes.get(comma) == Some(&b','))
        .then(|| quoted(Name::Secret, bytes, wrapped))
        .flatten()
}

/// SQL's text between dollar signs: `$$x$$`, `$tag$x$tag$`.
fn dollars(bytes: &[u8], at: usize) -> Option<Cut> {
    let near = bytes.get(..bytes.len().min(at + NEAR))?;
    let tag = count(near, at + 1, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let from = at + tag + 2;
    let written = near.get(at..from).filter(|written| written.ends_with(b"$"))?;
    let rest = near.get(from..)?;
    let length = rest.windows(written.len()).position(|here| here == written)?;
    work(length);
    Some(Cut {
        from,
        to: from + length,
    })
}

/// What stands after SQL's `IDENTIFIED`: `BY 'x'`, `WITH plugin BY 'x'`, `BY PASSWORD 'x'`.
fn identified(bytes: &[u8], start: usize, at: usize) -> Option<Cut> {
    let mut words = at;
    for _ in 0..4 {
        if let Some(cut) = quoted(Name::Password, bytes, words).or_else(|| dollars(bytes, words)) {
            return Some(cut);
        }
        let length = count(bytes, words, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let next = words + length + count(bytes, words + length, is_blank);
        let is_by = is_word(bytes, words, words + length, b"by");
        if length == 0 || next == words + length || length > 64 {
            return None;
        }
        // Oracle's needs no quotes.
        let is_of_user = follows_user(bytes, start);
        let bare = count(bytes, next, is_bare);
        if is_by
            && is_of_user
            && bare > 0
            && !starts_with(bytes, next, b"password ")
            && !starts_with(bytes, next, b"values ")
        {
            return Some(Cut {
                from: next,
                to: next + bare,
            });
        }
        words = next;
    }
    None
}

/// Whether `user` and one word stand before a place.
fn follows_user(bytes: &[u8], start: usize) -> bool {
    let near = bytes
        .get(start.saturating_sub(NEAR / 4)..start)
        .unwrap_or_default()
        .trim_ascii_end();
    work(NEAR / 4);
    let name = near
        .iter()
        .rev()
        .take_while(|byte| !byte.is_ascii_whitespace())
        .count();
    let before = near.get(..near.len() - name).unwrap_or_default().trim_ascii_end();
    before
        .len()
        .checked_sub(4)
        .and_then(|from| before.get(from..))
        .is_some_and(|word| word.eq_ignore_ascii_case(b"user"))
}

/// Whether a text after a name and a blank is the value that SQL gives it.
fn is_of_sql(value: Value<'_>, cut: &Cut, at: usize) -> bool {
    let Value {
        name,
        bytes,
        start,
        own,
        ..
    } = value;
    let is_keyword = !own.iter().any(u8::is_ascii_lowercase);
    if bytes.get(cut.from - 1) == Some(&b'"') || at == cut.from {
        return false;
    }
    match name {
        Name::Password => true,
        Name::Secret | Name::Keyword if is_keyword => true,
        Name::Secret if own.contains(&b'_') => true,
        // One of a list of options: `(type s3, secret 'x')`.
        Name::Secret | Name::Keyword => {
            let near = bytes
                .get(start.saturating_sub(8)..start)
                .unwrap_or_default()
                .trim_ascii_end();
            matches!(near.last(), Some(b'(' | b',')) && matches!(bytes.get(cut.to + 1), Some(b',' | b')'))
        }
        _ => false,
    }
}

fn is_option(bytes: &[u8], start: usize, end: usize) -> bool {
    bytes.get(start..end).is_some_and(names::is_option)
}

/// A name's value, and how it is written.
#[derive(Clone, Copy)]
struct Value<'a> {
    name: Name,
    bytes: &'a [u8],
    /// Where the name starts.
    start: usize,
    own: &'a [u8],
    /// How the mark between them is written.
    writing: Writing,
    /// Whether a blank stands before that mark, as in SQL.
    is_spaced: bool,
}

impl Value<'_> {
    /// The same without a mark between.
    fn plain(self) -> Self {
        Self {
            writing: Writing::Plain,
            ..self
        }
    }

    /// What stands after a separator.
    fn written(&self, from: usize) -> Option<Cut> {
        let Self {
            name,
            bytes,
            start,
            own,
            ..
        } = *self;
        let blanks = match self.writing {
            Writing::Plain => blanks(bytes, from),
            _ => encoded_blanks(bytes, from),
        };
        let at = tagged(bytes, from + blanks);
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (b'|' | b'>', _) if let Some(line) = first_line(bytes, at) => block(bytes, start, line),
            (b'<', Some(b'<')) => document(bytes, at),
            // A reference is not the secret.
            (b'$', Some(b'{' | b'(')) | (b'{', Some(b'{')) | (b'!', _) => None,
            (b'$', Some(b'$')) if let Some(cut) = dollars(bytes, at) => Some(cut),
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
            (b'(', _) if own.to_ascii_lowercase().ends_with(b"auth") => second_of_pair(bytes, at + 1),
            // What is within is looked at by itself.
            (b'{' | b'(', _) => None,
            (b'[', Some(b'{' | b'[')) => None,
            (b'[', _) => {
                let length = count(bytes, at + 1, |byte| !matches!(byte, b']' | b'\r' | b'\n'));
                let cut = Cut {
                    from: at + 1,
                    to: at + 1 + length,
                };
                let text = bytes.get(cut.from..cut.to)?;
                let is_said = text
                    .iter()
                    .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'_'));
                (!is_said).then_some(cut)
            }
            _ if Quote::at(bytes, at).is_some() => quoted(name, bytes, at),
            _ if prefix(bytes, at) > 0 => quoted(name, bytes, at),
            _ => match called(bytes, at) {
                Some(called) => called.map(|from| quoted(name, bytes, from)).unwrap_or_default(),
                None => bare(self, at).map(|cut| match name {
                    Name::Password if from < at && starts_line(bytes, start) => {
                        to_line_end(bytes, start, cut)
                    }
                    _ => cut,
                }),
            },
        }
    }
}

/// Where a value starts behind YAML's tag or anchor: `!!str x`, `&name x`.
fn tagged(bytes: &[u8], at: usize) -> usize {
    let is_tag = match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'!'), Some(b'!')) => true,
        (Some(b'&'), Some(next)) => next.is_ascii_alphabetic(),
        _ => false,
    };
    if !is_tag {
        return at;
    }
    let word = count(bytes, at, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'&' | b'_' | b'-')
    });
    let blanks = count(bytes, at + word, is_blank);
    if blanks > 0 { at + word + blanks } else { at }
}

/// A text of several lines up to a word of its own: `<<EOT`, as shells and HCL write it.
fn document(bytes: &[u8], at: usize) -> Option<Cut> {
    let mark = count(bytes, at, |byte| matches!(byte, b'<' | b'-' | b'~'));
    if mark < 2 || bytes.get(at..at + 2) != Some(b"<<") {
        return None;
    }
    let length = count(bytes, at + mark, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'_'
    });
    let word = bytes
        .get(at + mark..at + mark + length)
        .filter(|word| !word.is_empty())?;
    let head = at + mark + length;
    let blanks = count(bytes, head, |byte| matches!(byte, b' ' | b'\t' | b'\r'));
    let from = match (bytes.get(head + blanks)?, bytes.get(head + blanks + 1)) {
        (b'\n', _) => head + blanks + 1,
        // As it was written with an escape.
        (b'\\', Some(b'n' | b'r')) => head + blanks + 2,
        _ => return None,
    };
    let rest = bytes.get(from..)?;
    let mut to = from;
    for line in rest.split(|byte| *byte == b'\n') {
        work(line.len());
        if line.trim_ascii() == word {
            break;
        }
        to += line.len() + 1;
    }
    Some(Cut {
        from,
        to: (to.max(from + 1) - 1).min(bytes.len()),
    })
}

/// Whether an expression stands here, and where the text begins that it is called with: `Some("x")`, `get_token()`.
#[expect(clippy::option_option, reason = "an expression may hold no text")]
fn called(bytes: &[u8], at: usize) -> Option<Option<usize>> {
    const LONGEST: usize = 64;
    let first = *bytes.get(at)?;
    if !first.is_ascii_alphabetic() && first != b'_' {
        return None;
    }
    let near = bytes.get(..bytes.len().min(at + LONGEST))?;
    let length = count(near, at, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':')
    });
    let open = at + length;
    let is_text = Quote::at(bytes, open + 1).is_some() || prefix(bytes, open + 1) > 0;
    let next = bytes.get(open + 1);
    match bytes.get(open)? {
        // A user and a password, which its own name tells.
        b'(' if near.get(at..open)?.ends_with(b"Auth") => Some(None),
        b'(' if is_text && !innocent::is_reader(near.get(at..open)?) => Some(Some(open + 1)),
        b'(' if is_text || next == Some(&b')') => Some(None),
        b'(' if next.is_some_and(u8::is_ascii_alphabetic)
            && bytes.get(open..)?.iter().take(NEAR).any(|byte| *byte == b')') =>
        {
            work(NEAR);
            Some(None)
        }
        b'[' if is_text || next.is_some_and(u8::is_ascii_alphabetic) => Some(None),
        _ => None,
    }
}

/// Length of the letters before a quote, as Python and SQL write them.
fn prefix(bytes: &[u8], at: usize) -> usize {
    if !bytes.get(at).is_some_and(u8::is_ascii_alphabetic) {
        return 0;
    }
    let letters = count_most(bytes, at, 2);
    match Quote::at(bytes, at + letters) {
        Some(quote) if quote.is_plain() => letters,
        _ => 0,
    }
}

fn count_most(bytes: &[u8], at: usize, most: usize) -> usize {
    let near = bytes.get(..bytes.len().min(at + most)).unwrap_or_default();
    count(near, at, |byte| {
        matches!(
            byte,
            b'b' | b'B' | b'r' | b'R' | b'u' | b'U' | b'f' | b'N' | b'n' | b'E' | b'e' | b'X' | b'x' | b'&'
        )
    })
}

/// A text in quotes, which may have a letter before it as Python writes it.
fn quoted(name: Name, bytes: &[u8], at: usize) -> Option<Cut> {
    let at = at + prefix(bytes, at);
    let quote = Quote::at(bytes, at)?;
    let (from, to) = match quote.threefold(bytes, at) {
        Some((threefold, to)) => (at + threefold.len(), to),
        None => (at + quote.len(), quote.close(bytes, at + quote.len())),
    };
    let from = match name {
        Name::Header => from + scheme(bytes, from, to),
        _ => from,
    };
    let value = bytes.get(from..to)?;
    let is_scheme = name == Name::Header && tokens::is_scheme(value.trim_ascii());
    let is_mark = name == Name::Keyword && !value.iter().any(u8::is_ascii_alphanumeric);
    (!is_scheme && !is_mark && !innocent::is_innocent_quoted(value)).then_some(Cut { from, to })
}

/// A text without quotes.
fn bare(value: &Value<'_>, at: usize) -> Option<Cut> {
    let Value {
        name,
        bytes,
        own,
        writing,
        is_spaced,
        ..
    } = *value;
    // What its beginning tells is not read to its end, where a further name may stand.
    let is_directory = matches!(own, b"PWD" | b"OLDPWD") && bytes.get(at) == Some(&b'/');
    if is_directory || starts_with(bytes, at, b"%(") {
        return None;
    }
    let is_line = name == Name::Header && !is_spaced;
    let to = match writing {
        Writing::Plain if is_line => header_end(bytes, at),
        Writing::Percent(depth) => encoded_end(bytes, at, depth, is_line),
        _ => bare_end(bytes, at),
    };
    let text = bytes.get(at..to).filter(|text| !text.is_empty())?;
    // A line of its own holds a password of several words, not a sentence on it.
    let is_line_of_words = name == Name::Password
        && bytes.get(to) == Some(&b' ')
        && bytes.get(to + 1).is_some_and(u8::is_ascii_alphanumeric)
        && !own.starts_with(b"-")
        && starts_line(bytes, value.start);
    if innocent::is_innocent(name, own, text) || !is_line_of_words && innocent::is_of_sentence(text) {
        return None;
    }
    match name {
        Name::Header if is_spaced && innocent::is_innocent(Name::Identifier, own, text) => None,
        Name::Header if text.iter().all(u8::is_ascii_lowercase) => None,
        Name::Header => Some(Cut {
            from: at + scheme(bytes, at, to),
            to,
        }),
        _ => Some(Cut { from: at, to }),
    }
    .filter(|cut| cut.to > cut.from)
}

/// Where a value without quotes ends. A backslash that escapes nothing is a part of it.
fn bare_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at += count(bytes, at, is_bare);
        if bytes.get(at) != Some(&b'\\') {
            return at;
        }
        let slashes = count(bytes, at, |byte| byte == b'\\');
        match bytes.get(at + slashes) {
            Some(next) if is_bare(*next) && !matches!(next, b'n' | b'r' | b't' | b'u' | b'x' | b'/') => {
                at += slashes
            }
            _ => return at,
        }
    }
}

/// Where a value ends that stands in what is percent-encoded: at a mark that is encoded as often, or less.
fn encoded_end(bytes: &[u8], from: usize, depth: usize, is_line: bool) -> usize {
    let mut at = from;
    loop {
        at += count(bytes, at, |byte| is_bare(byte) && byte != b'%');
        let Some(mark) = Mark::at(bytes, at).filter(|mark| matches!(mark.writing, Writing::Percent(_)))
        else {
            match bytes.get(at) {
                Some(b'%') => at += 1,
                _ => return at,
            }
            continue;
        };
        let is_outer = matches!(mark.writing, Writing::Percent(own) if own <= depth);
        let ends = if is_line {
            matches!(mark.byte, b'\r' | b'\n' | b'"' | b'\'')
        } else {
            !is_bare(mark.byte)
        };
        if is_outer && ends {
            return at;
        }
        at += mark.len;
    }
}

/// Where a header's value ends: with its line, or with the text that it stands in. Its parameters may be in quotes.
fn header_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at += count(bytes, at, |byte| {
            !matches!(byte, b'\r' | b'\n' | b'"' | b'\'' | b'\\')
        });
        let is_parameter = at > from && bytes.get(at - 1) == Some(&b'=');
        match Quote::at(bytes, at).filter(|_| is_parameter) {
            Some(quote) => {
                let inner = at + quote.len();
                let close = quote.close(bytes, inner);
                at = close + if is_line_end(bytes, close) { 0 } else { quote.len() };
            }
            None => return at,
        }
    }
}

fn is_line_end(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), None | Some(b'\r' | b'\n'))
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
    follows_written_line_end(bytes, start) || indentation(bytes, start).is_some()
}

/// The rest of the line, without the blanks at its end.
fn to_line_end(bytes: &[u8], start: usize, cut: Cut) -> Cut {
    let is_written = follows_written_line_end(bytes, start);
    let rest = count(bytes, cut.from, |byte| match byte {
        b'\r' | b'\n' => false,
        b'\\' | b'"' | b'\'' => !is_written,
        _ => true,
    });
    let line = bytes.get(cut.from..cut.from + rest).unwrap_or_default();
    Cut {
        to: (cut.from + line.trim_ascii_end().len()).max(cut.to),
        ..cut
    }
}
