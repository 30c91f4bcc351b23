//! One pass over a text, and what it may leave to another.

use std::ops::Range;

use super::tokens::{self, Token};
use super::word::{Class, Word, count};
use super::{MASK, Redactor, address, value};

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
}

impl Looks {
    const PLAIN: Self = Self {
        like_name: false,
        like_token: false,
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
                    let looks = self.looks(bytes, word);
                    if looks == Looks::PLAIN {
                        at = word.end;
                        continue;
                    }
                    (self.word(bytes, word, looks), word.end)
                }
                Class::Colon => (address::credentials_of_url(bytes, at), at + 1),
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
                of_url = matches!(class, Class::Colon);
                let takes_edge = edge.is_some_and(|edge| cut.from <= edge && edge < cut.to);
                again |= cut.from < settled || takes_edge || found.is_partial;
                // The `@` after a password was looked at.
                at = copied + usize::from(matches!(class, Class::At));
            }
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
    fn looks(&self, bytes: &[u8], word: Word) -> Looks {
        Looks {
            like_name: word.may_be_name() && value::may_follow(bytes, word),
            like_token: !word.is_whole || !self.prefixes.is_empty() || tokens::may_start(bytes, word.start),
        }
    }

    /// What a word has or brings.
    fn word(&self, bytes: &[u8], word: Word, looks: Looks) -> Found {
        let Word { start, end, is_whole } = word;
        let word = bytes.get(start..end).unwrap_or_default();
        if !is_whole && word.ends_with(tokens::PEM) {
            return tokens::private_key(bytes, end).into();
        }
        let named = if looks.like_name {
            self.names.kind(word)
        } else {
            None
        };
        let value = named.and_then(|name| value::of(name, bytes, start, end));
        let has_none = value.is_none_or(|cut| cut.to == cut.from);
        Found {
            cut: match value {
                None if looks.like_token => tokens::after_scheme(word, bytes, end)
                    .or_else(|| Token::within(bytes, start, end, is_whole, &self.prefixes)),
                value => value,
            },
            settled: if named.is_some() && has_none {
                end + value::UNSETTLED
            } else {
                0
            },
            ..Found::default()
        }
    }
}

/// A part of the text without what of a character reaches beyond it, so that nothing stays unmasked.
fn part(text: &str, bytes: Range<usize>) -> &str {
    let within = text.ceil_char_boundary(bytes.start)..text.floor_char_boundary(bytes.end);
    text.get(within).unwrap_or_default()
}
