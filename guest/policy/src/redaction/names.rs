//! Names of secrets: of settings, headers, options, columns.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind, PatternID};

use super::count;
use super::word::Class;

/// What names a secret wherever it stands in a name, the first that is there. Separators within are left out: `api_key`, `api-key` and `apiKey` are
/// one.
const WORDS: [(&str, Name); 34] = [
    ("authorization", Name::Header),
    ("cookie", Name::Header),
    ("password", Name::Password),
    ("passwd", Name::Password),
    ("passphrase", Name::Password),
    ("passcode", Name::Password),
    ("pwd", Name::Password),
    ("secret", Name::Secret),
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
];
/// What is a secret as a whole name only.
fn whole(name: &[u8]) -> Option<Name> {
    match name {
        b"auth" | b"sig" | b"jwt" | b"uptracedsn" => Some(Name::Secret),
        b"pass" => Some(Name::Counter),
        b"token" => Some(Name::Keyword),
        _ => None,
    }
}

/// Ends of names of what is no secret itself, but tells of one.
const HARMLESS: [&str; 17] = [
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
];
/// Most bytes of a name that are looked at.
const LONGEST: usize = 64;

/// What is known to name a secret.
#[derive(Debug, Clone)]
pub(super) struct Names {
    words: Option<DFA>,
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
    /// The rest of a header.
    Header,
}

impl Names {
    /// The names that are known, and further ones.
    pub(super) fn new(further: &[String]) -> Self {
        let further = further.iter().map(|name| {
            let mut space = [0; LONGEST];
            folded(name.as_bytes(), &mut space).to_vec()
        });
        let words = WORDS
            .iter()
            .map(|(word, _)| word.as_bytes().to_vec())
            .chain(further);
        Self {
            words: DFA::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(words.filter(|word| !word.is_empty()))
                .ok(),
        }
    }

    /// What a name is of.
    pub(super) fn kind(&self, word: &[u8]) -> Option<Name> {
        let mut space = [0; LONGEST];
        // What a name ends in says what it is.
        let name = folded(word.get(word.len().saturating_sub(LONGEST)..)?, &mut space);
        let found = match whole(name) {
            Some(found) => found,
            None => {
                let found = first_of(self.words.as_ref()?, name)?;
                WORDS
                    .get(found.as_usize())
                    .map_or(Name::Secret, |(_, name)| *name)
            }
        };
        let is_harmless = HARMLESS
            .iter()
            .any(|harmless| name.ends_with(harmless.as_bytes()));
        match found {
            _ if is_harmless => None,
            Name::Secret if name.ends_with(b"tokens") => Some(Name::Counter),
            found => Some(found),
        }
    }
}

/// The first word in a name. As the library finds it, without what it does for long texts: names are short.
fn first_of(words: &DFA, name: &[u8]) -> Option<PatternID> {
    let mut state = words.start_state(Anchored::No).ok()?;
    let mut found = None;
    for byte in name {
        state = words.next_state(Anchored::No, state, *byte);
        if words.is_dead(state) {
            break;
        }
        if words.is_match(state) {
            found = Some(words.match_pattern(state, 0));
        }
    }
    found
}

/// A name in lower case, without separators, in the space.
fn folded<'a>(name: &[u8], space: &'a mut [u8; LONGEST]) -> &'a [u8] {
    let mut length = 0;
    for byte in name {
        if Class::of(*byte) == Some(Class::Letter)
            && let Some(place) = space.get_mut(length)
        {
            // Letters become small, and digits have this bit.
            *place = byte | 0x20;
            length += 1;
        }
    }
    space.get(..length).unwrap_or_default()
}

/// Whether a word is an option of a command: `-p` or `--password`.
pub(super) fn is_option(word: &[u8]) -> bool {
    (1..=2).contains(&count(word, 0, |byte| byte == b'-'))
}
