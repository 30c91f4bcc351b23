//! A failed operation is not lost to sampling, and neither are those above it.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use std::collections::BTreeSet;

use floe_telemetry::{OperationKind, TelemetryProvider};
use floe_telemetry_receiver::Snapshot;
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use opentelemetry::{Context, global};

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

fn run_in(
    telemetry: &TelemetryProvider,
    name: &str,
    parent: &Context,
    within: impl FnOnce(&Context) -> Result<(), NoTable>,
) -> Result<(), NoTable> {
    let operation = telemetry.operation(OperationKind::Custom, name).parent(parent);
    operation.run(|operation| within(operation.context()))
}

fn names(received: &Snapshot) -> BTreeSet<&str> {
    let records = received.traces.iter().flat_map(|trace| trace.spans.values());
    records.map(|record| record.span.name.as_str()).collect()
}

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
    // Between operations, and above them, are spans that nobody recorded.
    let tracer = global::tracer("library");
    let plain_root = tracer.start_with_context("plain root", &Context::new());
    let below = run_in(
        &telemetry,
        "below",
        &Context::new().with_span(plain_root),
        |context| {
            let plain = tracer.start_with_context("plain", context);
            run_in(&telemetry, "far below", &context.with_span(plain), |_| {
                Err(NoTable)
            })
        },
    );
    assert!(below.is_err());
    // What waits is bounded: the oldest is forgotten, and what fails after that goes out all the same.
    let long = run(&telemetry, "long run", || {
        for n in 0..10 {
            run(&telemetry, &format!("step {n}"), || Ok(()))?;
        }
        Err(NoTable)
    });
    assert!(long.is_err());
    telemetry.shutdown().unwrap();
    let spans = telemetry.counts().traces;
    assert_eq!(spans.produced, spans.delivered);

    let received = receiver.stop();
    let names = names(&received);
    let of = |name: &str| {
        let mut records = received.traces.iter().flat_map(|trace| trace.spans.values());
        records
            .find(|record| record.span.name == name)
            .unwrap()
            .span
            .clone()
    };
    assert!(of("below").parent_span_id.is_empty());
    assert_eq!(of("far below").parent_span_id, of("below").span_id);
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

#[test]
fn what_is_open_goes_out_when_it_fails_whatever_was_forgotten() {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider(
        "sampling: {dev: 0, keep_failed: {max_spans: 1, max_seconds: 1}}",
        &receiver.endpoint("http/protobuf"),
        "http/protobuf",
    );
    let begin = |name: &str| {
        let operation = telemetry.operation(OperationKind::Custom, name);
        operation.parent(&Context::new()).begin()
    };
    let operations: Vec<_> = (0..5).map(|n| begin(&format!("trace {n}"))).collect();
    for operation in operations {
        operation.fail("error", &NoTable);
    }
    // What waited too long is not there any more, and what failed is.
    let root = begin("root");
    let below = |name: &str| {
        telemetry
            .operation(OperationKind::Custom, name)
            .parent(root.context())
            .begin()
    };
    below("early").end("success");
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    below("late").fail("error", &NoTable);
    root.end("success");
    telemetry.shutdown().unwrap();
    let received = receiver.stop();
    let names = names(&received);
    for n in 0..5 {
        assert!(names.contains(format!("trace {n}").as_str()), "{names:?}");
    }
    assert!(
        names.contains("late") && names.contains("root") && !names.contains("early"),
        "{names:?}"
    );
}
