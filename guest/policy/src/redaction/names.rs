//! Names of secrets: of settings, headers, options, columns.

use std::sync::LazyLock;

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind, StartKind};

use super::count;
use super::marks::Mark;
use super::word::Class;

/// What names a secret wherever it stands in a name, the first that is there. Separators within are left out: `api_key`, `api-key` and `apiKey` are
/// one.
const WORDS: [(&str, Name); 67] = [
    // What only looks like a secret's.
    ("tokeniz", Name::Other),
    ("tokenis", Name::Other),
    ("tokenbucket", Name::Other),
    ("secretar", Name::Other),
    ("passwordless", Name::Other),
    ("cookiecutter", Name::Other),
    ("proxyauthorization", Name::Header),
    ("authorization", Name::Header),
    ("cookie", Name::Header),
    ("password", Name::Password),
    ("passwd", Name::Password),
    ("passphrase", Name::Password),
    ("passcode", Name::Password),
    ("pwd", Name::Password),
    ("secret", Name::Secret),
    ("tokens", Name::Counter),
    ("token", Name::Secret),
    ("credential", Name::Secret),
    ("apikey", Name::Secret),
    ("appkey", Name::Secret),
    ("applicationkey", Name::Secret),
    ("accesskey", Name::Secret),
    ("accountkey", Name::Secret),
    ("storagekey", Name::Secret),
    ("privatekey", Name::Secret),
    ("licensekey", Name::Secret),
    ("ingestionkey", Name::Secret),
    ("ingestkey", Name::Secret),
    ("insertkey", Name::Secret),
    ("sharedkey", Name::Secret),
    ("saskey", Name::Secret),
    ("signingkey", Name::Secret),
    ("encryptionkey", Name::Secret),
    ("masterkey", Name::Secret),
    ("functionkey", Name::Secret),
    ("subscriptionkey", Name::Secret),
    ("amzsignature", Name::Secret),
    ("googsignature", Name::Secret),
    ("accesssignature", Name::Secret),
    ("clientassertion", Name::Secret),
    ("codeverifier", Name::Secret),
    ("honeycombteam", Name::Secret),
    ("basicauth", Name::Pair),
    ("digestauth", Name::Pair),
    ("ntlmauth", Name::Pair),
    ("proxyauth", Name::Pair),
    ("passwrd", Name::Password),
    ("storepass", Name::Password),
    ("keypass", Name::Password),
    ("passkey", Name::Secret),
    ("authkey", Name::Secret),
    ("fernetkey", Name::Secret),
    ("hmackey", Name::Secret),
    ("writekey", Name::Secret),
    ("integrationkey", Name::Secret),
    ("sessionkey", Name::Secret),
    ("servicekey", Name::Secret),
    ("aeskey", Name::Secret),
    ("cipherkey", Name::Secret),
    ("consumerkey", Name::Secret),
    ("deploykey", Name::Secret),
    ("sshkey", Name::Secret),
    ("keydata", Name::Secret),
    ("creds", Name::Secret),
    ("jsessionid", Name::Secret),
    ("phpsessid", Name::Secret),
    ("oauthsignature", Name::Secret),
];
/// What is a secret as a whole name only.
fn whole(name: &[u8]) -> Option<Name> {
    const LONGEST: usize = 12;
    if name.len() > LONGEST {
        return None;
    }
    let mut space = [0; LONGEST];
    let length = letters(name)
        .zip(&mut space)
        .map(|(letter, place)| *place = letter)
        .count();
    match space.get(..length)? {
        b"auth" | b"sig" | b"jwt" | b"uptracedsn" | b"otp" | b"totp" | b"bearer" | b"pw" => {
            Some(Name::Secret)
        }
        b"pass" => Some(Name::Counter),
        b"passin" | b"passout" => Some(Name::Source),
        b"token" => Some(Name::Keyword),
        b"identified" => Some(Name::Identified),
        _ => None,
    }
}

/// What is a secret at the end of a name, where a part of the name begins: `db_pass`, `smtpPass`, but not `bypass`.
const ENDS: [(&[u8], Name); 4] = [
    (b"pass", Name::Mechanism),
    (b"pw", Name::Mechanism),
    (b"pswd", Name::Password),
    (b"auth", Name::Mechanism),
];

