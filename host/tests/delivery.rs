//! What a Rust service sends: named, correlated and redacted, by HTTP, with a tracing subscriber.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use std::collections::HashMap;

use floe_telemetry::OperationKind;
use floe_telemetry_receiver::{Style, render};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tracing_subscriber::prelude::*;

#[derive(Debug, thiserror::Error)]
#[error("cannot reach postgres://ann:hunter2@db/sales")]
struct Unreachable;

#[test]
fn spans_logs_and_metrics_arrive() {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider(
        "enabled: true",
        &receiver.endpoint("http/protobuf"),
        "http/protobuf",
    );
    tracing_subscriber::registry().with(telemetry.layer()).init();

    let failed = telemetry
        .operation(OperationKind::Compile, "sales")
        .fact("bytes", 42)
        .run(|_| {
            tracing::info_span!("load", rows = 3, source = "db://ann:hunter2@host").in_scope(|| {
                tracing::info!(source = "db://ann:hunter2@host", "loading with password=hunter2")
            });
            Err::<(), _>(Unreachable)
        });
    assert!(failed.is_err());
    telemetry.shutdown().unwrap();
    let counts = telemetry.counts();
    let spans = counts.traces;
    assert_eq!(
        (spans.produced, spans.delivered, spans.dropped.total()),
        (2, 2, 0)
    );
    assert_eq!((counts.logs.produced, counts.logs.delivered), (1, 1));

    let received = receiver.stop();
    let trace = &received.traces[0];
    assert_eq!(
        (received.traces.len(), trace.spans.len(), trace.logs.len()),
        (1, 2, 1)
    );
    let by_name: HashMap<&str, _> = trace
        .spans
        .values()
        .map(|record| (record.span.name.as_str(), record))
        .collect();
    let (root, child) = (by_name["floe.compile sales"], by_name["load"]);
    assert!(root.span.parent_span_id.is_empty());
    assert_eq!(child.span.parent_span_id, root.span.span_id);
    assert_eq!(trace.logs[0].record.span_id, child.span.span_id);
    for record in [root, child] {
        for (key, value) in [
            ("floe.namespace", "acme.sales"),
            ("floe.product.name", "sales"),
            ("floe.product.version", "1.2.0"),
            ("floe.mode", "dev"),
        ] {
            let found = record
                .span
                .attributes
                .iter()
                .find(|pair| pair.key == key)
                .and_then(|pair| pair.value.clone());
            assert_eq!(
                found.and_then(|found| found.value),
                Some(Value::StringValue(value.to_owned())),
                "{key}"
            );
        }
    }
    let status = root.span.status.as_ref().unwrap();
    assert_eq!(status.message, "cannot reach postgres://***@db/sales");
    assert_eq!(root.span.events[0].name, "exception");

    let text = render(
        &received,
        &Style {
            verbose: true,
            ..Style::plain()
        },
    );
    assert!(
        text.contains("password=***") && text.contains("delivery::Unreachable"),
        "{text}"
    );
    assert!(
        text.contains("floe.operation.duration") && text.contains("floe.errors"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}
