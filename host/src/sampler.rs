//! Sampling: an intent of the policy, kept and applied to span after span.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::{
    Link, SpanContext, SpanKind as SdkSpanKind, TraceContextExt, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::attribute;
use crate::baggage::AllowList;
use crate::bindings::exports::floe::telemetry::configuration::Plan;
use crate::bindings::exports::floe::telemetry::sampling::{ParentMode, SamplingIntent};
use crate::bindings::exports::floe::telemetry::types::SpanKind;
use crate::clock::{Clock, SystemClock};
use crate::failed::OperationStart;
use crate::intents::{Further, Intent, Intents, Question};
use crate::pace::Pacer;
use crate::policy::Policy;
use crate::scope;
use crate::span_context::is_continued;
use crate::warning;

/// R is the low 56 bits of the trace id (W3C Trace Context Level 2, random-trace-id).
pub(crate) const RANDOMNESS: u64 = (1 << 56) - 1;

/// A sampler that applies the policy's intents. No span calls the component, except the first of its name in a thread, and one whose
/// parent is ignored while another sampler's `ot` stands in its `tracestate`.
#[derive(Debug, Clone)]
pub struct FloeSampler(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: Policy,
    rules: Vec<Vec<KeyValue>>,
    /// Every span's, where intents depend on nothing.
    only: Option<Intent>,
    intents: Intents,
    pacer: Option<Pacer>,
    baggage: AllowList,
    keep_failed: bool,
}

impl FloeSampler {
    /// A sampler for a configured policy.
    pub fn new(policy: Policy, plan: &Plan) -> Self {
        Self::with_clock(policy, plan, Arc::new(SystemClock::default()))
    }

    /// The same with another clock for the limit of traces a second.
    pub fn with_clock(policy: Policy, plan: &Plan, clock: Arc<dyn Clock>) -> Self {
        let sampler = &plan.sampler;
        let rules = sampler.rules.iter();
        let mut shared = Shared {
            rules: rules.map(|rule| attribute::to_static(&rule.attributes)).collect(),
            only: None,
            intents: Intents::new(sampler.dependencies.clone()),
            pacer: (sampler.limit > 0.0).then(|| Pacer::new(policy.clone(), sampler.limit, clock)),
            baggage: AllowList::new(plan),
            keep_failed: sampler.failed.spans > 0,
            policy,
        };
        if !sampler.named && !sampler.scoped && sampler.dependencies.is_empty() {
            shared.only = Some(shared.ask(Question {
                scope: "",
                name: "",
                kind: &SdkSpanKind::Internal,
                attributes: &[],
            }));
        }
        Self(Arc::new(shared))
    }
}

impl Shared {
    /// Asks the policy. One that fails costs its decisions, not the spans; it is not asked again for each of them.
    fn ask(&self, question: Question<'_>) -> Intent {
        let relevant = self.intents.relevant(question.attributes).flatten();
        let relevant: Vec<_> = relevant
            .map(|pair| attribute::from_sdk(pair.key.as_str(), &pair.value))
            .collect();
        let answer = self
            .policy
            .intent(question.scope, question.name, kind(question.kind), &relevant);
        let intent = answer.unwrap_or_else(|problem| {
            warning::once(&problem, "spans are kept");
            SamplingIntent {
                threshold: 0,
                parent: ParentMode::Follow,
                // No rule of the plan: rule 0 would say the mode's share of traces of which all are kept.
                rule: u32::MAX,
                tracestate: "ot=th:0".to_owned(),
            }
        });
        let follow = intent.parent == ParentMode::Follow;
        let further = (intent.rule != 0 || !follow).then(|| {
            let state: TraceState = intent.tracestate.parse().unwrap_or_default();
            Arc::new(Further {
                otel: state.get("ot").unwrap_or_default().to_owned(),
                unsaid: intent.rule == 0,
                state,
                attributes: self.rules.get(intent.rule as usize).cloned().unwrap_or_default(),
            })
        });
        Intent {
            threshold: intent.threshold,
            follow,
            further,
        }
    }

    /// Whether a span is kept, with its `tracestate`.
    fn decide(&self, intent: &Intent, trace: TraceId, parent: Option<&SpanContext>) -> (bool, TraceState) {
        let low = u128::from_be_bytes(trace.to_bytes()) as u64;
        let randomness = low & RANDOMNESS;
        match parent {
            Some(parent) if intent.follow => (parent.is_sampled(), parent.trace_state().clone()),
            Some(parent) if parent.trace_state() != &TraceState::NONE => {
                self.beside(intent, low, parent.trace_state())
            }
            Some(parent) => match (randomness >= intent.threshold, &intent.further) {
                (false, _) => (false, TraceState::NONE),
                // Of a trace that began elsewhere nothing is left unsaid.
                (true, Some(further)) if is_continued(parent) => (true, further.state.clone()),
                (true, _) => (true, intent.state()),
            },
            None => {
                let kept = match &self.pacer {
                    Some(pacer) => pacer.start(randomness, intent.threshold),
                    None => (randomness >= intent.threshold).then_some(None),
                };
                match kept {
                    Some(state) => (true, state.unwrap_or_else(|| intent.state())),
                    None => (false, TraceState::NONE),
                }
            }
        }
    }

    /// What a span gets of its rule and of baggage. Its own attributes win.
    fn attributes(&self, intent: &Intent, context: Option<&Context>, own: &[KeyValue]) -> Vec<KeyValue> {
        let mut added: Vec<KeyValue> = match &intent.further {
            Some(further) => further.attributes.clone(),
            None => Vec::new(),
        };
        if let Some(context) = context.filter(|_| !self.baggage.is_empty()) {
            added.extend(self.baggage.attributes(context));
        }
        added.retain(|pair| own.iter().all(|own| own.key != pair.key));
        added
    }

    /// Decides beside a parent that says something.
    fn beside(&self, intent: &Intent, low: u64, state: &TraceState) -> (bool, TraceState) {
        let otel = intent.further.as_ref().map(|further| further.otel.as_str());
        if state.get("ot") == otel && low & RANDOMNESS >= intent.threshold {
            return (true, state.clone());
        }
        match self.policy.decide(low, &state.header(), intent.threshold) {
            Ok(decision) => (decision.keep, decision.tracestate.parse().unwrap_or_default()),
            Err(problem) => {
                warning::once(&problem, "spans are kept");
                (true, state.delete("ot").unwrap_or_default())
            }
        }
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
        let span = parent_context
            .filter(|context| context.has_active_span())
            .map(|context| context.span());
        let parent = span
            .as_ref()
            .map(|span| span.span_context())
            .filter(|parent| parent.is_valid());
        let asked;
        let intent = match &self.0.only {
            Some(only) => only,
            None => {
                let question = Question {
                    scope: scope::current(),
                    name,
                    kind: span_kind,
                    attributes,
                };
                asked = self.0.intents.get(question, || self.0.ask(question));
                &asked
            }
        };
        let (keep, trace_state) = self.0.decide(intent, trace_id, parent);
        let is_operation = || {
            self.0.keep_failed
                && parent_context.is_some_and(|context| context.get::<OperationStart>().is_some())
        };
        let decision = if keep {
            SamplingDecision::RecordAndSample
        } else if is_operation() {
            SamplingDecision::RecordOnly
        } else {
            SamplingDecision::Drop
        };
        SamplingResult {
            attributes: match (&decision, parent_context) {
                (SamplingDecision::Drop, _) => Vec::new(),
                (_, context) => self.0.attributes(intent, context, attributes),
            },
            decision,
            trace_state,
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
