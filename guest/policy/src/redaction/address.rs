//! Credentials in URLs and in addresses of databases.

use super::{Cut, count, work};

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
pub(super) fn credentials_of_url(bytes: &[u8], at: usize) -> Option<Cut> {
    if bytes.get(at + 1..at + 3) != Some(b"//") {
        return None;
    }
    let from = at + 3;
    let length = count(bytes, from, is_authority);
    let authority = bytes.get(from..from + length)?;
    if let Some(user) = authority.iter().rposition(|byte| *byte == b'@') {
        return Some(Cut {
            from,
            to: from + user,
        });
    }
    // A password with a slash in it, which should have been percent-encoded: what looks like a port is none.
    let colon = authority.iter().rposition(|byte| *byte == b':')?;
    let port = authority.get(colon + 1..)?;
    if port.iter().all(u8::is_ascii_digit) || authority.contains(&b']') {
        return None;
    }
    let rest = bytes.get(from + length..)?;
    let near = rest.get(..rest.len().min(BEYOND))?;
    work(near.len());
    let user = near.iter().position(|byte| *byte == b'@')?;
    let is_one = |byte: &u8| *byte == b'/' || is_authority(*byte);
    if !near.get(..user)?.iter().all(is_one) {
        return None;
    }
    Some(Cut {
        from,
        to: from + length + user,
    })
}

/// The password of `user:password@host:port`, of `user:password@tcp(host)` or of `user/password@//host`, whose `@` stands here. What stands before
/// `start` is masked already.
pub(super) fn password_before(bytes: &[u8], start: usize, at: usize) -> Option<Cut> {
    let after = bytes.get(at + 1..)?;
    let host = count(after, 0, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
    });
    let is_address = match after.get(host) {
        Some(b'(') => true,
        Some(b':') if host > 0 => after.get(host + 1).is_some_and(u8::is_ascii_digit),
        Some(b'/') => host > 0 || after.get(1) == Some(&b'/'),
        _ => false,
    };
    if !is_address {
        return None;
    }
    let before = bytes.get(start.max(at.saturating_sub(LONGEST))..at)?;
    let length = before.iter().rev().take_while(|byte| is_user(**byte)).count();
    work(length);
    let user = before.get(before.len() - length..)?;
    // A URL's are masked where it starts.
    let is_url = user
        .split(|byte| *byte == b':')
        .skip(1)
        .any(|rest| rest.starts_with(b"//"));
    let separator = user
        .iter()
        .position(|byte| *byte == b':')
        .or_else(|| user.iter().position(|byte| *byte == b'/'))?;
    (separator > 0 && !is_url).then_some(Cut {
        from: at - length + separator + 1,
        to: at,
    })
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