/// What is a secret in the query of a URL, at `start..end`.
pub(super) fn in_query(bytes: &[u8], start: usize, end: usize) -> Option<Name> {
    // Any mark before it may be encoded.
    if !matches!(
        bytes.get(start.checked_sub(1)?)?,
        b'?' | b'&' | b';' | b'0'..=b'9' | b'F' | b'f'
    ) {
        return None;
    }
    let name = bytes.get(start..end).filter(|name| name.len() <= 9)?;
    let (_, least) = [
        (&b"signature"[..], 1),
        (b"hmac", 1),
        (b"key", 16),
        (b"code", 16),
        (b"appid", 16),
    ]
    .into_iter()
    .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let from = end + Mark::at(bytes, end).filter(|mark| mark.byte == b'=')?.len;
    let length = count(bytes, from, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
    });
    let value = bytes.get(from..from + length)?;
    let is_long = length >= least && (least == 1 || value.iter().any(u8::is_ascii_digit));
    is_long.then_some(Name::Secret)
}

/// Last parts of a dotted name that tell nothing without the part before.
const PLAIN: [&[u8]; 8] = [
    b"key", b"value", b"string", b"data", b"text", b"default", b"raw", b"pass",
];

/// Kinds of dbt's unique ids, which are no names of settings: `test.shop.not_null_orders_token_id`.
const KINDS: [&[u8]; 9] = [
    b"test.",
    b"model.",
    b"seed.",
    b"source.",
    b"snapshot.",
    b"operation.",
    b"exposure.",
    b"unit_test.",
    b"macro.",
];

/// Ends of names of what is no secret itself, but tells of one.
const HARMLESS: [&str; 69] = [
    "path",
    "file",
    "name",
    "ref",
    "type",
    "uri",
    "url",
    "expiry",
    "expires",
    "expiresin",
    "count",
    "length",
    "limit",
    "usage",
    "policy",
    "env",
    "scope",
    "arn",
    "ttl",
    "version",
    "endpoint",
    "date",
    "time",
    "valid",
    "required",
    "enabled",
    "disabled",
    "provider",
    "source",
    "process",
    "helper",
    "backend",
    "format",
    "class",
    "size",
    "status",
    "state",
    "index",
    "encryption",
    "method",
    "algorithm",
    "issuer",
    "audience",
    "lifetime",
    "age",
    "rotation",
    "manager",
    "store",
    "storage",
    "directory",
    "column",
    "error",
    "exception",
    "warning",
    "seconds",
    "minutes",
    "hours",
    "days",
    "edat",
    "esat",
    "lastchanged",
    "stdin",
    "prompt",
    "consent",
    "domain",
    "existingsecret",
    "passwordkey",
    "permission",
    "permissions",
];
/// Most bytes of a name that are looked at.
const LONGEST: usize = 64;

/// What is known to name a secret.
#[derive(Debug, Clone)]
pub(super) struct Names {
    words: Option<DFA>,
    /// What a manifest adds.
    further: Option<DFA>,
}

/// What a name tells of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A secret in one word.
    Secret,
    /// A secret that people make up, which may hold spaces.
    Password,
    /// A secret, unless it is a number: `max_tokens`, and dbt's `PASS=5`.
    Counter,
    /// A secret, unless it is a keyword: `unexpected token: FROM`.
    Keyword,
    /// A secret, unless it is a number or another column: `where token_id = 42`.
    Identifier,
    /// A secret, unless it is a word: `http_auth=basic`, `first_pass=done`.
    Mechanism,
    /// A secret, or where to read it: `pass:x`, `file:/x`.
    Source,
    /// A user and a password, in parentheses.
    Pair,
    /// SQL's `IDENTIFIED BY`.
    Identified,
    /// A manifest's: always a secret.
    Given,
    /// No secret.
    Other,
    /// The rest of a header.
    Header,
}

impl Names {
    /// The names that are known, and further ones.
    pub(super) fn new(further: &[String]) -> Self {
        let further = further.iter().map(|name| {
            let letters = letters(name.as_bytes());
            letters.take(LONGEST).collect::<Vec<u8>>()
        });
        let further: Vec<Vec<u8>> = further.filter(|name| !name.is_empty()).collect();
        Self {
            words: automaton(WORDS.iter().map(|(word, _)| word.as_bytes())),
            further: if further.is_empty() {
                None
            } else {
                automaton(further)
            },
        }
    }

    /// The names that everybody knows.
    pub(super) fn known() -> &'static Self {
        static KNOWN: LazyLock<Names> = LazyLock::new(|| Names::new(&[]));
        &KNOWN
    }

    /// What a name is of.
    pub(super) fn kind(&self, word: &[u8]) -> Option<Name> {
        // What a name ends in says what it is.
        let word = word.get(word.len().saturating_sub(LONGEST)..)?;
        if self
            .further
            .as_ref()
            .is_some_and(|further| first_of(further, word).is_some())
        {
            return Some(Name::Given);
        }
        let part = telling_part(word)?;
        let found = whole(part)
            .or_else(|| self.known_in(part))
            .or_else(|| ending(part))?;
        match found {
            Name::Other => None,
            _ if is_harmless(part) || word.starts_with(b"--no-") => None,
            Name::Secret | Name::Password if ends_in(part, b"id") && !ends_in(part, b"keyid") => {
                Some(Name::Identifier)
            }
            found => Some(found),
        }
    }

    /// What the first word of a secret in a name says.
    fn known_in(&self, name: &[u8]) -> Option<Name> {
        let (number, end) = first_of(self.words.as_ref()?, name)?;
        let (_, found) = WORDS.get(number)?;
        let rest = name.get(end..)?;
        match found {
            // A header, but not `authorization_id`.
            Name::Header if !matches!(rest, b"" | b"s" | b"S" | b"2") => self.known_in(rest),
            Name::Pair if !rest.is_empty() => None,
            found => Some(*found),
        }
    }
}

