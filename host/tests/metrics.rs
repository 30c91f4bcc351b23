//! Instruments of an application's own, errors of every kind, and context that goes along.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use std::error::Error;

use floe_telemetry::{OperationKind, SpanContext, TelemetryProvider};
use opentelemetry::KeyValue;
use opentelemetry::trace::TraceContextExt as _;

#[test]
fn instruments_are_checked_bounded_and_redacted() {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider("enabled: true", &receiver.endpoint("grpc"), "grpc");
    let metrics = telemetry.metrics();
    let rows = metrics.counter("sales.rows", "{row}", "Rows with password=hunter2");
    for number in 0..5_000 {
        rows.add(1.0, &[KeyValue::new("order", i64::from(number))]);
    }
    rows.add(f64::NAN, &[]);
    rows.add(-1.0, &[]);
    // The same one again.
    metrics
        .counter("sales.rows", "{row}", "")
        .add(1.0, &[KeyValue::new("order", 1)]);
    metrics
        .up_down_counter("sales.open", "{order}", "")
        .add(-2.0, &[]);
    metrics.histogram("sales.duration", "s", "").record(0.2, &[]);
    metrics
        .gauge("sales.lag", "s", "")
        .record(7.0, &[KeyValue::new("token", "hunter2")]);
    // What is refused records nothing.
    for name in ["", "1st", "a b", "floe.mine", &"a".repeat(300)] {
        metrics.counter(name, "1", "").add(1.0, &[]);
    }
    telemetry.shutdown().unwrap();
    let counts = telemetry.counts().metrics;
    assert!(
        counts.produced > 0 && counts.produced == counts.delivered,
        "{counts:?}"
    );

    let received = format!("{:?}", receiver.stop().metrics.rows());
    for name in ["sales.rows", "sales.open", "sales.duration", "sales.lag"] {
        assert!(received.contains(name), "{name}: {received}");
    }
    for name in ["1st", "a b", "floe.mine"] {
        assert!(!received.contains(&format!("\"{name}\"")), "{name}: {received}");
    }
    assert!(received.contains("otel.metric.overflow"), "{received}");
    assert!(!received.contains("hunter2"), "{received}");
}

#[test]
fn without_telemetry_instruments_do_nothing() {
    let telemetry = TelemetryProvider::disabled();
    let metrics = telemetry.metrics();
    metrics.counter("sales.rows", "{row}", "").add(1.0, &[]);
    metrics.gauge("", "", "").record(f64::INFINITY, &[]);
    assert_eq!(telemetry.counts(), floe_telemetry::Counts::default());
}

#[test]
fn an_operation_takes_whatever_its_function_fails_with() {
    let telemetry = TelemetryProvider::disabled();
    let operation = || telemetry.operation(OperationKind::Custom, "work");
    let text: Result<(), String> = operation().run(|_| Err("broken".to_owned()));
    assert_eq!(text, Err("broken".to_owned()));
    let text: Result<(), &str> = operation().run(|_| Err("broken"));
    assert_eq!(text, Err("broken"));
    let number = operation().run(|_| "x".parse::<u8>());
    assert!(number.is_err());
    let boxed: Result<(), Box<dyn Error + Send + Sync>> = operation().run(|_| Err("broken".into()));
    assert_eq!(boxed.unwrap_err().to_string(), "broken");
    let local: Result<(), Box<dyn Error>> = operation().run(|_| {
        "x".parse::<u8>()?;
        Ok(())
    });
    assert!(local.is_err());
    let any: anyhow::Result<()> = operation().run(|_| {
        "x".parse::<u8>()?;
        anyhow::bail!("broken")
    });
    assert!(any.is_err());
    assert_eq!(operation().run(|_| Err::<(), ()>(())), Err(()));
    operation().begin().fail("error", "broken");
    operation().begin().fail("error", &anyhow::anyhow!("broken"));
}

#[test]
fn context_goes_along() {
    let telemetry = provider::provider("enabled: true", "http://127.0.0.1:9", "grpc");
    assert_eq!(SpanContext::current(), None);
    let operation = telemetry.operation(OperationKind::Custom, "work").begin();
    let span = operation.context().span().span_context().clone();
    let attached = operation.context().clone().attach();
    let current = SpanContext::current().unwrap();
    assert_eq!(current.trace_id, span.trace_id().to_string());
    assert_eq!(current.span_id, span.span_id().to_string());
    assert_eq!(current.trace_flags, "03");
    let there = std::thread::spawn(telemetry.wrap(SpanContext::current))
        .join()
        .unwrap();
    assert_eq!(there.as_ref(), Some(&current));
    let variables = format!("{:?}", telemetry.environ().iter().collect::<Vec<_>>());
    assert!(
        variables.contains(&format!("{}-{}", current.trace_id, current.span_id)),
        "{variables}"
    );
    drop(attached);
    operation.end("success");
}
