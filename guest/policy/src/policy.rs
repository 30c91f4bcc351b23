//! A configured policy: what an instance keeps between calls.

use crate::baggage::{self, Member};
use crate::bindings::exports::floe::telemetry::configuration::{Plan, Variable};
use crate::bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
use crate::bindings::exports::floe::telemetry::sampling::SamplingIntent;
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, KeyValue, SpanKind};
use crate::configuration;
use crate::diagnostic::{self, Place, shown};
use crate::sampling::Sampling;
use crate::trace_context::TraceParent;
use crate::tracestate::TraceState;

/// What decides. The default is the policy of a process without configuration: context propagates, no span is kept.
#[derive(Debug, Default)]
pub struct Policy {
    sampling: Sampling,
    /// The `floe.*` members of baggage.
    members: Vec<Member<'static>>,
}

/// Most bytes of a header that are read.
const LONGEST_HEADER: usize = 64 * 1024;

impl Policy {
    /// Configures a policy from a manifest and environment variables.
    pub fn configure(manifest: &str, variables: &[Variable]) -> Result<(Self, Plan), Vec<Diagnostic>> {
        let (manifest, warnings) = configuration::configure(manifest, variables)?;
        let plan = configuration::plan(&manifest, warnings);
        let sampling = if manifest.enabled {
            manifest.sampling.clone()
        } else {
            Sampling::default()
        };
        let members = if manifest.enabled {
            configuration::identity(&manifest)
                .map(|(key, value)| Member::new(key, value))
                .to_vec()
        } else {
            Vec::new()
        };
        Ok((Self { sampling, members }, plan))
    }

    /// How spans of this kind are sampled.
    pub fn intent(&self, scope: &str, name: &str, kind: SpanKind, attributes: &[KeyValue]) -> SamplingIntent {
        self.sampling.intent(scope, name, kind, attributes)
    }

    /// Incoming headers.
    pub fn extract(&self, traceparent: &str, tracestate: &str, baggage: &str) -> Extraction {
        let mut problems = Vec::new();
        let baggage = baggage::canonical(bounded("baggage", baggage, &mut problems), &[]);
        problems.extend(baggage.problems);
        let mut extraction = Extraction {
            high: 0,
            low: 0,
            span: 0,
            flags: 0,
            tracestate: String::new(),
            baggage: baggage.text,
            problems: Vec::new(),
        };
        if !traceparent.is_empty() {
            match TraceParent::parse(traceparent) {
                Ok(parent) => {
                    (extraction.high, extraction.low) = ((parent.trace >> 64) as u64, parent.trace as u64);
                    (extraction.span, extraction.flags) = (parent.span, parent.flags);
                    // A tracestate without a valid traceparent is not used (section 4.2).
                    let tracestate = bounded("tracestate", tracestate, &mut problems);
                    extraction.tracestate = received(parent, tracestate, &mut problems);
                }
                Err(found) => problems.push(found),
            }
        }
        extraction.problems = problems;
        extraction
    }

    /// Outgoing headers.
    pub fn inject(&self, parent: TraceParent, tracestate: &str, baggage: &str) -> Headers {
        let valid = parent.trace != 0 && parent.span != 0;
        Headers {
            traceparent: if valid { parent.format() } else { String::new() },
            tracestate: match TraceState::parse(tracestate) {
                Ok(state) if valid && state.otel().is_ok() => state.format(),
                Ok(state) if valid => state.format_with_otel(""),
                _ => String::new(),
            },
            baggage: self.child_baggage(baggage),
        }
    }

    /// Baggage with this configuration's `floe.*` members where they are absent.
    pub fn child_baggage(&self, baggage: &str) -> String {
        baggage::canonical(baggage, &self.members).text
    }
}

/// The header's members that stand within [`LONGEST_HEADER`].
fn bounded<'a>(name: &str, header: &'a str, problems: &mut Vec<Diagnostic>) -> &'a str {
    if header.len() <= LONGEST_HEADER {
        return header;
    }
    problems.push(Place::named(name).warning(
        diagnostic::HEADER_LIMIT,
        format!("the header has {} bytes; its end is not read", header.len()),
        format!("send at most {LONGEST_HEADER} bytes"),
    ));
    let start = header
        .get(..header.floor_char_boundary(LONGEST_HEADER))
        .unwrap_or_default();
    start.rsplit_once(',').map_or("", |(whole, _)| whole)
}

/// The `tracestate` that came with `parent`. A `th` that contradicts the sampled flag is not the probability of this trace (OpenTelemetry,
/// "TraceState: Probability Sampling", parent-based samplers).
fn received(parent: TraceParent, header: &str, problems: &mut Vec<Diagnostic>) -> String {
    let state = match TraceState::parse(header) {
        Ok(state) => state,
        Err(found) => {
            problems.push(found);
            return String::new();
        }
    };
    match state.otel() {
        Ok(None) => state.format(),
        Ok(Some(mut otel)) => {
            let kept = |threshold| otel.randomness(parent.trace as u64) >= threshold;
            if otel
                .threshold
                .is_none_or(|threshold| kept(threshold) == parent.sampled())
            {
                return state.format();
            }
            otel.threshold = None;
            state.format_with_otel(&otel.format())
        }
        Err(found) => {
            problems.push(Place::named("tracestate").warning(
                diagnostic::OTEL_TRACE_STATE,
                format!(
                    "{} is not OpenTelemetry's member `ot`; it is left out",
                    shown(found)
                ),
                "send key:value fields with unique keys and a valid th and rv",
            ));
            state.format_with_otel("")
        }
    }
}
