//! Exceptions are told by events of their span, by log records, or by both, whoever recorded them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use floe_telemetry::OperationKind;
use floe_telemetry_receiver::Snapshot;
use opentelemetry::trace::{Span as _, Status, Tracer as _};
use opentelemetry::{KeyValue, global};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tracing_subscriber::prelude::*;

#[derive(Debug, thiserror::Error)]
#[error("cannot reach postgres://ann:hunter2@db/sales")]
struct Unreachable(#[source] std::num::ParseIntError);

/// What a process with these settings sends that fails in an operation, in a span of the SDK and in one of `tracing`.
fn failures(settings: &str) -> Snapshot {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider(settings, &receiver.endpoint("grpc"), "grpc");
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        let root = "x".parse::<u8>().unwrap_err();
        let failed = telemetry
            .operation(OperationKind::Custom, "operation")
            .run(|_| Err::<(), _>(Unreachable(root.clone())));
        assert!(failed.is_err());

        let mut span = global::tracer("library").start("sdk");
        span.add_event(
            "exception",
            vec![
                KeyValue::new("exception.type", "library::Broken"),
                KeyValue::new("exception.message", "it broke with password=hunter2"),
            ],
        );
        span.set_status(Status::error("it broke"));
        span.end();

        tracing::error_span!("tracing").in_scope(|| {
            tracing::error!(error = "no number");
        });
    });
    telemetry.shutdown().unwrap();
    receiver.stop()
}

/// By span name: how many events and how many log records tell an exception.
fn told(received: &Snapshot, name: &str) -> (usize, usize) {
    let trace = received
        .traces
        .iter()
        .find(|trace| trace.spans.values().any(|record| record.span.name == name));
    let Some(trace) = trace else { return (0, 0) };
    let events = trace.spans.values().flat_map(|record| &record.span.events);
    let span = trace.spans.values().find(|record| record.span.name == name);
    let id = span.map(|record| record.span.span_id.clone());
    let logs = trace.logs.iter().filter(|entry| {
        let attributes = &entry.record.attributes;
        Some(&entry.record.span_id) == id.as_ref()
            && attributes
                .iter()
                .any(|pair| ["exception.message", "error"].contains(&pair.key.as_str()))
    });
    (
        events.filter(|event| event.name == "exception").count(),
        logs.count(),
    )
}

fn attribute(received: &Snapshot, name: &str, key: &str) -> Option<Value> {
    let mut spans = received.traces.iter().flat_map(|trace| trace.spans.values());
    let span = spans.find(|record| record.span.name == name)?;
    let pair = span.span.attributes.iter().find(|pair| pair.key == key)?;
    pair.value.clone()?.value
}

#[test]
fn exceptions_are_told_as_the_plan_says() {
    for (settings, event, log) in [
        ("enabled: true", 1, 0),
        ("exceptions: {signal: logs}", 0, 1),
        ("exceptions: {signal: logs/dup}", 1, 1),
        // A span that is not sampled has no events; its log record is never sampled.
        (
            "exceptions: {signal: logs}, sampling: {dev: 0, keep_failed: {enabled: false}}",
            0,
            1,
        ),
    ] {
        let received = failures(settings);
        let sampled = !settings.contains("sampling");
        for name in ["operation", "sdk"].into_iter().filter(|_| sampled) {
            assert_eq!(told(&received, name), (event, log), "{settings}: {name}");
        }
        if sampled {
            // What `tracing` logs is a log record already.
            assert_eq!(told(&received, "tracing"), (event, 1), "{settings}: tracing");
            assert_eq!(
                attribute(&received, "sdk", "error.type"),
                Some(Value::StringValue("library::Broken".to_owned()))
            );
        }
        let shown = format!("{received:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("exceptions::Unreachable"), "{shown}");
        if sampled {
            assert!(shown.contains("core::num::error::ParseIntError"), "{shown}");
        }
    }
}
