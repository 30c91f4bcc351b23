//! The policy's intents, kept by each thread for itself: a hit takes no lock, shares nothing with other threads and allocates nothing.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use opentelemetry::trace::{SpanKind, TraceState};
use opentelemetry::{KeyValue, Value};

use crate::generation::Generation;

/// Intents that a thread keeps. A program with more span names than this asks the policy again.
const MOST_INTENTS: usize = 1024;

/// An intent as the sampler applies it. Small: it is copied for each span.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    /// T.
    pub(crate) threshold: u64,
    /// Whether a parent's decision is followed.
    pub(crate) follow: bool,
    /// What else there is; nothing where no rule matched and parents are followed.
    pub(crate) further: Option<Arc<Further>>,
}

impl Intent {
    /// The `tracestate` of a kept root, as far as its span says it.
    pub(crate) fn state(&self) -> TraceState {
        let further = self.further.as_ref().filter(|further| !further.unsaid);
        further.map_or(TraceState::NONE, |further| further.state.clone())
    }
}

/// The rarer part of an intent.
#[derive(Debug)]
pub(crate) struct Further {
    /// `ot` of a kept root.
    pub(crate) otel: String,
    /// The `tracestate` of a kept root.
    pub(crate) state: TraceState,
    /// Whether a trace that starts here leaves it unsaid inside this process.
    pub(crate) unsaid: bool,
    /// What the rule adds.
    pub(crate) attributes: Vec<KeyValue>,
}

/// What intents depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) scope: &'static str,
    pub(crate) name: &'a str,
    pub(crate) kind: &'a SpanKind,
    pub(crate) attributes: &'a [KeyValue],
}

/// The intents of one configuration.
#[derive(Debug)]
pub(crate) struct Intents {
    generation: Generation,
    dependencies: Vec<String>,
}

struct Kept {
    generation: Generation,
    scope: &'static str,
    name: Box<str>,
    kind: SpanKind,
    values: Box<[Option<Value>]>,
    intent: Intent,
}

thread_local! {
    static KEPT: RefCell<HashTable<Kept>> = const { RefCell::new(HashTable::new()) };
}

impl Intents {
    /// The intents of a new configuration: none is known yet, and none of an earlier one applies.
    pub(crate) fn new(dependencies: Vec<String>) -> Self {
        Self {
            generation: Generation::default(),
            dependencies,
        }
    }

    /// The intent that is kept, or what `ask` answers, which then is.
    pub(crate) fn get(&self, question: Question<'_>, ask: impl Fn() -> Intent) -> Intent {
        let hash = self.hash(&question);
        let kept = KEPT.try_with(|kept| {
            let kept = kept.try_borrow().ok()?;
            kept.find(hash, |kept| self.is_of(kept, &question))
                .map(|found| found.intent.clone())
        });
        if let Ok(Some(intent)) = kept {
            return intent;
        }
        let intent = ask();
        // A thread that ends keeps nothing any more.
        let _ = KEPT.try_with(|kept| {
            let Ok(mut kept) = kept.try_borrow_mut() else {
                return;
            };
            if kept.len() >= MOST_INTENTS {
                kept.clear();
            }
            kept.insert_unique(hash, self.kept(&question, intent.clone()), |kept| {
                self.hash_of(kept)
            });
        });
        intent
    }

    /// The attributes of a question that intents depend on.
    pub(crate) fn relevant<'a>(
        &'a self,
        attributes: &'a [KeyValue],
    ) -> impl Iterator<Item = Option<&'a KeyValue>> {
        self.dependencies
            .iter()
            .map(|key| attributes.iter().find(|pair| pair.key.as_str() == key))
    }

    fn is_of(&self, kept: &Kept, question: &Question<'_>) -> bool {
        kept.generation == self.generation
            && *kept.name == *question.name
            && kept.kind == *question.kind
            && kept.scope == question.scope
            && self
                .relevant(question.attributes)
                .zip(&kept.values)
                .all(|(found, kept)| found.map(|pair| &pair.value) == kept.as_ref())
    }

    fn kept(&self, question: &Question<'_>, intent: Intent) -> Kept {
        let values = self.relevant(question.attributes);
        Kept {
            generation: self.generation,
            scope: question.scope,
            name: question.name.into(),
            kind: question.kind.clone(),
            values: values.map(|pair| pair.map(|pair| pair.value.clone())).collect(),
            intent,
        }
    }

    fn hash(&self, question: &Question<'_>) -> u64 {
        let values = self.relevant(question.attributes);
        hash(
            question.name,
            question.kind,
            values.map(|pair| pair.map(|pair| &pair.value)),
        )
    }

    fn hash_of(&self, kept: &Kept) -> u64 {
        hash(&kept.name, &kept.kind, kept.values.iter().map(Option::as_ref))
    }
}

fn hash<'a>(name: &str, kind: &SpanKind, values: impl Iterator<Item = Option<&'a Value>>) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    name.hash(&mut hasher);
    std::mem::discriminant(kind).hash(&mut hasher);
    for value in values {
        match value {
            Some(Value::String(text)) => text.as_str().hash(&mut hasher),
            Some(Value::I64(number)) => number.hash(&mut hasher),
            Some(Value::Bool(truth)) => truth.hash(&mut hasher),
            // The rest is told apart by comparing.
            _ => hasher.write_u8(0),
        }
    }
    hasher.finish()
}
