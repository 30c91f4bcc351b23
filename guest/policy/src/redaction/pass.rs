//! One pass over a text, and what it may leave to another.

use std::ops::Range;

use super::address::{self, AtSigns};
use super::command::{self, Called};
use super::marks;
use super::names::{self, Name};
use super::tokens::{self, Token};
use super::word::{Class, Word, count};
use super::{MASK, Redactor, files, value};

/// A part of the text that is masked: bytes `from..to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) from: usize,
    pub(super) to: usize,
}

/// What stands at a place of the text.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Found {
    /// What of it is masked.
    pub(super) cut: Option<Cut>,
    /// From where on a mask does not change how it is read.
    pub(super) settled: usize,
    /// What ends it: it goes on where a mask takes this away.
    pub(super) edge: Option<usize>,
    /// Whether more of it may be read once this is masked.
    pub(super) is_partial: bool,
}

impl From<Option<Cut>> for Found {
    fn from(cut: Option<Cut>) -> Self {
        Self {
            cut,
            ..Self::default()
        }
    }
}

/// What a word may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Looks {
    like_name: bool,
    like_token: bool,
    like_address: bool,
    like_command: bool,
}

impl Looks {
    const PLAIN: Self = Self {
        like_name: false,
        like_token: false,
        like_address: false,
        like_command: false,
    };
}

/// What came of one pass.
pub(super) struct Pass {
    pub(super) text: String,
    /// Whether another pass may find more.
    pub(super) again: bool,
}

impl Redactor {
    /// One pass over a text; nothing where there is nothing to mask.
    pub(super) fn pass(&self, text: &str) -> Option<Pass> {
        let bytes = text.as_bytes();
        let mut redacted = String::new();
        let (mut again, mut of_url) = (false, false);
        let (mut at, mut copied, mut settled, mut edge) = (0, 0, 0, None);
        let (mut called, mut at_signs) = (Called::default(), AtSigns::default());
        loop {
            at += count(bytes, at, |byte| Class::of(byte).is_none());
            let Some(class) = bytes.get(at).and_then(|byte| Class::of(*byte)) else {
                break;
            };
            // What is beside a mask may be read otherwise when it stands beside the secret.
            let (found, end) = match class {
                Class::Letter | Class::Separator => {
                    again |= copied > 0 && at == copied;
                    let word = Word::at(bytes, at);
                    let looks = self.looks(bytes, word, &called);
                    if looks == Looks::PLAIN {
                        at = word.end;
                        continue;
                    }
                    (self.word(bytes, word, looks, &mut called), word.end)
                }
                Class::Colon => (after_colon(bytes, at, &mut at_signs), at + 1),
                Class::At => {
                    again |= copied > 0 && !of_url && address::may_reach(bytes, copied, at);
                    (address::password_before(bytes, copied, at), at + 1)
                }
            };
            at = end;
            if let Some(cut) = found.cut.filter(|cut| cut.to > cut.from) {
                redacted.push_str(part(text, copied..cut.from));
                redacted.push_str(MASK);
                copied = cut.to;
                of_url = matches!(class, Class::Colon) && follows_slash(bytes, cut.from);
                again |= called.is_active();
                called.pass_over(bytes, cut);
                let takes_edge = edge.is_some_and(|edge| cut.from <= edge && edge < cut.to);
                again |= cut.from < settled || takes_edge;
                // The `@` after a password was looked at.
                at = copied + usize::from(matches!(class, Class::At));
            }
            again |= found.is_partial && copied > 0;
            settled = settled.max(found.settled);
            edge = found.edge.or(edge);
        }
        if copied == 0 {
            return None;
        }
        redacted.push_str(part(text, copied..text.len()));
        Some(Pass {
            text: redacted,
            again,
        })
    }

