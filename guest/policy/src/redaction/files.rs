//! Files that tell a password by its place: `.netrc` and `.pgpass`.

use super::marks::Mark;
use super::{Cut, count};

/// Longest field of an entry, in bytes.
const LONGEST: usize = 128;

/// The password of an entry of `.netrc` whose `machine` or `default` stands at `start..end`.
pub(super) fn netrc(bytes: &[u8], start: usize, end: usize) -> Option<Cut> {
    let mut at = match bytes.get(start..end)? {
        b"machine" => field(bytes, blanks(bytes, end)?)?,
        b"default" => end,
        _ => return None,
    };
    for _ in 0..3 {
        let from = blanks(bytes, at)?;
        let to = field(bytes, from)?;
        let value = blanks(bytes, to)?;
        at = field(bytes, value)?;
        match bytes.get(from..to)? {
            b"login" | b"account" => {}
            b"password" => return Some(Cut { from: value, to: at }),
            _ => return None,
        }
    }
    None
}

/// Where the blanks and line ends that stand here end, also where they were written with escapes.
fn blanks(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += count(bytes, at, |byte| byte.is_ascii_whitespace());
        match bytes.get(at..at + 2) {
            Some(b"\\n" | b"\\r" | b"\\t") => at += 2,
            _ => break,
        }
        if at - from > LONGEST {
            return None;
        }
    }
    (at > from).then_some(at)
}

fn field(bytes: &[u8], from: usize) -> Option<usize> {
    let near = bytes.get(..bytes.len().min(from + LONGEST))?;
    let length = count(near, from, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'\\' | b'"' | b'\'')
    });
    (length > 0).then_some(from + length)
}

/// The password of an entry of `.pgpass`, whose first `:` stands here: `host:port:database:user:password` on a line of its own.
pub(super) fn pgpass(bytes: &[u8], colon: usize) -> Option<Cut> {
    if !matches!(bytes.get(colon + 1)?, b'*' | b'0'..=b'9') {
        return None;
    }
    let port = part(bytes, colon + 1)?;
    let database = part(bytes, port + 1)?;
    let user = part(bytes, database + 1)?;
    let is_port = match bytes.get(colon + 1..port)? {
        b"*" => true,
        port => (2..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit),
    };
    let is_name = |name: &[u8]| name.iter().any(|byte| byte.is_ascii_alphabetic()) || name == b"*";
    let are_names = is_name(bytes.get(port + 1..database)?) && is_name(bytes.get(database + 1..user)?);
    // An address of IPv6 has such parts only.
    let is_hexadecimal = bytes
        .get(port + 1..user)?
        .iter()
        .all(|byte| byte.is_ascii_hexdigit() || *byte == b':');
    if !is_port || !are_names || is_hexadecimal || !starts_line(bytes, colon) {
        return None;
    }
    let from = user + 1;
    let near = bytes.get(..bytes.len().min(from + LONGEST))?;
    let length = count(near, from, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'')
    });
    (length > 0).then_some(Cut {
        from,
        to: from + length,
    })
}

/// The `:` after a part without blanks.
fn part(bytes: &[u8], from: usize) -> Option<usize> {
    let near = bytes.get(..bytes.len().min(from + LONGEST))?;
    let length = count(near, from, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'_' | b'-' | b'.')
    });
    (length > 0 && bytes.get(from + length) == Some(&b':')).then_some(from + length)
}

/// Whether nothing but a host stands before a place in its line.
fn starts_line(bytes: &[u8], at: usize) -> bool {
    let near = bytes.get(at.saturating_sub(LONGEST)..at).unwrap_or_default();
    let is_host = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'*' | b'_');
    let length = near.iter().rev().take_while(is_host).count();
    super::work(length);
    let before = at - length;
    let ends_line =
        |before: usize| Mark::at(bytes, before).is_some_and(|mark| matches!(mark.byte, b'\n' | b'"' | b'\''));
    length > 0 && before.checked_sub(1).is_none_or(ends_line)
}
