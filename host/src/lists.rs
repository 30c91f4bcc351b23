//! What the policy answered about lists, kept by each thread: most requests of a thread have the same `tracestate` and `baggage`.

use std::cell::RefCell;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::generation::Generation;

/// Answers that a thread keeps, and the longest question of one, in bytes.
const MOST_ANSWERS: usize = 64;
const LONGEST: usize = 1024;

/// `tracestate` and `baggage`, in a question or in an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lists<'a> {
    pub(crate) tracestate: &'a str,
    pub(crate) baggage: &'a str,
    /// What else the answer depends on.
    pub(crate) variant: u8,
}

/// The answers to one kind of question, of one configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    generation: Generation,
}

struct Kept {
    generation: Generation,
    question: (Box<str>, Box<str>, u8),
    answer: (Box<str>, Box<str>),
}

impl Kept {
    fn question(&self) -> Lists<'_> {
        Lists {
            tracestate: &self.question.0,
            baggage: &self.question.1,
            variant: self.question.2,
        }
    }
}

thread_local! {
    static KEPT: RefCell<HashTable<Kept>> = const { RefCell::new(HashTable::new()) };
}

impl Answers {
    /// Applies the answer that is kept, if one is.
    pub(crate) fn find<T>(&self, question: Lists<'_>, apply: impl FnOnce(Lists<'_>) -> T) -> Option<T> {
        KEPT.try_with(|kept| {
            let kept = kept.try_borrow().ok()?;
            let is_it = |kept: &Kept| kept.generation == self.generation && kept.question() == question;
            let found = kept.find(hash(question), is_it)?;
            Some(apply(Lists {
                tracestate: &found.answer.0,
                baggage: &found.answer.1,
                variant: question.variant,
            }))
        })
        .ok()
        .flatten()
    }

    /// Keeps an answer, unless the question is long.
    pub(crate) fn keep(&self, question: Lists<'_>, answer: Lists<'_>) {
        if question.tracestate.len() + question.baggage.len() > LONGEST {
            return;
        }
        let new = Kept {
            generation: self.generation,
            question: (
                question.tracestate.into(),
                question.baggage.into(),
                question.variant,
            ),
            answer: (answer.tracestate.into(), answer.baggage.into()),
        };
        // A thread that ends keeps nothing any more, and neither does a carrier that injects as it is set.
        let _ = KEPT.try_with(|kept| {
            let Ok(mut kept) = kept.try_borrow_mut() else {
                return;
            };
            if kept.len() >= MOST_ANSWERS {
                kept.clear();
            }
            kept.insert_unique(hash(question), new, |kept| hash(kept.question()));
        });
    }
}

fn hash(question: Lists<'_>) -> u64 {
    FixedState::with_seed(0).hash_one(question)
}