    /// A cheap look at a word, which is enough for most.
    fn looks(&self, bytes: &[u8], word: Word, called: &Called) -> Looks {
        let next = bytes.get(word.end).copied().unwrap_or_default();
        Looks {
            like_name: word.may_be_name() && value::may_follow(bytes, word, next),
            like_token: !word.is_whole
                || !self.prefixes.is_empty()
                || tokens::may_be_whole(bytes, word.start)
                || next == b'~',
            like_address: match next {
                b'/' => word.start > 0 && bytes.get(word.start - 1) == Some(&b'/'),
                b'%' => true,
                _ => false,
            },
            like_command: command::may_be(bytes, word, next) || called.may_take(bytes, word.start, next),
        }
    }

    /// What a word has or brings.
    fn word(&self, bytes: &[u8], word: Word, looks: Looks, called: &mut Called) -> Found {
        let Word { start, end, is_whole } = word;
        let word = bytes.get(start..end).unwrap_or_default();
        if !is_whole && let Some(key) = tokens::private_key(word, bytes, end) {
            return Some(key).into();
        }
        // An encoded mark before a name is none of its letters.
        let start = marks::word_start(bytes, start).min(end);
        let name = bytes.get(start..end).unwrap_or_default();
        let named = if looks.like_name {
            names::in_query(bytes, start, end).or_else(|| self.names.kind(name))
        } else {
            None
        };
        let value = named.and_then(|named| value::of(named, bytes, start, end));
        let has_none = value.is_none_or(|cut| cut.to == cut.from);
        let (mut is_of_command, mut skips) = (false, false);
        let further = || {
            let of_address = looks
                .like_address
                .then(|| tokens::webhook(word, bytes, end).or_else(|| address::encoded(bytes, end)));
            let of_command = looks
                .like_command
                .then(|| self.of_command(bytes, start, end, called));
            let of_token = looks.like_token.then(|| {
                tokens::after_scheme(word, bytes, end)
                    .or_else(|| Token::within(bytes, start, end, is_whole, &self.prefixes))
                    .or_else(|| tokens::of_azure(bytes, end))
            });
            skips = of_address.flatten().is_some_and(|cut| cut.from > end + 1);
            is_of_command = of_command.is_some_and(|cut| cut.is_some());
            of_address
                .flatten()
                .or(of_command.flatten())
                .or(of_token.flatten())
        };
        Found {
            cut: value.or_else(further),
            settled: if named.is_some() && has_none {
                end + value::UNSETTLED
            } else {
                0
            },
            // What is before it tells what it is, or was not read.
            is_partial: is_of_command || skips || named == Some(Name::Identified),
            ..Found::default()
        }
    }

    /// The secret that a command takes here, or that a file has after a word.
    fn of_command(&self, bytes: &[u8], start: usize, end: usize, called: &mut Called) -> Option<Cut> {
        let word = bytes.get(start..end)?;
        if called.is_of_settings() && called.goes_on(bytes, start) {
            let names_secret = |part: &[u8]| self.names.kind(part).is_some();
            let is_secret = names_secret(word)
                || word.contains(&b'-') && word.split(|byte| *byte == b'.').any(names_secret);
            return is_secret.then(|| command::value_of_setting(bytes, end)).flatten();
        }
        let secret = called.secret(bytes, start, end);
        if secret.is_none() {
            called.name(bytes, start, end);
        }
        secret.or_else(|| files::netrc(bytes, start, end))
    }
}

/// What stands after a colon: credentials of a URL, an entry of a file of passwords, a bot's token.
fn after_colon(bytes: &[u8], at: usize, at_signs: &mut AtSigns) -> Found {
    match bytes.get(at + 1) {
        Some(b'/' | b'\\') => address::credentials_of_url(bytes, at, at_signs),
        Some(b'*' | b'0'..=b'9') => {
            let cut = files::pgpass(bytes, at);
            Found {
                cut,
                is_partial: cut.is_some(),
                ..Found::default()
            }
        }
        Some(b'A') => tokens::of_bot(bytes, at).into(),
        _ => Found::default(),
    }
}

/// Whether a URL's slashes stand before a place.
fn follows_slash(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'/')
}

/// A part of the text without what of a character reaches beyond it, so that nothing stays unmasked.
fn part(text: &str, bytes: Range<usize>) -> &str {
    let within = text.ceil_char_boundary(bytes.start)..text.floor_char_boundary(bytes.end);
    text.get(within).unwrap_or_default()
}
