//! A configured policy: what an instance keeps between calls.

use crate::baggage::{self, Member};
use crate::bindings::exports::floe::telemetry::configuration::{Plan, Variable};
use crate::bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
use crate::bindings::exports::floe::telemetry::sampling::SamplingIntent;
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, KeyValue, SpanKind};
use crate::configuration;
use crate::diagnostic::{self, Place, shown};
use crate::reader::Journal;
use crate::redaction::Redactor;
use crate::sampling::Sampling;
use crate::trace_context::TraceParent;
use crate::tracestate::TraceState;

/// What decides. The default is the policy of a process without configuration: context propagates, no span is kept.
#[derive(Debug, Default)]
pub struct Policy {
    sampling: Sampling,
    /// The `floe.*` members of baggage.
    members: Vec<Member<'static>>,
    redactor: Redactor,
}

/// Most bytes of a header that are read.
const LONGEST_HEADER: usize = 64 * 1024;

impl Policy {
    /// Configures a policy from a manifest, environment variables and settings of code.
    pub fn configure(
        manifest: &str,
        variables: &[Variable],
        settings: &[KeyValue],
    ) -> Result<(Self, Plan), Vec<Diagnostic>> {
        let configuration = configuration::configure(manifest, variables, settings, &mut Journal::default())?;
        let members = match configuration.enabled {
            true => configuration
                .identity()
                .map(|(key, value)| Member::new(key, value))
                .to_vec(),
            false => Vec::new(),
        };
        let sampling = configuration.sampling.clone();
        let redactor = configuration.redactor();
        Ok((
            Self {
                sampling,
                members,
                redactor,
            },
            configuration.into_plan(),
        ))
    }

    /// How spans of this kind are sampled.
    pub fn intent(&self, scope: &str, name: &str, kind: SpanKind, attributes: &[KeyValue]) -> SamplingIntent {
        self.sampling.intent(scope, name, kind, attributes)
    }

    /// What masks secrets.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
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

/// The `tracestate` that came with `parent`. A `th` belongs to a trace that is sampled, and to one with R >= T (OpenTelemetry,
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

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\nobservability: {telemetry: {}}";

    proptest::proptest! {
        #[test]
        fn what_goes_out_comes_in(
            trace in 1_u128..,
            span in 1_u64..,
            flags in 0_u8..4,
            state in proptest::collection::hash_map("[a-np-z0-9][a-z0-9_*/@-]{0,9}", "[!-+\\--<>-~]{1,9}", 0..32),
            baggage in proptest::collection::vec("[a-z.]{1,9}=([!#-+\\--:<-\\[\\]-~&&[^%]]|%2[0-9A-F]){0,9}(;[a-z]{1,3})?", 0..20),
        ) {
            let parent = TraceParent { trace, span, flags };
            let state = state.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
            let baggage = baggage.join(",");
            let (policy, _) = Policy::configure(MANIFEST, &[], &[]).unwrap();
            let headers = policy.inject(parent, &state, &baggage);
            let back = policy.extract(&headers.traceparent, &headers.tracestate, &headers.baggage);
            proptest::prop_assert_eq!(u128::from(back.high) << 64 | u128::from(back.low), trace);
            proptest::prop_assert_eq!((back.span, back.flags), (span, flags));
            proptest::prop_assert_eq!(&back.tracestate, &state);
            proptest::prop_assert!(back.baggage.starts_with(&baggage) && back.baggage.contains("floe.namespace=acme.sales"));
            proptest::prop_assert!(back.problems.is_empty());
            // And so on, from process to process.
            let again = policy.inject(parent, &back.tracestate, &back.baggage);
            proptest::prop_assert_eq!(again, headers);
        }

        #[test]
        fn any_headers_are_answered(traceparent in "\\PC*", tracestate in "\\PC*", baggage in "\\PC*") {
            let policy = Policy::default();
            let back = policy.extract(&traceparent, &tracestate, &baggage);
            proptest::prop_assert!(back.span != 0 || back.tracestate.is_empty());
            let again = policy.extract("", "", &back.baggage);
            proptest::prop_assert_eq!((again.baggage, again.problems), (back.baggage, Vec::new()));
        }
    }
}
