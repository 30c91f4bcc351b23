//! Headers in and out by the propagator: what goes on as it came, and that what it keeps is what the policy answered.

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};

#[test]
fn contexts_go_on_as_they_came() {
    let policy = floe_telemetry::Policy::unconfigured(floe_telemetry::Component::built_in().unwrap());
    let propagator = floe_telemetry::FloePropagator::new(policy.clone());
    let through = |headers: &[(&str, &str)], change: fn(Context) -> Context| {
        let headers: HashMap<String, String> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut out = HashMap::new();
        propagator.inject_context(&change(propagator.extract(&headers)), &mut out);
        out
    };
    let traceparent = (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    // Level 2 keys, which the SDK does not know, between others.
    let out = through(&[traceparent, ("tracestate", "1a@b@c=1,foo=2,x@=3")], |context| {
        context
    });
    assert_eq!(out["tracestate"], "1a@b@c=1,foo=2,x@=3");
    assert_eq!(out["traceparent"], traceparent.1);
    // Order, duplicates, spelling and properties of baggage.
    let baggage = "z=1;p=%20x,a=%c3%a9,z=2,k=a=b";
    assert_eq!(
        through(&[("baggage", baggage)], |context| context)["baggage"],
        baggage
    );
    // Baggage that the application changed.
    let changed = through(&[("baggage", "a=1;p")], |context| {
        context.with_baggage([KeyValue::new("b", "2 3,é")])
    });
    assert_eq!(changed["baggage"], "b=2%203%2C%C3%A9");

    let (only, unknown) = floe_telemetry::FloePropagator::named(policy, "baggage, b3");
    assert_eq!(unknown, ["b3"]);
    let context = Context::new().with_baggage([KeyValue::new("a", "1")]);
    let mut out = HashMap::new();
    only.inject_context(&context, &mut out);
    assert_eq!(out, HashMap::from([("baggage".to_owned(), "a=1".to_owned())]));
    assert_eq!(only.fields().collect::<Vec<_>>(), ["baggage"]);
    assert!(
        !only
            .extract(&HashMap::from([(
                traceparent.0.to_owned(),
                traceparent.1.to_owned()
            )]))
            .span()
            .span_context()
            .is_valid()
    );
}

/// What a host reads by itself, or keeps, is what the policy says: every vector, asked for the first time and again.
#[test]
fn what_is_kept_is_what_was_answered() {
    let policy = floe_telemetry::Policy::unconfigured(floe_telemetry::Component::built_in().unwrap());
    let propagator = floe_telemetry::FloePropagator::new(policy.clone());
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")).unwrap() {
        let path = entry.unwrap().path();
        if !path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("propagation_extract")
        {
            continue;
        }
        let vectors: floe_telemetry_vectors::Vectors =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in &vectors.cases {
            let [traceparent, tracestate, baggage] = [0, 1, 2].map(|at| case.arguments[at].as_str().unwrap());
            let expected = policy.extract(traceparent, tracestate, baggage).unwrap();
            let headers = HashMap::from([
                ("traceparent".to_owned(), traceparent.to_owned()),
                ("tracestate".to_owned(), tracestate.to_owned()),
                ("baggage".to_owned(), baggage.to_owned()),
            ]);
            for _ in 0..2 {
                let context = propagator.extract(&headers);
                let mut out = HashMap::new();
                propagator.inject_context(&context, &mut out);
                let headers = policy
                    .inject(
                        u128::from(expected.high) << 64 | u128::from(expected.low),
                        expected.span,
                        expected.flags,
                        &expected.tracestate,
                        &expected.baggage,
                    )
                    .unwrap();
                for (name, value) in [
                    ("traceparent", headers.traceparent),
                    ("tracestate", headers.tracestate),
                    ("baggage", headers.baggage),
                ] {
                    let found = out.get(name).cloned().unwrap_or_default();
                    assert_eq!(found, value, "{}: {name}", case.name);
                }
            }
            count += 1;
        }
    }
    assert!(count > 300);
}
