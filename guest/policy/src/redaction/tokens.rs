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

fn hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn in_path(byte: u8) -> bool {
    dotted(byte) || matches!(byte, b'@' | b':' | b'%')
}

fn dotted(byte: u8) -> bool {
    base64(byte) || matches!(byte, b'.' | b'~')
}

/// Tokens of issuers that make theirs known, by their documentation on secret scanning.
static TOKENS: [Token; 178] = [
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
    token("glptt-", 16, base64url),
    token("glcbt-", 16, base64url),
    token("glft-", 16, base64url),
    token("glimt-", 16, base64url),
    token("glagent-", 16, base64url),
    token("glsoat-", 16, base64url),
    token("gloas-", 16, base64url),
    token("glffct-", 16, base64url),
    token("ABIA", 16, alphanumeric),
    token("ACCA", 16, alphanumeric),
    token("ABSK", 60, base64),
    token("GOOG1", 20, alphanumeric),
    token("LTAI", 16, alphanumeric),
    token("AGE-SECRET-KEY-1", 20, alphanumeric),
    token("PMAK-", 20, base64url),
    token("lin_api_", 16, alphanumeric),
    token("lin_oauth_", 16, alphanumeric),
    token("figd_", 16, base64url),
    token("ntn_", 20, alphanumeric),
    token("gsk_", 20, alphanumeric),
    token("r8_", 20, alphanumeric),
    token("xai-", 30, base64url),
    token("pplx-", 30, alphanumeric),
    token("api_org_", 20, alphanumeric),
    token("lsv2_pt_", 16, base64url),
    token("lsv2_sk_", 16, base64url),
    token("dp.pt.", 20, alphanumeric),
    token("dp.st.", 20, dotted),
    token("dp.ct.", 20, alphanumeric),
    token("dp.sa.", 20, alphanumeric),
    token("dp.scim.", 20, alphanumeric),
    token("dp.audit.", 20, alphanumeric),
    token("ATATT3", 20, base64),
    token("ATCTT3", 20, base64),
    token("ATBB", 24, alphanumeric),
    token("sntrys_", 20, base64),
    token("sntryu_", 20, alphanumeric),
    token("sntrya_", 20, alphanumeric),
    token("tskey-", 16, base64url),
    token("xkeysib-", 20, base64url),
    token("xsmtpsib-", 20, base64url),
    token("pul-", 32, alphanumeric),
    token("rubygems_", 20, alphanumeric),
    token("nfp_", 20, alphanumeric),
    token("sbp_", 20, alphanumeric),
    token("sb_secret_", 16, base64url),
    token("napi_", 20, alphanumeric),
    token("dor_v1_", 40, alphanumeric),
    token("pscale_pw_", 16, dotted),
    token("pscale_oauth_", 16, dotted),
    token("dckr_oat_", 20, base64url),
    token("shpss_", 20, alphanumeric),
    token("shpca_", 20, alphanumeric),
    token("shppa_", 20, alphanumeric),
    token("sq0csp-", 16, base64url),
    token("sq0atp-", 16, base64url),
    token("rk_test_", 16, alphanumeric),
    token("sk_org_", 16, alphanumeric),
    token("EAACEdEose0cBA", 16, alphanumeric),
    token("AKCp", 60, alphanumeric),
    token("cmVmd", 50, alphanumeric),
    token("pnu_", 20, alphanumeric),
    token("pnb_", 20, alphanumeric),
    token("CCIPAT_", 16, base64url),
    token("CCIPRJ_", 16, base64url),
    token("bkua_", 20, alphanumeric),
    token("CFPAT-", 20, base64url),
    token("HRKU-", 20, base64url),
    token("fo1_", 30, base64url),
    token("FlyV1", 20, dotted),
    token("fm2_", 30, base64),
    token("ops_eyJ", 20, base64),
    token("sgp_", 30, alphanumeric),
    token("rdme_", 30, alphanumeric),
    token("aio_", 20, alphanumeric),
    token("oy2", 43, alphanumeric),
    token("CLOJARS_", 40, alphanumeric),
    token("mdb_sa_sk_", 20, base64url),
    token("CCDB1_", 20, base64url),
    token("hvr.", 20, base64url),
    token("key-", 32, alphanumeric),
    token("SK", 32, hexadecimal),
    token("ghe_", 20, alphanumeric),
    token("glpat.", 16, dotted),
    token("LS0tLS1CRUdJTiBQUklWQVRFIEtFWS", 10, base64),
    token("LS0tLS1CRUdJTiBSU0EgUFJJVkFURS", 10, base64),
    token("LS0tLS1CRUdJTiBFQyBQUklWQVRFI", 10, base64),
    token("LS0tLS1CRUdJTiBEU0EgUFJJVkFURS", 10, base64),
    token("LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUg", 10, base64),
    token("LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURS", 10, base64),
    token("hooks.slack.com/triggers/", 10, dotted),
    token("discordapp.com/api/webhooks/", 10, dotted),
    token("discord.com/api/v", 10, dotted),
    token("webhook.office.com/webhookb2/", 10, in_path),
    token("outlook.office.com/webhook/", 10, in_path),
    token("outlook.office365.com/webhook/", 10, in_path),
    token("api.telegram.org/bot", 10, in_path),
    token("events.pagerduty.com/integration/", 10, dotted),
    token("events.eu.pagerduty.com/integration/", 10, dotted),
    token("hooks.zapier.com/hooks/", 10, dotted),
    token("maker.ifttt.com/trigger/", 10, dotted),
    token("hook.eu1.make.com/", 10, dotted),
    token("hook.eu2.make.com/", 10, dotted),
    token("hook.us1.make.com/", 10, dotted),
    token("hook.us2.make.com/", 10, dotted),
    token("hook.integromat.com/", 10, dotted),
    token("alert.victorops.com/integrations/", 10, dotted),
    token("hc-ping.com/", 10, dotted),
    token("cronitor.link/", 10, dotted),
    token("nosnch.in/", 6, dotted),
    token("api.squadcast.com/v2/incidents/", 10, dotted),
    token("api.flock.com/hooks/", 10, dotted),
    token("zenduty.com/api/events/", 10, dotted),
    token("uptime.betterstack.com/api/v1/heartbeat/", 10, dotted),
    token("ver:1-hint:", 10, dotted),
    token("sha256~", 20, base64url),
    token("eyJ", 20, json_web),
];

