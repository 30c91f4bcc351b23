//! W3C Trace Context and Baggage between processes, as the policy reads and writes them.

use std::borrow::Cow;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use crate::baggage;
use crate::bindings::exports::floe::telemetry::propagation::Extraction;
use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::carrier::Environment;
use crate::error::Problem;
use crate::lists::{Answers, Lists};
use crate::policy::Policy;
use crate::span_context::{CONTINUED, RANDOM, Unsaid, has, is_continued, public_flags};
use crate::traceparent::{self, TraceParent};
use crate::warning;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// A propagator that asks the policy. It works without any configuration.
#[derive(Debug, Clone)]
pub struct FloePropagator {
    policy: Policy,
    unsaid: Unsaid,
    incoming: Answers,
    outgoing: Answers,
    fields: Vec<String>,
}

/// The trace that a context continues says that its id is not random. The SDK forgets the flags of a span that it drops.
struct NotRandom(TraceId);

/// Longest header that goes out, in bytes (W3C Baggage section 3.3.2).
const LONGEST: usize = 8192;

/// Most members of a `tracestate` (W3C Trace Context section 3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// Members of a `tracestate` that the SDK cannot hold: it knows the keys of Level 1 only.
#[derive(Clone)]
struct Unheld {
    trace: TraceId,
    /// What the SDK holds.
    held: TraceState,
    /// All of it, as it came.
    whole: String,
}

