//! No secret leaves, wherever it stands: in names, keys, values, messages and scopes of all three signals.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use floe_telemetry::OperationKind;
use opentelemetry::trace::{Link, Span as _, SpanContext, SpanId, Status, TraceFlags, TraceId, Tracer as _};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value, global};
use tracing_subscriber::prelude::*;

/// A text with a secret in it; the secret tells where it was.
fn leak(place: &str) -> String {
    format!("postgres://ann:hunter2{place}@db/sales")
}

#[test]
fn every_text_of_every_signal_is_redacted() {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider("enabled: true", &receiver.endpoint("grpc"), "grpc");
    tracing_subscriber::registry().with(telemetry.layer()).init();

    let scope = InstrumentationScope::builder(leak("scope"))
        .with_version(leak("version"))
        .with_attributes([KeyValue::new("scope", leak("scope-attribute"))])
        .build();
    let tracer = global::tracer_with_scope(scope.clone());
    for _ in 0..2 {
        // Again: what the policy answered is remembered.
        let mut span = tracer
            .span_builder(leak("span"))
            .with_links(vec![Link::new(
                SpanContext::new(
                    TraceId::from(7),
                    SpanId::from(7),
                    TraceFlags::SAMPLED,
                    true,
                    Default::default(),
                ),
                vec![KeyValue::new("link", leak("link"))],
                0,
            )])
            .start(&tracer);
        span.set_attribute(KeyValue::new(leak("key"), 1));
        span.set_attribute(KeyValue::new(
            "list",
            Value::Array(Array::String(vec![StringValue::from(leak("list"))])),
        ));
        // What a key tells, no value does.
        span.set_attribute(KeyValue::new("db.password", "hunter2password"));
        span.set_attribute(KeyValue::new(
            "api_key",
            Value::Array(Array::String(vec![
                StringValue::from("hunter2first"),
                StringValue::from("hunter2second"),
            ])),
        ));
        span.set_attribute(KeyValue::new("max_tokens", 42));
        span.set_attribute(KeyValue::new("plain", "as it is"));
        span.add_event(leak("event"), vec![KeyValue::new("passwd", "hunter2event")]);
        span.set_status(Status::error(leak("status")));
        span.end();
    }

    let counter = global::meter_with_scope(scope)
        .u64_counter("rows")
        .with_description(leak("description"))
        .build();
    counter.add(
        1,
        &[
            KeyValue::new("source", leak("metric")),
            KeyValue::new("token", "hunter2token"),
        ],
    );
    let histogram = global::meter("seconds").f64_histogram("seconds").build();
    histogram.record(1.0, &[KeyValue::new(leak("metric-key"), true)]);
    telemetry
        .operation(OperationKind::PipelineRun, leak("pipeline"))
        .begin()
        .end("success");

    tracing::warn!(target: "postgres://ann:hunter2target@db/sales", password = "hunter2field", "{}", leak("message"));
    telemetry.shutdown().unwrap();

    let received = format!("{:?}", receiver.stop());
    assert!(!received.contains("hunter2"), "{received}");
    for kept in [
        "postgres://***@db/sales",
        "as it is",
        "max_tokens",
        "api_key",
        "db.password",
    ] {
        assert!(received.contains(kept), "{kept}: {received}");
    }
}
