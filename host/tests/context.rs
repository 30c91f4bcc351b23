//! What spans and log records say of their context once they arrive: probability, flags, floe's attributes, and baggage that the manifest allows.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use std::collections::HashMap;

use floe_telemetry::OperationKind;
use floe_telemetry_receiver::{Snapshot, SpanRecord};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Link, Span, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_proto::tonic::common::v1::KeyValue as Attribute;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_subscriber::prelude::*;

fn spans(received: &Snapshot) -> HashMap<&str, &SpanRecord> {
    let records = received.traces.iter().flat_map(|trace| trace.spans.values());
    records
        .map(|record| (record.span.name.as_str(), record.as_ref()))
        .collect()
}

fn text<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    let mut found = attributes.iter().filter(|pair| pair.key == key);
    let value = found.next()?.value.as_ref()?.value.as_ref()?;
    assert!(found.next().is_none(), "{key} twice");
    match value {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// One test: the provider is the process's own.
#[test]
fn spans_say_what_is_known_of_their_trace() {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider(
        "sampling: {dev: 1, keep_failed: true, rules: [{match: {scope: 'noisy.*'}, ratio: 0}, {match: {name: rare}, ratio: 1, attributes: {team: a}}]}, baggage: {attributes: [tenant, 'acme.*']}",
        &receiver.endpoint("http/protobuf"),
        "http/protobuf",
    );
    tracing_subscriber::registry().with(telemetry.layer()).init();
    let tracer = global::tracer("library");

    tracer.start("here").end();
    tracer
        .span_builder("own")
        .with_attributes([KeyValue::new("floe.mode", "own")])
        .start(&tracer)
        .end();
    tracer.start("rare").end();
    let mut noisy = global::tracer("noisy.library").start("noise");
    assert!(!noisy.is_recording());
    noisy.end();

    let propagate = |headers: &[(&str, &str)]| -> Context {
        let headers: HashMap<String, String> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        global::get_text_map_propagator(|propagator| propagator.extract(&headers))
    };
    // It is logged, although OpenTelemetry holds the current context meanwhile.
    assert!(
        !propagate(&[("traceparent", "00-x")])
            .span()
            .span_context()
            .is_valid()
    );
    let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
    tracer
        .start_with_context(
            "continued",
            &propagate(&[("traceparent", known), ("tracestate", "ot=th:c,foo=1")]),
        )
        .end();
    let not_random = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    tracer
        .start_with_context(
            "unknown",
            &propagate(&[("traceparent", not_random), ("tracestate", "foo@bar@baz=1")]),
        )
        .end();

    // A parent that came by another propagator, and a link.
    let headers = HashMap::from([("traceparent".to_owned(), not_random.to_owned())]);
    let foreign = TraceContextPropagator::new().extract(&headers);
    tracer.start_with_context("foreign", &foreign).end();
    let linked = propagate(&[("traceparent", known)]).span().span_context().clone();
    tracer
        .span_builder("linked")
        .with_links(vec![Link::with_context(linked)])
        .start(&tracer)
        .end();

    let context = propagate(&[("baggage", "tenant=t1,acme.plan=gold,other=x")]);
    let operation = telemetry
        .operation(OperationKind::Custom, "with baggage")
        .parent(&context)
        .begin();
    {
        let _current = operation.context().clone().attach();
        tracing::info!("logged");
    }
    operation.end("success");
    telemetry.shutdown().unwrap();

    let received = receiver.stop();
    let spans = spans(&received);
    let state = |name: &str| {
        let span = &spans[name].span;
        (span.trace_state.as_str(), span.flags & 0xff)
    };
    // A trace that starts here is random, and its probability is known.
    assert_eq!(state("here"), ("ot=th:0", 3));
    assert_eq!(state("rare"), ("ot=th:0", 3));
    assert_eq!(state("continued"), ("ot=th:c,foo=1", 3));
    assert_eq!(state("unknown"), ("", 1));
    assert_eq!(state("foreign"), ("", 1));
    assert_eq!(spans["linked"].span.links[0].flags & 0xff, 3);
    assert!(!spans.contains_key("noise"));

    assert_eq!(
        text(&spans["here"].span.attributes, "floe.namespace"),
        Some("acme.sales")
    );
    assert_eq!(text(&spans["own"].span.attributes, "floe.mode"), Some("own"));
    assert_eq!(text(&spans["rare"].span.attributes, "team"), Some("a"));

    let logs: Vec<_> = received.traces.iter().flat_map(|trace| &trace.logs).collect();
    let logged = logs
        .iter()
        .find(|log| text(&log.record.attributes, "tenant").is_some());
    for attributes in [
        &spans["with baggage"].span.attributes,
        &logged.unwrap().record.attributes,
    ] {
        assert_eq!(text(attributes, "tenant"), Some("t1"));
        assert_eq!(text(attributes, "acme.plan"), Some("gold"));
        assert_eq!(text(attributes, "other"), None);
    }
}
