//! The sampler on the hot path: the component is asked for the first span of a name, and never again.

use floe_telemetry::{Component, FloeSampler, Policy};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, ShouldSample};

const MANIFEST: &str = "
metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
observability: {telemetry: {sampling: {dev: 0.5}}}
";

fn decide(
    sampler: &FloeSampler,
    name: &str,
    trace: u128,
    parent: Option<TraceFlags>,
) -> (bool, Vec<KeyValue>) {
    let context = parent.map(|flags| {
        let parent = SpanContext::new(
            TraceId::from(trace),
            SpanId::from(1),
            flags,
            true,
            TraceState::default(),
        );
        Context::new().with_remote_span_context(parent)
    });
    let result = sampler.should_sample(
        context.as_ref(),
        TraceId::from(trace),
        name,
        &SpanKind::Internal,
        &[],
        &[],
    );
    (
        result.decision == SamplingDecision::RecordAndSample,
        result.attributes,
    )
}

#[test]
fn intents_are_asked_for_once_and_applied_ever_after() {
    let component = Component::built_in().unwrap();
    let (policy, plan) = Policy::configure(component, "manifest", MANIFEST, |_| None).unwrap();
    let sampler = FloeSampler::new(policy.clone(), &plan);

    let half = 1_u128 << 55;
    for round in 0..3 {
        for (trace, kept) in [
            (half - 1, false),
            (half, true),
            (u128::MAX, true),
            (1 << 56, false),
        ] {
            let (keep, attributes) = decide(&sampler, "load", trace, None);
            assert_eq!((keep, attributes.is_empty()), (kept, !kept), "{round} {trace:x}");
        }
    }
    assert_eq!(policy.calls(), 1, "one call for one name");
    let (_, attributes) = decide(&sampler, "load", u128::MAX, None);
    assert!(attributes.contains(&KeyValue::new("floe.namespace", "acme.sales")));

    // A parent decides, whatever the trace id says.
    assert!(decide(&sampler, "load", 1, Some(TraceFlags::SAMPLED)).0);
    assert!(!decide(&sampler, "load", u128::MAX, Some(TraceFlags::NOT_SAMPLED)).0);
    assert_eq!(policy.calls(), 1);
}