/// For each byte a bit for each that may follow it where a token or the name of a scheme starts: most words differ at once.
type Starts = [[u64; 4]; 256];

#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn starts(is_whole: bool) -> Starts {
    const fn note(starts: &mut Starts, first: u8, second: u8) {
        starts[first as usize][second as usize / 64] |= 1 << (second % 64);
    }
    const fn is_word(prefix: &[u8]) -> bool {
        let mut at = 0;
        while at < prefix.len() && !matches!(prefix[at], b':' | b'/') {
            if matches!(prefix[at], b'_' | b'-' | b'.') {
                return false;
            }
            at += 1;
        }
        true
    }
    let mut starts = [[0; 4]; 256];
    let mut number = 0;
    while number < TOKENS.len() {
        let prefix = TOKENS[number].prefix.as_bytes();
        if !is_whole || is_word(prefix) {
            note(&mut starts, prefix[0], prefix[1]);
        }
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
}

static STARTS: Starts = starts(false);
/// Of tokens that begin without a separator: others make a word of several parts.
static STARTS_OF_WHOLE: Starts = starts(true);

/// The tokens that start with a byte.
static BY_FIRST: LazyLock<[Vec<&Token>; 256]> = LazyLock::new(|| {
    std::array::from_fn(|first| {
        let starts = |token: &&Token| token.prefix.bytes().next().map(usize::from) == Some(first);
        TOKENS.iter().filter(starts).collect()
    })
});

/// Whether a token or the name of a scheme may start here.
fn may_start(bytes: &[u8], at: usize) -> bool {
    is_noted(&STARTS, bytes, at)
}

/// Whether a word without separators may begin a token or name a scheme.
pub(super) fn may_be_whole(bytes: &[u8], at: usize) -> bool {
    is_noted(&STARTS_OF_WHOLE, bytes, at)
}

fn is_noted(starts: &Starts, bytes: &[u8], at: usize) -> bool {
    let (Some(first), Some(second)) = (bytes.get(at), bytes.get(at + 1)) else {
        return false;
    };
    let seconds = starts.get(usize::from(*first));
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
    /// So many bytes after its prefix tell whether it is a token: a word may hold many prefixes.
    const NEAR: usize = 64;

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
        let near = rest.get(..rest.len().min(prefix.len() + Self::NEAR))?;
        let length = count(near, prefix.len(), self.is);
        // `sk-learn-and-further-words` are words of people.
        let is_mixed = || {
            let token = near.get(prefix.len()..prefix.len() + length).unwrap_or_default();
            token
                .iter()
                .any(|byte| !byte.is_ascii_lowercase() && *byte != b'-' && *byte != b'_')
        };
        (length >= self.least && is_mixed()).then(|| Cut {
            from: prefix.len() + self.keeps,
            to: prefix.len() + count(rest, prefix.len(), self.is),
        })
    }
}

