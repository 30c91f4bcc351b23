//! The sampler on the hot path: who decides, what a span then says of it, and that the component is asked once a name and thread.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use floe_telemetry::{Clock, Component, FloeSampler, Manifest, Plan, Policy};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

fn configured(sampling: &str) -> (Policy, Plan) {
    let manifest = format!(
        "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}\nobservability: {{telemetry: {{sampling: {sampling}}}}}"
    );
    let manifest = Manifest::new("manifest", manifest).with_variables(|_| None);
    Policy::configure(Component::built_in().unwrap(), &manifest).unwrap()
}

fn parent(trace: u128, flags: u8, tracestate: &str) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(trace),
        SpanId::from(1),
        TraceFlags::new(flags),
        true,
        tracestate.parse().unwrap(),
    ))
}

fn sample(
    sampler: &FloeSampler,
    name: &str,
    trace: u128,
    parent: Option<&Context>,
    attributes: &[KeyValue],
) -> SamplingResult {
    sampler.should_sample(
        parent,
        TraceId::from(trace),
        name,
        &SpanKind::Internal,
        attributes,
        &[],
    )
}

fn kept(result: &SamplingResult) -> bool {
    result.decision == SamplingDecision::RecordAndSample
}

const HALF: u128 = 1 << 55;

#[test]
fn intents_are_asked_for_once_and_applied_ever_after() {
    let (policy, plan) = configured("{dev: 0.5, rules: [{match: {name: never}, ratio: 0}]}");
    let sampler = FloeSampler::new(policy.clone(), &plan);
    for _ in 0..3 {
        for (trace, expected) in [
            (HALF - 1, false),
            (HALF, true),
            (u128::MAX, true),
            (1 << 56, false),
        ] {
            let result = sample(&sampler, "load", trace, None, &[]);
            assert_eq!(kept(&result), expected, "{trace:x}");
            assert!(result.attributes.is_empty(), "they come on the way out");
        }
    }
    assert_eq!(policy.calls(), 1, "one call for one name");

    // A parent decides, whatever the trace id says, and its tracestate goes on.
    let result = sample(&sampler, "load", 1, Some(&parent(1, 3, "ot=th:0,foo=1")), &[]);
    assert!(kept(&result));
    assert_eq!(result.trace_state.header(), "ot=th:0,foo=1");
    assert!(!kept(&sample(
        &sampler,
        "load",
        u128::MAX,
        Some(&parent(u128::MAX, 2, "")),
        &[]
    )));
    assert_eq!(policy.calls(), 1);

    // A thread keeps its own.
    std::thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|_| drop(sample(&sampler, "load", 1, None, &[]))));
    });
    assert_eq!(policy.calls(), 2);

    // Where intents depend on nothing, one is every span's. Another configuration is another generation.
    let (policy, plan) = configured("{dev: 0}");
    let none = FloeSampler::new(policy.clone(), &plan);
    for name in ["load", "store"] {
        assert!(!kept(&sample(&none, name, u128::MAX, None, &[])));
    }
    assert_eq!(policy.calls(), 1);
    assert!(kept(&sample(&sampler, "load", u128::MAX, None, &[])));
}

#[test]
fn many_names_cost_calls_and_no_memory() {
    let (policy, plan) = configured("{dev: 0.5, rules: [{match: {name: never}, ratio: 0}]}");
    let sampler = FloeSampler::new(policy.clone(), &plan);
    for n in 0..5_000 {
        assert!(kept(&sample(&sampler, &format!("name {n}"), HALF, None, &[])));
    }
    assert_eq!(policy.calls(), 5_000);
}

#[test]
fn rules_decide_by_name_and_attribute() {
    let (policy, plan) = configured(
        "{dev: 1, rules: [{match: {name: 'GET */health'}, ratio: 0}, {match: {attributes: {tier: gold}}, ratio: 0.5, attributes: {team: a}}]}",
    );
    let sampler = FloeSampler::new(policy.clone(), &plan);
    let gold = [KeyValue::new("other", 1), KeyValue::new("tier", "gold")];
    for _ in 0..2 {
        assert!(!kept(&sample(&sampler, "GET /health", u128::MAX, None, &[])));
        let result = sample(&sampler, "GET /orders", HALF, None, &gold);
        assert!(kept(&result));
        assert_eq!(result.trace_state.header(), "ot=th:8");
        assert_eq!(result.attributes, [KeyValue::new("team", "a")]);
        let own = [KeyValue::new("tier", "gold"), KeyValue::new("team", "b")];
        assert!(
            sample(&sampler, "GET /orders", HALF, None, &own)
                .attributes
                .is_empty()
        );
        assert!(!kept(&sample(&sampler, "GET /orders", HALF - 1, None, &gold)));
        assert!(kept(&sample(
            &sampler,
            "GET /orders",
            0,
            None,
            &[KeyValue::new("tier", "tin")]
        )));
    }
    assert_eq!(policy.calls(), 3);
}

