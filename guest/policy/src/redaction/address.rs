//! Credentials in URLs and in addresses of databases.

use super::marks::{Mark, Writing};
use super::{Cut, Found, count, work};

/// Longest user with a password, in bytes.
const LONGEST: usize = 256;
/// Longest rest of a password beyond where a URL's authority ends, in bytes.
const BEYOND: usize = 192;

/// Where the next `@` of a text stands.
#[derive(Debug, Default)]
pub(super) struct AtSigns {
    next: usize,
}

impl AtSigns {
    /// Whether one stands within a few bytes from a place on. Places are asked for in their order.
    fn is_near(&mut self, bytes: &[u8], from: usize, within: usize) -> bool {
        if self.next < from {
            self.next = from + count(bytes, from, |byte| byte != b'@');
        }
        self.next < bytes.len().min(from + within)
    }
}

fn is_authority(byte: u8) -> bool {
    !matches!(
        byte,
        b'/' | b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'<' | b'>' | b'`'
    )
}

/// User and password of the URL whose `:` stands here, up to the last `@` before its path (RFC 3986 section 3.2).
pub(super) fn credentials_of_url(bytes: &[u8], at: usize, at_signs: &mut AtSigns) -> Found {
    let Some(from) = slashes(bytes, at + 1) else {
        return Found::default();
    };
    let end = authority_end(bytes, from, from > at + 3);
    let authority = bytes.get(from..end).unwrap_or_default();
    // A query may hold an address of mail, a password any mark.
    let query = authority.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let before = query.and_then(|query| authority.get(..query));
    if before.is_some_and(|before| !before.contains(&b'@') && !has_password(before)) {
        return Found {
            edge: Some(end),
            ..Found::default()
        };
    }
    if let Some(user) = authority.iter().rposition(|byte| *byte == b'@') {
        if is_user_alone(authority.get(..user).unwrap_or_default()) {
            return Found {
                edge: Some(end),
                ..Found::default()
            };
        }
        return Found {
            cut: Some(Cut {
                from,
                to: from + user,
            }),
            edge: Some(end),
            ..Found::default()
        };
    }
    if !has_password(authority) {
        return Found {
            edge: Some(end),
            ..Found::default()
        };
    }
    let far = at_signs
        .is_near(bytes, end, BEYOND)
        .then(|| password_end(bytes, end))
        .flatten();
    Found {
        cut: far.map(|to| Cut { from, to }),
        settled: if far.is_some() { 0 } else { end + 1 + BEYOND },
        edge: far.map(|to| to + 1 + count(bytes, to + 1, is_authority)),
        is_partial: false,
    }
}

/// Where the two slashes of a URL end, as they are or as JSON may write them.
fn slashes(bytes: &[u8], at: usize) -> Option<usize> {
    let slash = |at| Mark::at(bytes, at).filter(|mark| mark.byte == b'/');
    let second = at + slash(at)?.len;
    Some(second + slash(second)?.len)
}

/// Where an authority ends; one behind escaped slashes also at the next one.
fn authority_end(bytes: &[u8], from: usize, is_escaped: bool) -> usize {
    let mut end = from;
    loop {
        end += count(bytes, end, |byte| {
            is_authority(byte) && !(is_escaped && byte == b'\\')
        });
        if bytes.get(end) != Some(&b'\\') || Mark::at(bytes, end).is_some_and(|mark| mark.byte == b'/') {
            return end;
        }
        end += count(bytes, end, |byte| byte == b'\\');
    }
}

/// Whether a user's password begins in an authority: what stands behind its `:` is no port.
fn has_password(authority: &[u8]) -> bool {
    let Some(colon) = authority.iter().rposition(|byte| *byte == b':') else {
        return false;
    };
    let port = authority.get(colon + 1..).unwrap_or_default();
    !port.iter().all(u8::is_ascii_digit) && !authority.contains(&b']')
}

/// Whether a user without a password is a name, and no token: `git@`.
fn is_user_alone(user: &[u8]) -> bool {
    const LONGEST: usize = 16;
    user.len() <= LONGEST
        && user
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.'))
}

/// User and password of a URL whose `:` stands here percent-encoded, as `postgres%3A%2F%2Fann%3Ax%40db`.
pub(super) fn encoded(bytes: &[u8], at: usize) -> Option<Cut> {
    const LONGEST: usize = 256;
    let mark =
        |at, byte| Mark::at(bytes, at).filter(|mark| mark.byte == byte && mark.writing != Writing::Plain);
    let colon = mark(at, b':')?;
    let slash = at + colon.len;
    let second = slash + mark(slash, b'/')?.len;
    let from = second + mark(second, b'/')?.len;
    let near = bytes.get(..bytes.len().min(from + LONGEST))?;
    let (mut to, mut end) = (from, None);
    while let Some(byte) = near.get(to).filter(|byte| is_authority(**byte) && **byte != b'&') {
        let found = match byte {
            b'%' => Mark::at(near, to).filter(|mark| mark.writing == colon.writing),
            _ => None,
        };
        match found.map(|mark| mark.byte) {
            Some(b'/') => break,
            Some(b'@') => end = Some(to),
            _ => {}
        }
        work(1);
        to += found.map_or(1, |mark| mark.len);
    }
    end.map(|to| Cut { from, to })
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
    let after = bytes.get(at + 1..).unwrap_or_default();
    // An image's digest is no host.
    let is_digest = [&b"sha256:"[..], b"sha512:"]
        .iter()
        .any(|digest| after.starts_with(digest));
    if is_digest || !is_address(after) {
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