/// What is within a private key whose `-----BEGIN` (RFC 7468) or `---- BEGIN` (RFC 4716) ends here with a word, also where its end is cut off.
pub(super) fn private_key(word: &[u8], bytes: &[u8], end: usize) -> Option<Cut> {
    const LABEL: usize = 64;
    if !word.starts_with(b"-") && !word.ends_with(PEM) {
        return None;
    }
    let (end, close, last) = if word.ends_with(PEM) {
        (end, &b"-----"[..], &b"-----END "[..])
    } else if word.ends_with(b"----") && bytes.get(end..)?.starts_with(b" BEGIN SSH2") {
        (end + 6, &b"----"[..], &b"---- END "[..])
    } else {
        return None;
    };
    let label = count(bytes, end, |byte| {
        byte.is_ascii_uppercase() || matches!(byte, b' ' | b'2')
    });
    let text = bytes.get(end..end + label)?.trim_ascii_end();
    let is_private =
        label <= LABEL && (text.ends_with(b"PRIVATE KEY") || text.ends_with(b"PRIVATE KEY BLOCK"));
    let from = end + label + close.len();
    if !is_private || bytes.get(end + label..from) != Some(close) {
        return None;
    }
    let rest = bytes.get(from..)?;
    let length = rest.windows(9).position(|window| window == last);
    work(length.unwrap_or(rest.len()));
    Some(Cut {
        from,
        to: from + length.unwrap_or(rest.len()),
    })
}

/// What is secret in the path of a webhook whose `hooks` or such ends here: from the first part on that is as long and mixed as a key.
pub(super) fn webhook(word: &[u8], bytes: &[u8], end: usize) -> Option<Cut> {
    const KINDS: [&[u8]; 6] = [
        b"hook",
        b"hooks",
        b"webhook",
        b"webhooks",
        b"webhookb2",
        b"formatted_webhook",
    ];
    const NEAR: usize = 128;
    const LEAST: usize = 16;
    if !KINDS.contains(&word) {
        return None;
    }
    let of_path = |byte| in_path(byte) && byte != b'=';
    let near = bytes.get(..bytes.len().min(end + NEAR))?;
    let length = count(near, end, of_path);
    let path = near.get(end..end + length)?;
    let mut from = end;
    for part in path.split(|byte| *byte == b'/') {
        let letters = part.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
        if part.len() >= LEAST && letters > 0 && digits > 1 {
            let to = from + count(bytes, from, of_path);
            return Some(Cut { from, to });
        }
        from += part.len() + 1;
    }
    None
}

/// A client's secret of Azure, whose first part ends before a `~`: `abC8Q~`.
pub(super) fn of_azure(bytes: &[u8], end: usize) -> Option<Cut> {
    const LEAST: usize = 31;
    if bytes.get(end) != Some(&b'~') {
        return None;
    }
    let before = bytes.get(end.checked_sub(5)?..end)?;
    let is_first =
        before.iter().all(|byte| dotted(*byte)) && before.ends_with(b"Q") && before.get(3)?.is_ascii_digit();
    if !is_first {
        return None;
    }
    let length = count(bytes, end + 1, |byte| {
        base64url(byte) || matches!(byte, b'.' | b'~')
    });
    (length >= LEAST).then_some(Cut {
        from: end + 1,
        to: end + 1 + length,
    })
}

/// A bot's token of Telegram, whose `:` stands here after its number.
pub(super) fn of_bot(bytes: &[u8], at: usize) -> Option<Cut> {
    const LENGTH: usize = 35;
    let number = bytes.get(at.checked_sub(8)?..at)?;
    let near = bytes.get(..bytes.len().min(at + 2 + LENGTH))?;
    let length = count(near, at + 1, base64url);
    (number.iter().all(u8::is_ascii_digit) && length >= LENGTH - 1).then_some(Cut {
        from: at + 1,
        to: at + 1 + count(bytes, at + 1, base64url),
    })
}

/// Whether a word names a scheme of authentication (RFC 9110 section 11.1).
pub(super) fn is_scheme(word: &[u8]) -> bool {
    const SCHEMES: [&str; 13] = [
        "snowflake",
        "googlelogin",
        "oauth",
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
    // A challenge has parameters: `Bearer realm="x"`.
    let is_challenge =
        value.ends_with(b"=") && matches!(bytes.get(from + length), Some(b'"' | b'\\' | b'\'' | b'*'));
    // "bearer certificates" and "basic Authentication" are words of people.
    let like_a_word = value
        .iter()
        .skip(1)
        .all(|byte| byte.is_ascii_lowercase() || *byte == b'.');
    (from > end && length >= 8 && !like_a_word && !is_challenge).then_some(Cut {
        from,
        to: from + length,
    })
}
