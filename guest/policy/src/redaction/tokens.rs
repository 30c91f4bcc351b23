//! Secrets that can be told by themselves: private keys, tokens of known issuers, what follows the name of a scheme.

use std::sync::LazyLock;

use super::{Cut, count, work};

/// What begins the line before a key.
pub(super) const PEM: &[u8] = b"-----BEGIN";

/// A form of tokens.
#[derive(Debug)]
pub(super) struct Token {
    prefix: &'static str,
    /// Bytes after the prefix that stay: they tell tokens apart.
    keeps: usize,
    /// Fewest bytes after the prefix.
    least: usize,
    is: fn(u8) -> bool,
}

const fn token(prefix: &'static str, least: usize, is: fn(u8) -> bool) -> Token {
    Token {
        prefix,
        keeps: 0,
        least,
        is,
    }
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn base64(byte: u8) -> bool {
    base64url(byte) || matches!(byte, b'+' | b'/' | b'=')
}

fn dotted(byte: u8) -> bool {
    base64(byte) || matches!(byte, b'.' | b'~')
}

/// Tokens of issuers that make theirs known, by their documentation on secret scanning.
static TOKENS: [Token; 62] = [
    Token {
        keeps: 4,
        ..token("AKIA", 16, alphanumeric)
    },
    Token {
        keeps: 4,
        ..token("ASIA", 16, alphanumeric)
    },
    token("AIza", 35, base64url),
    token("ya29.", 20, dotted),
    token("GOCSPX-", 20, base64url),
    token("1//0", 30, base64url),
    token("ghp_", 20, alphanumeric),
    token("gho_", 20, alphanumeric),
    token("ghu_", 20, alphanumeric),
    token("ghs_", 20, base64url),
    token("ghr_", 20, alphanumeric),
    token("github_pat_", 20, base64url),
    token("glpat-", 16, dotted),
    token("gldt-", 16, base64url),
    token("glrt-", 16, base64url),
    token("xoxa-", 10, base64url),
    token("xoxb-", 10, base64url),
    token("xoxc-", 10, base64url),
    token("xoxd-", 10, dotted),
    token("xoxe-", 10, base64url),
    token("xoxe.", 10, dotted),
    token("xoxo-", 10, base64url),
    token("xoxp-", 10, base64url),
    token("xoxr-", 10, base64url),
    token("xoxs-", 10, base64url),
    token("xapp-", 10, base64url),
    token("hooks.slack.com/services/", 10, dotted),
    token("hooks.slack.com/workflows/", 10, dotted),
    token("discord.com/api/webhooks/", 10, dotted),
    token("dapi", 32, base64url),
    token("dose", 32, alphanumeric),
    token("dkea", 32, alphanumeric),
    token("sk_live_", 16, alphanumeric),
    token("sk_test_", 16, alphanumeric),
    token("rk_live_", 16, alphanumeric),
    token("whsec_", 16, base64),
    token("sk-", 20, base64url),
    token("SG.", 30, dotted),
    token("NRAK-", 20, alphanumeric),
    token("NRII-", 20, base64url),
    token("NRJS-", 16, alphanumeric),
    token("glc_", 20, base64),
    token("glsa_", 20, base64url),
    token("hcaik_", 20, alphanumeric),
    token("hcxik_", 20, alphanumeric),
    token("dt0c01.", 20, dotted),
    token("dt0s01.", 20, dotted),
    token("hvs.", 20, base64url),
    token("hvb.", 20, base64url),
    token("hf_", 30, alphanumeric),
    token("npm_", 30, alphanumeric),
    token("pypi-", 50, base64url),
    token("dop_v1_", 40, alphanumeric),
    token("doo_v1_", 40, alphanumeric),
    token("dbtc_", 16, dotted),
    token("dbtu_", 16, dotted),
    token("dckr_pat_", 20, base64url),
    token("shpat_", 20, alphanumeric),
    token("atlasv1.", 20, dotted),
    token("pscale_tkn_", 16, dotted),
    token("motherduck_token_", 8, dotted),
    token("eyJ", 20, json_web),
];

/// For each byte a bit for each that may follow it where a token or the name of a scheme starts: most words differ at once.
type Starts = [[u64; 4]; 256];

#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static STARTS: Starts = {
    const fn note(starts: &mut Starts, first: u8, second: u8) {
        starts[first as usize][second as usize / 64] |= 1 << (second % 64);
    }
    let mut starts = [[0; 4]; 256];
    let mut number = 0;
    while number < TOKENS.len() {
        let prefix = TOKENS[number].prefix.as_bytes();
        note(&mut starts, prefix[0], prefix[1]);
        number += 1;
    }
    number = 0;
    while number < SCHEMES_OF_TEXT.len() {
        let (first, second) = (SCHEMES_OF_TEXT[number][0], SCHEMES_OF_TEXT[number][1]);
        let (large_first, large_second) = (first.to_ascii_uppercase(), second.to_ascii_uppercase());
        note(&mut starts, first, second);
        note(&mut starts, first, large_second);
        note(&mut starts, large_first, second);
        note(&mut starts, large_first, large_second);
        number += 1;
    }
    starts
};

