//! Sampling: an intent of the policy, kept and applied to span after span.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::trace::{Link, SpanKind as SdkSpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use crate::attribute;
use crate::bindings::exports::floe::telemetry::configuration::Plan;
use crate::bindings::exports::floe::telemetry::sampling::{ParentMode, SamplingIntent};
use crate::bindings::exports::floe::telemetry::types::SpanKind;
use crate::policy::Policy;

/// Intents that are kept. A program with more span names than this asks the policy again.
const MOST_INTENTS: usize = 4096;
/// R is the low 56 bits of the trace id (W3C Trace Context Level 2, random-trace-id).
const RANDOMNESS: u128 = (1 << 56) - 1;

/// A sampler that applies the policy's intents. No span calls the component, except the first of its name.
#[derive(Debug, Clone)]
pub struct FloeSampler(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: Policy,
    rules: Vec<Vec<KeyValue>>,
    dependencies: Vec<String>,
    intents: Cache<(Box<str>, u8), SamplingIntent>,
}

/// A span's name and kind, looked up without owning the name.
#[derive(Hash)]
struct Borrowed<'a>(&'a str, u8);

impl Equivalent<(Box<str>, u8)> for Borrowed<'_> {
    fn equivalent(&self, key: &(Box<str>, u8)) -> bool {
        *self.0 == *key.0 && self.1 == key.1
    }
}

impl FloeSampler {
    /// A sampler for a configured policy.
    pub fn new(policy: Policy, plan: &Plan) -> Self {
        Self(Arc::new(Shared {
            policy,
            rules: plan
                .rules
                .iter()
                .map(|rule| attribute::to_static(&rule.attributes))
                .collect(),
            dependencies: plan.dependencies.clone(),
            intents: Cache::new(MOST_INTENTS),
        }))
    }
}

impl Shared {
    fn intent(&self, name: &str, kind: SpanKind, attributes: &[KeyValue]) -> SamplingIntent {
        let relevant: Vec<_> = attributes
            .iter()
            .filter(|pair| self.dependencies.iter().any(|key| key == pair.key.as_str()))
            .map(|pair| attribute::from_sdk(pair.key.as_str(), &pair.value))
            .collect();
        // Where intents depend on attributes, these are part of what is looked up.
        let key = match relevant.as_slice() {
            [] => Cow::Borrowed(name),
            relevant => Cow::Owned(relevant.iter().fold(name.to_owned(), |key, pair| {
                format!("{key}\0{}\0{}", pair.key, pair.value)
            })),
        };
        if let Some(intent) = self.intents.get(&Borrowed(&key, kind as u8)) {
            return intent;
        }
        // A policy that fails costs its decisions, not the spans; it is not asked again for each of them.
        let intent = self
            .policy
            .intent("", name, kind, &relevant)
            .unwrap_or_else(|problem| {
                tracing::warn!(
                    code = problem.code,
                    "{}; spans of this name are kept",
                    problem.message
                );
                SamplingIntent {
                    threshold: 0,
                    parent: ParentMode::Follow,
                    rule: 0,
                }
            });
        self.intents.insert((key.into(), kind as u8), intent);
        intent
    }
}

impl ShouldSample for FloeSampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SdkSpanKind,
        attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let intent = self.0.intent(name, kind(span_kind), attributes);
        let span = parent_context
            .filter(|context| context.has_active_span())
            .map(|context| context.span());
        let parent = span
            .as_ref()
            .map(|span| span.span_context())
            .filter(|parent| parent.is_valid());
        let keep = match (intent.parent, parent) {
            (ParentMode::Follow, Some(parent)) => parent.is_sampled(),
            _ => u128::from_be_bytes(trace_id.to_bytes()) & RANDOMNESS >= u128::from(intent.threshold),
        };
        SamplingResult {
            decision: if keep {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: match self.0.rules.get(intent.rule as usize) {
                Some(rule) if keep => rule.clone(),
                _ => Vec::new(),
            },
            trace_state: parent.map_or_else(TraceState::default, |parent| parent.trace_state().clone()),
        }
    }
}

fn kind(kind: &SdkSpanKind) -> SpanKind {
    match kind {
        SdkSpanKind::Internal => SpanKind::Internal,
        SdkSpanKind::Server => SpanKind::Server,
        SdkSpanKind::Client => SpanKind::Client,
        SdkSpanKind::Producer => SpanKind::Producer,
        SdkSpanKind::Consumer => SpanKind::Consumer,
    }
}
