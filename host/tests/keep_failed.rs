//! A failed operation is not lost to sampling, and neither are those above it.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use std::collections::BTreeSet;

use floe_telemetry::{OperationKind, TelemetryProvider};
use floe_telemetry_receiver::Snapshot;
use opentelemetry::global;
use opentelemetry::trace::{Span, Tracer};

#[derive(Debug, thiserror::Error)]
#[error("no such table")]
struct NoTable;

fn run(
    telemetry: &TelemetryProvider,
    name: &str,
    within: impl FnOnce() -> Result<(), NoTable>,
) -> Result<(), NoTable> {
    telemetry.operation(OperationKind::Custom, name).run(|_| within())
}

fn names(received: &Snapshot) -> BTreeSet<&str> {
    let records = received.traces.iter().flat_map(|trace| trace.spans.values());
    records.map(|record| record.span.name.as_str()).collect()
}

/// One test: the provider is the process's own.
#[test]
fn what_failed_goes_out_with_all_that_it_belongs_to() {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider(
        "sampling: {dev: 0, keep_failed: {max_spans: 4}}",
        &receiver.endpoint("http/protobuf"),
        "http/protobuf",
    );

    run(&telemetry, "fine", || run(&telemetry, "fine too", || Ok(()))).unwrap();
    let failed = run(&telemetry, "run", || {
        run(&telemetry, "seed", || Ok(()))?;
        // Spans that are no operations are not kept: they cost nothing while all goes well.
        let mut span = global::tracer("library").start("query");
        assert!(!span.is_recording());
        span.end();
        run(&telemetry, "model", || Err(NoTable))
    });
    assert!(failed.is_err());
    let caught = run(&telemetry, "retried", || {
        let _ = run(&telemetry, "first attempt", || Err(NoTable));
        run(&telemetry, "second attempt", || Ok(()))
    });
    assert!(caught.is_ok());
    // What waits is bounded: the oldest is forgotten, and what fails after that goes out all the same.
    let long = run(&telemetry, "long run", || {
        for n in 0..10 {
            run(&telemetry, &format!("step {n}"), || Ok(()))?;
        }
        Err(NoTable)
    });
    assert!(long.is_err());
    telemetry.shutdown().unwrap();
    let (spans, _) = telemetry.counts();
    assert_eq!(spans.produced, spans.delivered);

    let received = receiver.stop();
    let names = names(&received);
    for name in [
        "run",
        "seed",
        "model",
        "retried",
        "first attempt",
        "second attempt",
    ] {
        assert!(names.contains(name), "{name} of {names:?}");
    }
    assert!(!names.contains("fine") && !names.contains("fine too") && !names.contains("query"));
    assert!(names.contains("long run") && names.contains("step 9") && !names.contains("step 0"));
    for record in received.traces.iter().flat_map(|trace| trace.spans.values()) {
        let span = &record.span;
        // Nobody takes it for one of a sample.
        assert_eq!((span.trace_state.as_str(), span.flags & 0xff), ("", 3));
        assert!(
            span.attributes
                .iter()
                .any(|pair| pair.key == "floe.sampling.kept")
        );
    }
    for trace in &received.traces {
        let ids: BTreeSet<_> = trace.spans.values().map(|record| &record.span.span_id).collect();
        for record in trace.spans.values() {
            let parent = &record.span.parent_span_id;
            assert!(
                parent.is_empty() || ids.contains(parent),
                "an orphan: {}",
                record.span.name
            );
        }
    }
}