/// The tokens that start with a byte.
static BY_FIRST: LazyLock<[Vec<&Token>; 256]> = LazyLock::new(|| {
    std::array::from_fn(|first| {
        let starts = |token: &&Token| token.prefix.bytes().next().map(usize::from) == Some(first);
        TOKENS.iter().filter(starts).collect()
    })
});

/// Whether a token or the name of a scheme may start here.
pub(super) fn may_start(bytes: &[u8], at: usize) -> bool {
    let (Some(first), Some(second)) = (bytes.get(at), bytes.get(at + 1)) else {
        return false;
    };
    let seconds = STARTS.get(usize::from(*first));
    let bits = seconds.and_then(|seconds| seconds.get(usize::from(*second / 64)));
    bits.is_some_and(|bits| bits >> (*second % 64) & 1 == 1)
}

/// A JSON Web Token (RFC 7519), or another one that begins with JSON: its parts are told apart by dots.
fn json_web(byte: u8) -> bool {
    base64url(byte) || byte == b'.'
}

/// Longest value of a scheme that is looked at whole.
const LOOKED_AT: usize = 4 * 1024;

impl Token {
    /// The first token in the word `start..end`: at its start, or after what is no letter and no digit.
    pub(super) fn within(
        bytes: &[u8],
        start: usize,
        end: usize,
        is_whole: bool,
        further: &[String],
    ) -> Option<Cut> {
        let mut before = match start {
            0 => b' ',
            start => *bytes.get(start - 1)?,
        };
        let end = if is_whole { start + 1 } else { end };
        for (offset, byte) in bytes.get(start..end)?.iter().enumerate() {
            if !before.is_ascii_alphanumeric()
                && let Some(cut) = Self::at(bytes, start + offset, further)
            {
                return Some(cut);
            }
            before = *byte;
        }
        None
    }

    fn at(bytes: &[u8], at: usize, further: &[String]) -> Option<Cut> {
        let rest = bytes.get(at..)?;
        let known = match may_start(bytes, at) {
            true => BY_FIRST
                .get(usize::from(*rest.first()?))
                .and_then(|tokens| tokens.iter().find_map(|token| token.cut(rest))),
            false => None,
        };
        let cut = known.or_else(|| {
            let prefix = further
                .iter()
                .find(|prefix| rest.starts_with(prefix.as_bytes()))?;
            let length = count(rest, prefix.len(), dotted);
            (length > 0).then_some(Cut {
                from: prefix.len(),
                to: prefix.len() + length,
            })
        })?;
        Some(Cut {
            from: at + cut.from,
            to: at + cut.to,
        })
    }

    fn cut(&self, rest: &[u8]) -> Option<Cut> {
        let prefix = self.prefix.as_bytes();
        if !rest.starts_with(prefix) {
            return None;
        }
        let length = count(rest, self.prefix.len(), self.is);
        (length >= self.least).then_some(Cut {
            from: self.prefix.len() + self.keeps,
            to: self.prefix.len() + length,
        })
    }
}

/// What is within a private key whose `-----BEGIN` ends here (RFC 7468), also where its end is cut off.
pub(super) fn private_key(bytes: &[u8], end: usize) -> Option<Cut> {
    const LABEL: usize = 64;
    let label = count(bytes, end, |byte| byte.is_ascii_uppercase() || byte == b' ');
    let is_private = label <= LABEL && bytes.get(end..end + label)?.ends_with(b"PRIVATE KEY");
    let from = end + label + 5;
    if !is_private || bytes.get(end + label..from) != Some(b"-----") {
        return None;
    }
    let rest = bytes.get(from..)?;
    let length = rest.windows(9).position(|window| window == b"-----END ");
    work(length.unwrap_or(rest.len()));
    Some(Cut {
        from,
        to: from + length.unwrap_or(rest.len()),
    })
}

/// Whether a word names a scheme of authentication (RFC 9110 section 11.1).
pub(super) fn is_scheme(word: &[u8]) -> bool {
    const SCHEMES: [&str; 10] = [
        "bearer",
        "basic",
        "digest",
        "token",
        "apikey",
        "api-token",
        "splunk",
        "key",
        "negotiate",
        "hawk",
    ];
    SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))
}

/// Schemes that are told in the midst of a text.
const SCHEMES_OF_TEXT: [&[u8]; 2] = [b"bearer", b"basic"];

/// Credentials after the name of a scheme in the midst of a text.
pub(super) fn after_scheme(word: &[u8], bytes: &[u8], end: usize) -> Option<Cut> {
    if !SCHEMES_OF_TEXT
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
    {
        return None;
    }
    let from = end + count(bytes, end, |byte| matches!(byte, b' ' | b'\t'));
    let length = count(bytes, from, dotted);
    let value = bytes.get(from..from + length.min(LOOKED_AT))?;
    // "bearer certificates" and "basic Authentication" are words of people.
    let like_a_word = value
        .iter()
        .skip(1)
        .all(|byte| byte.is_ascii_lowercase() || *byte == b'.');
    (from > end && length >= 8 && !like_a_word).then_some(Cut {
        from,
        to: from + length,
    })
}