/// The letters and digits of a name, small: separators and capitals tell nothing.
fn letters(name: &[u8]) -> impl DoubleEndedIterator<Item = u8> + '_ {
    let is_letter = |byte: &&u8| Class::of(**byte) == Some(Class::Letter);
    // Digits have this bit.
    name.iter().filter(is_letter).map(|byte| byte | 0x20)
}

fn ends_in(name: &[u8], end: &[u8]) -> bool {
    let mut letters = letters(name).rev();
    end.iter().rev().all(|byte| letters.next() == Some(*byte))
}

/// The part of a dotted name that tells what it is: the last one, with what it belongs to.
fn telling_part(word: &[u8]) -> Option<&[u8]> {
    let is_separator = |byte: &u8| *byte == b'.';
    let Some(last) = word.iter().rposition(is_separator) else {
        return Some(word);
    };
    if KINDS.iter().any(|kind| word.starts_with(kind))
        && word.iter().filter(|byte| is_separator(byte)).count() > 1
    {
        return None;
    }
    let part = word.get(last + 1..)?;
    let is_plain = part.is_empty() || PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(part));
    // Hadoop's `fs.azure.account.key.ACCOUNT.blob.core.windows.net`.
    if word.ends_with(b".windows.net") {
        return Some(word);
    }
    if !is_plain {
        return Some(part);
    }
    let before = word.get(..last)?.iter().rposition(is_separator);
    word.get(before.map_or(0, |before| before + 1)..)
}

/// What the last word of a name says, where it begins with a capital letter or after a separator.
fn ending(name: &[u8]) -> Option<Name> {
    if !matches!(name.last()? | 0x20, b's' | b'w' | b'd' | b'h') {
        return None;
    }
    ENDS.iter().find_map(|(end, found)| {
        let from = name.len().checked_sub(end.len())?;
        let last = name.get(from..).filter(|last| last.eq_ignore_ascii_case(end))?;
        let before = name.get(from.checked_sub(1)?)?;
        let begins = matches!(before, b'_' | b'-' | b'.')
            || before.is_ascii_lowercase() && last.first().is_some_and(u8::is_ascii_uppercase);
        begins.then_some(*found)
    })
}

/// Whether a name ends in what is harmless: read from its end on.
fn is_harmless(name: &[u8]) -> bool {
    static ENDS: LazyLock<Option<DFA>> = LazyLock::new(|| {
        let backwards = HARMLESS.iter().map(|end| end.bytes().rev().collect::<Vec<u8>>());
        DFA::builder()
            .start_kind(StartKind::Anchored)
            .build(backwards)
            .ok()
    });
    let Some(ends) = ENDS.as_ref() else {
        return false;
    };
    let Ok(mut state) = ends.start_state(Anchored::Yes) else {
        return false;
    };
    for letter in letters(name).rev() {
        state = ends.next_state(Anchored::Yes, state, letter);
        if ends.is_dead(state) || ends.is_match(state) {
            break;
        }
    }
    ends.is_match(state)
}

fn automaton<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Option<DFA> {
    DFA::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(words)
        .ok()
}

/// The number of the first word in a name, and where it ends. As the library finds it, without what it does for long texts: names are short.
fn first_of(words: &DFA, name: &[u8]) -> Option<(usize, usize)> {
    let mut state = words.start_state(Anchored::No).ok()?;
    let mut found = None;
    for (at, byte) in name.iter().enumerate() {
        if Class::of(*byte) != Some(Class::Letter) {
            continue;
        }
        state = words.next_state(Anchored::No, state, byte | 0x20);
        if words.is_special(state) {
            if words.is_dead(state) {
                break;
            }
            if words.is_match(state) {
                found = Some((words.match_pattern(state, 0).as_usize(), at + 1));
            }
        }
    }
    found
}

/// Whether a word is an option of a command: `-p` or `--password`.
pub(super) fn is_option(word: &[u8]) -> bool {
    (1..=2).contains(&count(word, 0, |byte| byte == b'-'))
}
