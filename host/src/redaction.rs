//! Redaction of all text on its way to an exporter, on the export thread, and of console lines.
//!
//! Texts repeat: names, keys, states. So what the policy answered is kept, within bounds, and it is asked for new texts only.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floe_telemetry_otlp::{Redactor, Texts, Visitor};

use crate::policy::Policy;
use crate::warning;

/// Longest text that leaves a process, and most text in one call of the policy, in bytes.
const LONGEST: usize = 256 * 1024;
const CALL: usize = 1024 * 1024;
/// Most texts, and most keys, that are remembered, and the longest of them in bytes.
const MOST_KEPT: usize = 4096;
const LONGEST_KEPT: usize = 256;
const MASK: &str = "***";

/// The redaction of one signal, or of a console.
#[derive(Debug)]
pub(crate) struct Redaction {
    policy: Policy,
    /// Shared with whoever redacts at the moment: nobody waits for another one's question, and none is asked under the lock.
    known: Mutex<Arc<Known>>,
}

/// What the policy answered.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Texts, and what they read without secrets if they hold any.
    texts: HashMap<String, Option<String>>,
    /// Keys, and whether they name a secret.
    keys: HashMap<String, bool>,
}

impl Redaction {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.clone(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Redactor for Redaction {
    fn redact(&self, request: &mut dyn Texts) {
        let known = Arc::clone(&self.known());
        let mut news = News {
            known: &known,
            texts: HashSet::new(),
            keys: HashSet::new(),
        };
        request.visit(&mut news);
        let keys: Vec<String> = news.keys.into_iter().collect();
        let texts: Vec<String> = news.texts.into_iter().collect();
        let answers = Known {
            keys: secret_names(&self.policy, keys),
            texts: redacted(&self.policy, texts),
        };
        request.visit(&mut Cleaning {
            known: &known,
            answers: &answers,
        });
        drop(known);
        if !answers.keys.is_empty() || !answers.texts.is_empty() {
            Arc::make_mut(&mut *self.known()).keep(answers);
        }
    }
}

impl Known {
    /// Remembers what is short. Where that is too much, all else is forgotten.
    fn keep(&mut self, answers: Known) {
        kept(&mut self.keys, answers.keys);
        kept(&mut self.texts, answers.texts);
    }
}

fn kept<T>(known: &mut HashMap<String, T>, answers: HashMap<String, T>) {
    if known.len() + answers.len() > MOST_KEPT {
        *known = HashMap::new();
    }
    let short = answers.into_iter().filter(|(text, _)| text.len() <= LONGEST_KEPT);
    known.extend(short.take(MOST_KEPT));
}

/// Finds the texts and the keys that are not known yet. It changes nothing but the length of a text that is too long.
struct News<'a> {
    known: &'a Known,
    texts: HashSet<String>,
    keys: HashSet<String>,
}

impl Visitor for News<'_> {
    fn text(&mut self, text: &mut String) {
        text.truncate(text.floor_char_boundary(LONGEST));
        if !text.is_empty() && !self.known.texts.contains_key(text) && !self.texts.contains(text) {
            self.texts.insert(text.clone());
        }
    }

    fn is_secret(&mut self, key: &str) -> bool {
        if let Some(secret) = self.known.keys.get(key) {
            return *secret;
        }
        if !self.keys.contains(key) {
            self.keys.insert(key.to_owned());
        }
        false
    }

    fn secret(&mut self, _: &mut String) {}
}

/// Puts in what the policy answered.
struct Cleaning<'a> {
    known: &'a Known,
    answers: &'a Known,
}

impl Visitor for Cleaning<'_> {
    fn text(&mut self, text: &mut String) {
        let (known, answers) = (&self.known.texts, &self.answers.texts);
        match known.get(text).or_else(|| answers.get(text)) {
            Some(None) => {}
            Some(Some(redacted)) => text.clone_from(redacted),
            None if text.is_empty() => {}
            // Nobody looked at it.
            None => MASK.clone_into(text),
        }
    }

    fn is_secret(&mut self, key: &str) -> bool {
        let (known, answers) = (&self.known.keys, &self.answers.keys);
        known
            .get(key)
            .or_else(|| answers.get(key))
            .copied()
            .unwrap_or(true)
    }

    fn secret(&mut self, text: &mut String) {
        if !text.is_empty() {
            MASK.clone_into(text);
        }
    }
}

impl Policy {
    /// A text without secrets, for who shows it elsewhere than in telemetry; a mask where the policy fails.
    pub fn without_secrets(&self, text: impl Into<String>) -> String {
        let found = self.redact(&[text.into()]).ok().and_then(|mut clean| clean.pop());
        found.unwrap_or_else(|| MASK.to_owned())
    }
}

/// Which keys name secrets. Where the policy fails, all do: a secret that left cannot be called back.
fn secret_names(policy: &Policy, keys: Vec<String>) -> HashMap<String, bool> {
    let mut answers = HashMap::with_capacity(keys.len());
    for chunk in chunks(&keys) {
        match policy.names_secret(chunk) {
            Ok(secret) => answers.extend(chunk.iter().cloned().zip(secret)),
            Err(problem) => warning::unredacted(&problem),
        }
    }
    answers
}

/// Texts without secrets; nothing for a text that holds none. Where the policy fails, masks.
fn redacted(policy: &Policy, texts: Vec<String>) -> HashMap<String, Option<String>> {
    let mut answers = HashMap::with_capacity(texts.len());
    for chunk in chunks(&texts) {
        match policy.redact(chunk) {
            Ok(clean) => answers.extend(chunk.iter().zip(clean).map(|(text, clean)| {
                let changed = (*text != clean).then_some(clean);
                (text.clone(), changed)
            })),
            Err(problem) => warning::unredacted(&problem),
        }
    }
    answers
}

/// Texts by few calls of bounded size.
fn chunks(texts: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut size = 0;
        let fits = rest.iter().take_while(|text| {
            size += text.len();
            size <= CALL
        });
        let (chunk, after) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    struct Sent {
        name: String,
        key: String,
        value: String,
    }

    impl Texts for Sent {
        fn visit(&mut self, visitor: &mut dyn Visitor) {
            visitor.text(&mut self.name);
            if visitor.is_secret(&self.key) {
                visitor.secret(&mut self.value);
            } else {
                visitor.text(&mut self.value);
            }
        }
    }

    #[test]
    fn nothing_leaves_that_nobody_looked_at() {
        let problem = Problem::new(
            "FLOE-C006",
            "the policy component failed",
            "use another version of it",
        );
        let redaction = Redaction::new(&Policy::unavailable(problem));
        let mut sent = Sent {
            name: "load".to_owned(),
            key: "rows".to_owned(),
            value: "3".to_owned(),
        };
        redaction.redact(&mut sent);
        assert_eq!((sent.name.as_str(), sent.value.as_str()), (MASK, MASK));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = Known::default();
        for round in 0..3 {
            let texts = (0..MOST_KEPT).map(|number| (format!("{round} {number}"), None));
            known.keep(Known {
                texts: texts.collect(),
                keys: HashMap::from([("x".repeat(LONGEST_KEPT + 1), false)]),
            });
        }
        assert_eq!((known.texts.len(), known.keys.len()), (MOST_KEPT, 0));
    }

    #[test]
    fn calls_are_of_bounded_size() {
        let texts = ["a".repeat(CALL - 1), "b".repeat(2), "c".repeat(CALL + 1)];
        assert_eq!(chunks(&texts).map(<[String]>::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(chunks(&texts[1..2]).count(), 1);
        assert_eq!(chunks(&[]).count(), 0);
    }
}
