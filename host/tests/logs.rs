//! `tracing`: records and console lines are of their trace, on whatever thread, redacted, and of levels that may change.

#[path = "common/console.rs"]
mod console;
#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use console::Console;
use floe_telemetry::{Manifest, OperationKind};
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _};
use serde_json::Value;
use tracing::Instrument as _;
use tracing_subscriber::prelude::*;

#[test]
fn records_and_lines_are_of_their_trace_and_of_the_levels_that_hold() {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider(
        "logging: {log_level: WARNING, json_output: true, loggers: {sales.load: INFO}}",
        &receiver.endpoint("grpc"),
        "grpc",
    );
    let console = Console::default();
    tracing_subscriber::registry()
        .with(telemetry.layer())
        .with(telemetry.console(console.clone(), false))
        .init();

    let operation = telemetry.operation(OperationKind::Custom, "load").begin();
    let attached = operation.context().clone().attach();
    let trace_id = operation.context().span().span_context().trace_id().to_string();
    let quiet = || tracing::info!(target: "sales::report", "quiet");
    quiet();
    tracing::info!(
        target: "sales::load",
        rows = 3,
        db_password = "hunter2",
        source = %"postgres://ann:hunter2@db/sales",
        level = "mine",
        "loading \"orders\" with password=hunter2"
    );

    // Another thread, a task and an instrumented task.
    let context = Context::current();
    std::thread::spawn(move || {
        let _attached = context.attach();
        tracing::warn!(target: "sales::load", "thread");
    })
    .join()
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let task = async { tracing::warn!(target: "sales::load", "task") };
    let spawned = runtime.spawn(task.with_context(Context::current()));
    let of_span = async { tracing::warn!(target: "sales::load", "instrumented") };
    let instrumented = runtime.spawn(of_span.instrument(tracing::warn_span!(target: "sales::load", "part")));
    runtime.block_on(async {
        spawned.await.unwrap();
        instrumented.await.unwrap();
    });
    drop(attached);
    operation.end("success");
    tracing::warn!(target: "sales::load", "outside");

    let manifest = "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\nobservability: {telemetry: {logging: {log_level: ERROR, loggers: {sales: INFO}}}}";
    let manifest = Manifest::new("manifest", manifest).with_variables(|_| None);
    telemetry.reload_levels(&manifest).unwrap();
    quiet();
    tracing::warn!(target: "other", "quiet now");
    let refused = Manifest::new("manifest", "metadata: 1").with_variables(|_| None);
    assert!(telemetry.reload_levels(&refused).is_err());
    quiet();
    telemetry.shutdown().unwrap();

    let lines: Vec<Value> = console
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let messages: Vec<&str> = lines
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    let expected = [
        "loading \"orders\" with password=***",
        "thread",
        "task",
        "instrumented",
        "outside",
        "quiet",
        "quiet",
    ];
    let sorted = |mut texts: Vec<&str>| {
        texts.sort_unstable();
        texts.join("\n")
    };
    assert_eq!(sorted(messages), sorted(expected.to_vec()));
    let first = &lines[0];
    for (key, value) in [
        ("level", Value::from("INFO")),
        ("logger", "sales::load".into()),
        ("rows", 3.into()),
        ("db_password", "***".into()),
        ("source", "postgres://***@db/sales".into()),
        ("floe.namespace", "acme.sales".into()),
        ("trace_flags", "03".into()),
    ] {
        assert_eq!(first[key], value, "{key}: {first}");
    }
    for line in &lines {
        let within = !["outside", "quiet"].contains(&line["message"].as_str().unwrap());
        let expected = if within {
            Value::from(trace_id.as_str())
        } else {
            Value::Null
        };
        assert_eq!(line["trace_id"], expected, "{line}");
        assert!(!line["message"].as_str().unwrap().contains(&trace_id));
    }

    let received = receiver.stop();
    let trace = received
        .traces
        .iter()
        .find(|trace| trace.spans.len() == 2)
        .unwrap();
    assert_eq!(trace.logs.len(), 4, "the first, the thread's and the tasks'");
    assert_eq!(received.logs.len(), 3, "outside, and what became loud");
}

#[test]
fn text_is_for_people() {
    let telemetry = provider::provider(
        "logging: {log_level: INFO, json_output: false}",
        "http://127.0.0.1:9",
        "grpc",
    );
    let console = Console::default();
    let coloured = Console::default();
    let subscriber = tracing_subscriber::registry()
        .with(telemetry.console(console.clone(), false))
        .with(telemetry.console(coloured.clone(), true));
    tracing::subscriber::with_default(subscriber, || {
        let operation = telemetry.operation(OperationKind::Custom, "load").begin();
        let _attached = operation.context().clone().attach();
        tracing::warn!(target: "sales", rows = 3, token = "hunter2", "late \u{1b}[31m");
        let id = operation.context().span().span_context().trace_id();
        let said = console.text();
        assert!(
            said.contains(" WARNING  sales: late")
                && said.contains(&format!(" rows=3 token=*** trace_id={id} span_id=")),
            "{said}"
        );
        assert!(!said.contains('\u{1b}'), "{said}");
        assert!(coloured.text().contains("\u{1b}[33mWARNING \u{1b}[0m"));
    });
}