#[test]
fn a_parent_that_is_ignored_is_decided_beside() {
    let (policy, plan) = configured("{dev: 1, rules: [{ratio: 0.5, parent: ignore}]}");
    let sampler = FloeSampler::new(policy.clone(), &plan);
    let state = |trace: u128, tracestate: &str| {
        let result = sample(&sampler, "load", trace, Some(&parent(trace, 3, tracestate)), &[]);
        (kept(&result), result.trace_state.header())
    };
    assert_eq!(state(HALF, ""), (true, "ot=th:8".to_owned()));
    assert_eq!(state(HALF - 1, ""), (false, String::new()));
    assert_eq!(state(HALF, "foo=1,ot=th:0"), (true, "ot=th:8,foo=1".to_owned()));
    assert_eq!(
        state(HALF - 1, "foo=1,ot=th:0;x:y"),
        (false, "ot=x:y,foo=1".to_owned())
    );
    assert_eq!(
        state(1 << 100, "ot=rv:ffffffffffffff"),
        (true, "ot=th:8;rv:ffffffffffffff".to_owned())
    );
    // What this sampler said already is not asked again.
    let calls = policy.calls();
    assert_eq!(state(HALF, "ot=th:8,foo=1"), (true, "ot=th:8,foo=1".to_owned()));
    assert_eq!(policy.calls(), calls);
}

/// A clock that tests turn by hand.
#[derive(Debug, Default)]
struct Hand(Mutex<Duration>);

impl Hand {
    fn turn(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

impl Clock for Hand {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

#[test]
fn no_more_traces_start_than_the_limit_allows() {
    let (policy, plan) = configured("{dev: 1, max_traces_per_second: 100}");
    let clock = Arc::new(Hand::default());
    let sampler = FloeSampler::with_clock(policy, &plan, clock.clone());
    // Evenly spread over all R.
    let second = || -> Vec<SamplingResult> {
        let ids = (0..1_000_u128).map(|n| n * ((1 << 56) / 1_000) + 1);
        ids.map(|id| sample(&sampler, "load", id, None, &[]))
            .filter(kept)
            .collect()
    };
    let first = second();
    assert_eq!(first.len(), 100, "a burst is bounded at once");
    assert!(first.iter().all(|result| result.trace_state == TraceState::NONE));
    clock.turn(1);
    let next = second();
    assert!((90..=100).contains(&next.len()), "{}", next.len());
    assert!(
        next.iter()
            .all(|result| result.trace_state.header() == "ot=th:e666")
    );
    // A trace that began elsewhere is not started here.
    assert!(kept(&sample(&sampler, "load", 0, Some(&parent(1, 3, "")), &[])));
    // With time, and fewer traces, all are kept again.
    for _ in 0..20 {
        clock.turn(1);
        sample(&sampler, "load", u128::MAX, None, &[]);
    }
    let result = sample(&sampler, "load", 0, None, &[]);
    assert!(kept(&result) && result.trace_state == TraceState::NONE);
}

#[test]
fn what_is_never_kept_does_not_use_up_the_limit() {
    let (policy, plan) =
        configured("{dev: 1, max_traces_per_second: 100, rules: [{match: {name: health}, ratio: 0}]}");
    let clock = Arc::new(Hand::default());
    let sampler = FloeSampler::with_clock(policy, &plan, clock.clone());
    for _ in 0..5 {
        for n in 0..1_000_u128 {
            let id = n * ((1 << 56) / 1_000) + 1;
            assert!(!kept(&sample(&sampler, "health", id, None, &[])));
            assert!(
                n % 20 != 0 || kept(&sample(&sampler, "load", id, None, &[])),
                "{n}"
            );
        }
        clock.turn(1);
    }
}

#[test]
fn the_standard_samplers_say_their_threshold() {
    let component = Component::built_in().unwrap();
    let manifest =
        "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\nobservability: {telemetry: {}}";
    let variable = |name: &str| match name {
        "OTEL_TRACES_SAMPLER" => Some("traceidratio".to_owned()),
        "OTEL_TRACES_SAMPLER_ARG" => Some("0.5".to_owned()),
        _ => None,
    };
    let manifest = Manifest::new("manifest", manifest).with_variables(variable);
    let (policy, plan) = Policy::configure(component, &manifest).unwrap();
    let sampler = FloeSampler::new(policy, &plan);
    let continued = sample(&sampler, "load", HALF, Some(&parent(HALF, 3, "")), &[]);
    assert_eq!(
        (kept(&continued), continued.trace_state.header().as_str()),
        (true, "ot=th:8")
    );
    // What starts here leaves it to the propagator and the exporter.
    assert_eq!(
        sample(&sampler, "load", HALF, None, &[]).trace_state,
        TraceState::NONE
    );
    assert!(!kept(&sample(&sampler, "load", 1, Some(&parent(1, 3, "")), &[])));
}

#[test]
fn threads_agree() {
    let (policy, plan) = configured("{dev: 0.3}");
    let sampler = FloeSampler::new(policy, &plan);
    let total = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u128 {
            let (sampler, total) = (&sampler, &total);
            scope.spawn(move || {
                for n in 0..10_000_u128 {
                    // Weyl's sequence: evenly spread.
                    let id = (n * 4 + thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    if kept(&sample(sampler, "load", id, None, &[])) {
                        total.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!((11_800..12_200).contains(&total.into_inner()));
}