impl FloePropagator {
    /// A propagator for a policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            unsaid: Unsaid::new(policy.tracestate()),
            incoming: Answers::default(),
            outgoing: Answers::default(),
            policy,
            fields: [TRACEPARENT, TRACESTATE, BAGGAGE].map(str::to_owned).to_vec(),
        }
    }

    /// The propagator that `OTEL_PROPAGATORS` asks for (OpenTelemetry's environment variable specification): `floe`, or `tracecontext` and
    /// `baggage` on their own, or nothing for `none`. Other names are answered back: this process does not know them.
    pub fn named(policy: Policy, names: &str) -> (Self, Vec<&str>) {
        let mut unknown = Vec::new();
        let mut propagator = Self::new(policy);
        let fields = std::mem::take(&mut propagator.fields);
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        if names.clone().any(|name| name.eq_ignore_ascii_case("none")) {
            return (propagator, unknown);
        }
        for name in names {
            let named = match name.to_ascii_lowercase().as_str() {
                "floe" => fields.as_slice(),
                "tracecontext" => fields.get(..2).unwrap_or_default(),
                "baggage" => fields.get(2..).unwrap_or_default(),
                _ => {
                    unknown.push(name);
                    &[]
                }
            };
            for field in named {
                if !propagator.has(field) {
                    propagator.fields.push(field.clone());
                }
            }
        }
        (propagator, unknown)
    }

    fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|known| known == field)
    }

    /// What the headers say: by the policy, unless there is nothing in them that it was not asked before.
    fn received(&self, traceparent: &str, tracestate: &str, baggage: &str) -> Result<Extraction, Problem> {
        if let Some(known) = self.known(traceparent, tracestate, baggage) {
            return Ok(known);
        }
        let extraction = self.policy.extract(traceparent, tracestate, baggage)?;
        if extraction.problems.is_empty() {
            let answer = Lists {
                baggage: &extraction.baggage,
                ..Lists::default()
            };
            self.incoming.keep(of_baggage(baggage), answer);
            if let Some(question) =
                TraceParent::parse(traceparent).and_then(|parent| of_state(tracestate, parent))
            {
                let answer = Lists {
                    tracestate: &extraction.tracestate,
                    ..Lists::default()
                };
                self.incoming.keep(question, answer);
            }
        }
        Ok(extraction)
    }

    fn known(&self, traceparent: &str, tracestate: &str, baggage: &str) -> Option<Extraction> {
        let parent = match traceparent {
            "" => None,
            ordinary => Some(TraceParent::parse(ordinary)?),
        };
        let tracestate = match parent {
            Some(parent) if !tracestate.is_empty() => {
                let question = of_state(tracestate, parent)?;
                self.incoming
                    .find(question, |answer| answer.tracestate.to_owned())?
            }
            _ => String::new(),
        };
        let baggage = match baggage {
            "" => String::new(),
            baggage => {
                let question = of_baggage(baggage);
                self.incoming.find(question, |answer| answer.baggage.to_owned())?
            }
        };
        Some(Extraction {
            high: parent.map_or(0, |parent| (parent.trace >> 64) as u64),
            low: parent.map_or(0, |parent| parent.trace as u64),
            span: parent.map_or(0, |parent| parent.span),
            flags: parent.map_or(0, |parent| parent.flags),
            tracestate,
            baggage,
            problems: Vec::new(),
        })
    }

    /// The context with what a process was started with.
    pub(crate) fn extract_environment(&self, context: &Context, environment: &Environment) -> Context {
        self.extracted(context, environment, |found| {
            let found = Diagnostic {
                path: found.path.to_ascii_uppercase(),
                ..found.clone()
            };
            warning::found(&self.policy, &found, "the environment of this process");
        })
    }

    /// The context with what a carrier holds; what of it was not taken is said.
    fn extracted(&self, context: &Context, extractor: &dyn Extractor, say: impl Fn(&Diagnostic)) -> Context {
        let joined = |name| match extractor.get_all(name) {
            Some(values) if self.has(name) => joined(values),
            _ => Cow::Borrowed(""),
        };
        let (traceparent, tracestate, baggage) = (joined(TRACEPARENT), joined(TRACESTATE), joined(BAGGAGE));
        if traceparent.is_empty() && baggage.is_empty() {
            return context.clone();
        }
        let mut extraction = match self.received(&traceparent, &tracestate, &baggage) {
            Ok(extraction) => extraction,
            Err(problem) => {
                warning::once(&problem, "a new trace starts");
                return context.clone();
            }
        };
        extraction.problems.iter().for_each(say);
        let mut context = context.clone();
        if !extraction.baggage.is_empty() {
            context = baggage::with_text(&context, std::mem::take(&mut extraction.baggage));
        }
        if extraction.span == 0 {
            return context;
        }
        let state = held(&extraction.tracestate);
        if state.is_none() {
            context = context.with_value(Unheld {
                trace: trace_id(&extraction),
                held: part(&extraction.tracestate),
                whole: extraction.tracestate.clone(),
            });
        }
        let state = state.unwrap_or_else(|| part(&extraction.tracestate));
        let flags = TraceFlags::new(extraction.flags);
        if !has(flags, RANDOM) {
            context = context.with_value(NotRandom(trace_id(&extraction)));
        }
        let parent = SpanContext::new(
            trace_id(&extraction),
            SpanId::from(extraction.span),
            flags | CONTINUED,
            true,
            state,
        );
        context.with_remote_span_context(parent)
    }

    /// The span's `tracestate` as it goes out.
    fn tracestate(&self, context: &Context, span: &SpanContext) -> Cow<'_, str> {
        let state = span.trace_state();
        if state == &TraceState::NONE && self.unsaid.by(span) {
            return Cow::Borrowed(&self.unsaid.text);
        }
        let text = self.unsaid.public(span).trace_state().header();
        match context.get::<Unheld>() {
            Some(unheld) if unheld.trace == span.trace_id() && unheld.held == *state => {
                Cow::Owned(unheld.whole.clone())
            }
            // Only `ot` changes on the way; as a changed member it moves to the left.
            Some(unheld) if unheld.trace == span.trace_id() => {
                let otel = state.get("ot").map(|value| format!("ot={value}"));
                let others = unheld
                    .whole
                    .split(',')
                    .filter(|member| !member.starts_with("ot="));
                let members = otel.iter().map(String::as_str).chain(others);
                Cow::Owned(members.take(MOST_MEMBERS).collect::<Vec<_>>().join(","))
            }
            _ => Cow::Owned(text),
        }
    }
}

