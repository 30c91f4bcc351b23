//! Spans to send, and what becomes of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use floe_telemetry_otlp::{
    Accepted, Collector, Exporter, Failure, Observer, Redactor, Runtime, Texts, Traces, Transport,
};
use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};

/// A Collector at a URL, with all else at its plainest.
pub(crate) fn collector(endpoint: String, transport: Transport) -> Collector {
    Collector {
        endpoint,
        transport,
        timeout: Duration::from_secs(5),
        gzip: false,
        headers: Arc::new(HeaderMap::new()),
        tls: None,
    }
}

/// What became of each export.
#[derive(Debug, Default)]
struct Outcomes(Mutex<Vec<(u64, Result<Accepted, Failure>)>>);

impl Observer for Outcomes {
    fn exported(&self, items: u64, result: &Result<Accepted, Failure>) {
        self.0.lock().unwrap().push((items, result.clone()));
    }
}

/// Nothing is secret here.
#[derive(Debug)]
struct Unredacted;

impl Redactor for Unredacted {
    fn redact(&self, _: &mut dyn Texts) {}
}

fn exporter(collector: &Collector) -> (Exporter<Traces>, Arc<Outcomes>) {
    let outcomes = Arc::new(Outcomes::default());
    let observer = Arc::clone(&outcomes) as _;
    let runtime = Runtime::start().unwrap();
    let exporter = Exporter::new(collector, &runtime, observer, Arc::new(Unredacted)).unwrap();
    (exporter, outcomes)
}

/// Exports so many spans one by one and answers what became of each.
pub(crate) fn export(collector: &Collector, spans: usize) -> Vec<Result<Accepted, Failure>> {
    export_with(collector, spans, |_| {})
}

/// The same, doing something before each.
pub(crate) fn export_with(
    collector: &Collector,
    spans: usize,
    before: impl Fn(usize),
) -> Vec<Result<Accepted, Failure>> {
    let (exporter, outcomes) = exporter(collector);
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter)
        .build();
    for number in 0..spans {
        before(number);
        drop(provider.tracer("test").start("work"));
    }
    let outcomes = outcomes.0.lock().unwrap();
    outcomes
        .iter()
        .map(|(items, result)| {
            assert_eq!(*items, 1);
            result.clone()
        })
        .collect()
}

/// Exports spans with attributes of so many bytes at once, and answers what became of how many.
pub(crate) fn export_batch(collector: &Collector, sizes: &[usize]) -> Vec<(u64, Result<Accepted, Failure>)> {
    let (exporter, outcomes) = exporter(collector);
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(sizes.len())
        .with_max_export_batch_size(sizes.len())
        .with_scheduled_delay(Duration::from_secs(600))
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batch)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    for size in sizes {
        let mut span = provider.tracer("test").start("work");
        span.set_attribute(KeyValue::new("text", "x".repeat(*size)));
        span.end();
    }
    // Its result is that of the last part.
    let _ = provider.shutdown_with_timeout(Duration::from_secs(60));
    outcomes.0.lock().unwrap().clone()
}
