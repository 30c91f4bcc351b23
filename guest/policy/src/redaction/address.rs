//! Credentials in URLs and in addresses of databases.

use super::{Cut, Found, count, work};

/// Longest user with a password, in bytes.
const LONGEST: usize = 256;
/// Longest rest of a password beyond where a URL's authority ends, in bytes.
const BEYOND: usize = 32;

fn is_authority(byte: u8) -> bool {
    !matches!(
        byte,
        b'/' | b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'<' | b'>' | b'`'
    )
}

/// User and password of the URL whose `:` stands here, up to the last `@` before its path (RFC 3986 section 3.2).
pub(super) fn credentials_of_url(bytes: &[u8], at: usize) -> Found {
    if bytes.get(at + 1..at + 3) != Some(b"//") {
        return Found::default();
    }
    let from = at + 3;
    let end = from + count(bytes, from, is_authority);
    let authority = bytes.get(from..end).unwrap_or_default();
    if let Some(user) = authority.iter().rposition(|byte| *byte == b'@') {
        return Found {
            cut: Some(Cut {
                from,
                to: from + user,
            }),
            edge: Some(end),
            ..Found::default()
        };
    }
    let Some(colon) = authority.iter().rposition(|byte| *byte == b':') else {
        return Found {
            edge: Some(end),
            ..Found::default()
        };
    };
    let port = authority.get(colon + 1..).unwrap_or_default();
    let is_host = port.iter().all(u8::is_ascii_digit) || authority.contains(&b']');
    let far = password_end(bytes, end).filter(|_| !is_host);
    Found {
        cut: far.map(|to| Cut { from, to }),
        settled: if far.is_some() { 0 } else { end + 1 + BEYOND },
        edge: far.map(|to| to + 1 + count(bytes, to + 1, is_authority)),
        is_partial: false,
    }
}

/// Where a password ends that has a slash in it, which should have been percent-encoded: what looks like a port is none.
fn password_end(bytes: &[u8], authority: usize) -> Option<usize> {
    let rest = bytes.get(authority..)?;
    let near = rest.get(..rest.len().min(BEYOND))?;
    work(near.len());
    let user = near.iter().position(|byte| *byte == b'@')?;
    let is_one = |byte: &u8| *byte == b'/' || is_authority(*byte);
    if !near.get(..user)?.iter().all(is_one) {
        return None;
    }
    // As in an authority, the last `@` ends it.
    let host = authority + user + 1;
    let further = bytes.get(host..host + count(bytes, host, is_authority))?;
    let last = further.iter().rposition(|byte| *byte == b'@');
    Some(last.map_or(host - 1, |last| host + last))
}

/// The password of `user:password@host:port`, of `user:password@tcp(host)` or of `user/password@//host`, whose `@` stands here. What stands before
/// `start` is masked already.
pub(super) fn password_before(bytes: &[u8], start: usize, at: usize) -> Found {
    if !is_address(bytes.get(at + 1..).unwrap_or_default()) {
        return Found::default();
    }
    let before = bytes
        .get(start.max(at.saturating_sub(LONGEST))..at)
        .unwrap_or_default();
    let length = before.iter().rev().take_while(|byte| is_user(**byte)).count();
    work(length);
    let user = before.get(before.len() - length..).unwrap_or_default();
    // A URL's are masked where it starts.
    let is_url = user
        .split(|byte| *byte == b':')
        .skip(1)
        .any(|rest| rest.starts_with(b"//"));
    let separator = user
        .iter()
        .position(|byte| *byte == b':')
        .or_else(|| user.iter().position(|byte| *byte == b'/'))
        .filter(|separator| *separator > 0 && !is_url);
    Found {
        cut: separator.map(|separator| Cut {
            from: at - length + separator + 1,
            to: at,
        }),
        is_partial: length == LONGEST,
        ..Found::default()
    }
}

/// Whether the host of an address and what follows one stand here.
fn is_address(after: &[u8]) -> bool {
    let host = count(after, 0, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
    });
    match after.get(host) {
        Some(b'(') => true,
        Some(b':') if host > 0 => after.get(host + 1).is_some_and(u8::is_ascii_digit),
        Some(b'/') => host > 0 || after.get(1) == Some(&b'/'),
        _ => false,
    }
}

/// Whether the user and the password before the `@` at `at` may begin before `start`.
pub(super) fn may_reach(bytes: &[u8], start: usize, at: usize) -> bool {
    at - start < LONGEST
        && bytes
            .get(start..at)
            .is_some_and(|between| between.iter().all(|byte| is_user(*byte)))
}

/// A byte of a user and a password before a host.
fn is_user(byte: u8) -> bool {
    !matches!(
        byte,
        b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'(' | b',' | b';' | b'=' | b'@'
    )
}
