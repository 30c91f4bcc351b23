//! What floe's sampler and propagator cost, as ratios to the SDK's own in the same run: `just bench`.
//!
//! Each pair is measured in turns, so that a busy machine slows both; the best of the rounds counts.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use floe_telemetry::{Component, FloePropagator, FloeSampler, Policy};
use opentelemetry::KeyValue;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};

const ROUNDS: usize = 15;
const SPANS: u32 = 20_000;
const CARRIERS: u32 = 5_000;

/// Takes spans and does nothing with them.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        black_box(batch);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cold = Instant::now();
    let component = Component::load()?;
    let manifest = |ratio: f64| {
        format!(
            "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}\nobservability: {{telemetry: {{sampling: {{dev: {ratio}}}}}}}"
        )
    };
    let configure = |ratio: f64| Policy::configure(component.clone(), "manifest", &manifest(ratio), |_| None);
    configure(1.0)?;
    println!(
        "component loaded and configured: {:.1} ms (again: {:.1} ms)",
        millis(cold.elapsed()),
        {
            let again = Instant::now();
            Policy::configure(Component::load()?, "manifest", &manifest(1.0), |_| None)?;
            millis(again.elapsed())
        }
    );

    println!("{:<36} {:>10} {:>10} {:>7}", "", "SDK", "floe", "ratio");
    for (name, ratio) in [("span, sampled", 1.0), ("span, not sampled", 0.0)] {
        let (policy, plan) = configure(ratio)?;
        let bare = tracer(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))));
        let floe = tracer(FloeSampler::new(policy, &plan));
        compare(name, SPANS, || span(&bare), || span(&floe));
    }

    // What the four attributes cost in the SDK itself.
    let (policy, plan) = configure(1.0)?;
    let bare = tracer(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(1.0))));
    let floe = tracer(FloeSampler::new(policy.clone(), &plan));
    compare(
        "span, sampled, 4 attributes in both",
        SPANS,
        || described_span(&bare),
        || span(&floe),
    );

    let sdk = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]);
    let floe = FloePropagator::new(policy.clone());
    let headers = HashMap::from([
        (
            "traceparent".to_owned(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        ),
        ("tracestate".to_owned(), "foo=1,bar=2".to_owned()),
        (
            "baggage".to_owned(),
            "floe.namespace=acme.sales,floe.product.name=sales,floe.mode=dev".to_owned(),
        ),
    ]);
    let round_trip = |propagator: &dyn TextMapPropagator| {
        let context = propagator.extract(black_box(&headers));
        let mut out = HashMap::new();
        propagator.inject_context(&context, &mut out);
        black_box(out);
    };
    compare(
        "extract + inject, with baggage",
        CARRIERS,
        || round_trip(&sdk),
        || round_trip(&floe),
    );
    Ok(())
}

fn tracer(sampler: impl Into<Box<dyn opentelemetry_sdk::trace::ShouldSample>>) -> SdkTracer {
    SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_span_processor(BatchSpanProcessor::builder(Nowhere).build())
        .build()
        .tracer("benchmark")
}

fn span(tracer: &SdkTracer) {
    tracer.start(black_box("dbt.model orders")).end();
}

fn described_span(tracer: &SdkTracer) {
    let attributes = [
        KeyValue::new("floe.namespace", "acme.sales"),
        KeyValue::new("floe.product.name", "sales"),
        KeyValue::new("floe.product.version", "1.2.0"),
        KeyValue::new("floe.mode", "dev"),
    ];
    tracer
        .span_builder(black_box("dbt.model orders"))
        .with_attributes(attributes)
        .start(tracer)
        .end();
}

fn compare(name: &str, times: u32, bare: impl Fn(), floe: impl Fn()) {
    let (mut best_bare, mut best_floe) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        best_bare = best_bare.min(measure(times, &bare));
        best_floe = best_floe.min(measure(times, &floe));
    }
    println!(
        "{name:<36} {:>7.0} ns {:>7.0} ns {:>7.2}",
        nanos(best_bare),
        nanos(best_floe),
        nanos(best_floe) / nanos(best_bare)
    );
}

fn measure(times: u32, function: &impl Fn()) -> Duration {
    let started = Instant::now();
    for _ in 0..times {
        function();
    }
    started.elapsed() / times
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