impl TextMapPropagator for FloePropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        let (traceparent, tracestate) = if span.is_valid() {
            let not_random = context.get::<NotRandom>();
            let flags = match not_random.filter(|_| !is_continued(span)) {
                Some(NotRandom(trace)) if *trace == span.trace_id() => public_flags(span) & !RANDOM,
                _ => public_flags(span),
            };
            (
                traceparent::format(span.trace_id(), span.span_id(), flags),
                self.tracestate(context, span),
            )
        } else {
            (String::new(), Cow::Borrowed(""))
        };
        let baggage = baggage::text(context);
        let question = Lists {
            tracestate: &tracestate,
            baggage: &baggage,
            ..Lists::default()
        };
        // In the order in which they were asked for.
        let mut set = |lists: Lists<'_>| {
            for name in &self.fields {
                let value = match name.as_str() {
                    TRACEPARENT => &traceparent,
                    TRACESTATE => lists.tracestate,
                    _ => lists.baggage,
                };
                if !value.is_empty() {
                    injector.set(name, value.to_owned());
                }
            }
        };
        if self.outgoing.find(question, &mut set).is_some() {
            return;
        }
        // The numbers do not matter to the lists, as long as they are valid.
        let headers = self.policy.inject(1, 1, 0, &tracestate, &baggage);
        if let Err(problem) = &headers {
            warning::once(problem, "no baggage goes out");
        }
        let headers = headers.ok();
        let answer = headers.as_ref().map_or_else(Lists::default, |headers| Lists {
            tracestate: sendable(&headers.tracestate),
            baggage: sendable(&headers.baggage),
            ..Lists::default()
        });
        if headers.is_some() {
            self.outgoing.keep(question, answer);
        }
        set(answer);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.extracted(context, extractor, |found| {
            warning::found(&self.policy, found, "incoming headers");
        })
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// What may go out as a header, in any carrier: visible ASCII within a header's length. Of a policy's answer all else is left out: a process whose
/// environment holds it could not start a child.
fn sendable(value: &str) -> &str {
    let is_visible = |byte: u8| (b' '..=b'~').contains(&byte);
    if value.len() <= LONGEST && value.bytes().all(is_visible) {
        value
    } else {
        warning::first("FLOE-C010", "a header of the policy", || {
            "warning[FLOE-C010]: the policy wrote a header that cannot be sent: it goes out without it\n  help: a header is visible ASCII of at most 8192 bytes; use another version of the component".to_owned()
        });
        ""
    }
}

/// Several lines of one header are one list (RFC 9110 section 5.3).
fn joined(values: Vec<&str>) -> Cow<'_, str> {
    match values.as_slice() {
        [value] => Cow::Borrowed(value),
        values => Cow::Owned(values.join(",")),
    }
}

/// The question of a `baggage` header.
fn of_baggage(baggage: &str) -> Lists<'_> {
    Lists {
        baggage,
        ..Lists::default()
    }
}

/// The question of a `tracestate` header that came with a parent; `None` where T is not to be seen at a glance.
fn of_state(tracestate: &str, parent: TraceParent) -> Option<Lists<'_>> {
    const KEPT: u8 = 0b1000_0000;
    let threshold = if tracestate.contains("th:") {
        let mut members = tracestate.split(',');
        let fields = members.find_map(|member| member.strip_prefix("ot="))?;
        let digits = fields.split(';').find_map(|field| field.strip_prefix("th:"))?;
        let missing = 14_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
        u64::from_str_radix(digits, 16).ok()? << (4 * missing)
    } else {
        0
    };
    let kept = if parent.randomness() >= threshold { KEPT } else { 0 };
    Some(Lists {
        tracestate,
        variant: parent.flags | kept,
        ..Lists::default()
    })
}

fn trace_id(extraction: &Extraction) -> TraceId {
    TraceId::from(u128::from(extraction.high) << 64 | u128::from(extraction.low))
}

/// A valid `tracestate` for the SDK, if it can hold all of it.
fn held(text: &str) -> Option<TraceState> {
    text.parse().ok()
}

/// What the SDK can hold of one.
fn part(text: &str) -> TraceState {
    let holds = |member: &&str| member.parse::<TraceState>().is_ok();
    let members: Vec<&str> = text.split(',').filter(holds).collect();
    members.join(",").parse().unwrap_or_default()
}

/// The current context, which has no span, in the trace of the one that this process was started with. What the application put there stays.
pub(crate) fn continued(current: &Context, process: &Context) -> Context {
    let mut context = current.clone();
    if current.baggage().is_empty() && !process.baggage().is_empty() {
        context = baggage::with_text(&context, baggage::text(process).into_owned());
    }
    let parent = process.span().span_context().clone();
    if !parent.is_valid() {
        return context;
    }
    if let Some(NotRandom(trace)) = process.get() {
        context = context.with_value(NotRandom(*trace));
    }
    if let Some(unheld) = process.get::<Unheld>() {
        context = context.with_value(unheld.clone());
    }
    context.with_remote_span_context(parent)
}

/// The context whose baggage has the policy's members as well.
pub(crate) fn with_child_baggage(policy: &Policy, context: &Context) -> Context {
    let before = baggage::text(context);
    match policy.child_baggage(&before) {
        Ok(canonical) if canonical != before && !sendable(&canonical).is_empty() => {
            baggage::with_text(context, canonical)
        }
        _ => context.clone(),
    }
}
