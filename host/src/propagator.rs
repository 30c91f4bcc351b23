//! W3C Trace Context and Baggage between processes, as the policy reads and writes them.

use std::str::FromStr;

use opentelemetry::baggage::{Baggage, BaggageExt, BaggageMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, Key, StringValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
use crate::policy::Policy;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";
/// What a baggage value must not hold as it is; the policy makes the text canonical.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b',')
    .add(b';')
    .add(b'\\');

/// A propagator that asks the policy. It works without any configuration.
#[derive(Debug)]
pub struct FloePropagator {
    policy: Policy,
    fields: [String; 3],
}

impl FloePropagator {
    /// A propagator for a policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            fields: [TRACEPARENT, TRACESTATE, BAGGAGE].map(str::to_owned),
        }
    }
}

impl TextMapPropagator for FloePropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let parent = span.span_context();
        let headers = self.policy.inject(
            u128::from_be_bytes(parent.trace_id().to_bytes()),
            u64::from_be_bytes(parent.span_id().to_bytes()),
            parent.trace_flags().to_u8(),
            &parent.trace_state().header(),
            &header(context.baggage()),
        );
        match headers {
            Ok(Headers {
                traceparent,
                tracestate,
                baggage,
            }) => {
                for (name, value) in [
                    (TRACEPARENT, traceparent),
                    (TRACESTATE, tracestate),
                    (BAGGAGE, baggage),
                ] {
                    if !value.is_empty() {
                        injector.set(name, value);
                    }
                }
            }
            Err(problem) => tracing::warn!(code = problem.code, "{}; no context goes out", problem.message),
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        // Several lines of one header are one list (RFC 9110 section 5.3).
        let joined = |name| {
            extractor
                .get_all(name)
                .map(|values| values.join(","))
                .unwrap_or_default()
        };
        let (traceparent, tracestate, baggage) = (joined(TRACEPARENT), joined(TRACESTATE), joined(BAGGAGE));
        if traceparent.is_empty() && baggage.is_empty() {
            return context.clone();
        }
        let extraction = match self.policy.extract(&traceparent, &tracestate, &baggage) {
            Ok(extraction) => extraction,
            Err(problem) => {
                tracing::warn!(code = problem.code, "{}; a new trace starts", problem.message);
                return context.clone();
            }
        };
        for problem in &extraction.problems {
            tracing::warn!(code = problem.code, path = problem.path, "{}", problem.message);
        }
        let mut context = context.clone();
        if !extraction.baggage.is_empty() {
            context = context.with_baggage(members(&extraction.baggage));
        }
        match span_context(&extraction) {
            Some(parent) => context.with_remote_span_context(parent),
            None => context,
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

fn span_context(extraction: &Extraction) -> Option<SpanContext> {
    let trace = u128::from(extraction.high) << 64 | u128::from(extraction.low);
    (extraction.span != 0).then(|| {
        SpanContext::new(
            TraceId::from(trace),
            SpanId::from(extraction.span),
            TraceFlags::new(extraction.flags),
            true,
            TraceState::from_str(&extraction.tracestate).unwrap_or_default(),
        )
    })
}

/// The SDK's baggage of a canonical list.
fn members(canonical: &str) -> Baggage {
    let mut baggage = Baggage::new();
    for member in canonical.split(',') {
        let (member, properties) = member.split_once(';').unwrap_or((member, ""));
        if let Some((key, value)) = member.split_once('=') {
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            baggage.insert_with_metadata(
                Key::from(key.to_owned()),
                StringValue::from(value),
                BaggageMetadata::from(properties.to_owned()),
            );
        }
    }
    baggage
}

/// The list of the SDK's baggage.
pub(crate) fn header(baggage: &Baggage) -> String {
    let members: Vec<String> = baggage
        .iter()
        .map(|(key, (value, metadata))| {
            let value = utf8_percent_encode(value.as_str(), ENCODED);
            match metadata.as_str() {
                "" => format!("{key}={value}"),
                properties => format!("{key}={value};{properties}"),
            }
        })
        .collect();
    members.join(",")
}

/// The context whose baggage has the policy's members as well.
pub(crate) fn with_child_baggage(policy: &Policy, context: &Context) -> Context {
    match policy.child_baggage(&header(context.baggage())) {
        Ok(canonical) if !canonical.is_empty() => context.with_baggage(members(&canonical)),
        _ => context.clone(),
    }
}
