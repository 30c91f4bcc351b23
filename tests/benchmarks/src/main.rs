//! What floe's sampler and propagator cost, as ratios to the SDK's own in the same run: `just bench`.
//!
//! Each pair is measured in turns, so that a busy machine slows both; the best of the rounds counts.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_telemetry::{
    Component, FloePropagator, FloeSampler, FloeSpanProcessor, Manifest, Plan, Policy, SystemClock,
};
use opentelemetry::Context;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{Span, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};

const ROUNDS: usize = 41;
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
    let manifest = |sampling: &str| {
        let text = format!(
            "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}\nobservability: {{telemetry: {{sampling: {sampling}}}}}"
        );
        Manifest::new("manifest", text).with_variables(|_| None)
    };
    let configure_as = |sampling: &str| Policy::configure(component.clone(), &manifest(sampling));
    let configure = |ratio: f64| configure_as(&format!("{{dev: {ratio}}}"));
    configure(1.0)?;
    println!(
        "component loaded and configured: {:.1} ms (again: {:.1} ms)",
        millis(cold.elapsed()),
        {
            let again = Instant::now();
            Policy::configure(Component::load()?, &manifest("{}"))?;
            millis(again.elapsed())
        }
    );

    println!("{:<36} {:>10} {:>10} {:>7}", "", "SDK", "floe", "ratio");
    for (name, ratio) in [("sampled", 1.0), ("not sampled", 0.0)] {
        let (policy, plan) = configure(ratio)?;
        let bare = bare(ratio);
        let floe = floe(&policy, &plan);
        compare(
            &format!("root span, {name}"),
            SPANS,
            || span(&bare),
            || span(&floe),
        );
        let (bare_parent, floe_parent) = (parent(&bare), parent(&floe));
        compare(
            &format!("child span, {name}"),
            SPANS,
            || child(&bare, &bare_parent),
            || child(&floe, &floe_parent),
        );
    }
    let rules = "{rules: [{match: {name: 'GET *'}, ratio: 0}, {match: {kind: client}, ratio: 0.5}]}";
    let (policy, plan) = configure_as(rules)?;
    let (sdk, ours) = (bare(1.0), floe(&policy, &plan));
    compare(
        "root span, sampled, two rules",
        SPANS,
        || span(&sdk),
        || span(&ours),
    );

    let (policy, _) = configure(1.0)?;
    let sdk = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]);
    let floe = FloePropagator::new(policy.clone());
    for (name, headers) in [
        ("", headers(&[])),
        (", 3 members of baggage", headers(&[("baggage", BAGGAGE)])),
        (
            ", baggage and tracestate",
            headers(&[("baggage", BAGGAGE), ("tracestate", "ot=th:0,foo=1,bar=2")]),
        ),
    ] {
        compare(
            &format!("extract{name}"),
            CARRIERS,
            || drop(black_box(sdk.extract(black_box(&headers)))),
            || drop(black_box(floe.extract(black_box(&headers)))),
        );
        let (of_sdk, of_floe) = (sdk.extract(&headers), floe.extract(&headers));
        compare(
            &format!("inject{name}"),
            CARRIERS,
            || inject(&sdk, &of_sdk),
            || inject(&floe, &of_floe),
        );
    }
    redaction(&policy)
}

/// Redaction of 1 MB, through the component: of text without secrets, of text full of them, and of what is made to be slow.
fn redaction(policy: &Policy) -> Result<(), Box<dyn std::error::Error>> {
    const SIZE: usize = 1_000_000;
    println!("{:<36} {:>10}", "redaction of 1 MB", "ms");
    for (name, part) in [
        (
            "plain",
            "Got 1 result, configured to fail if != 0, in model.orders\n",
        ),
        (
            "secrets in every line",
            "Basic dXNlcjpwYXNz password='x' https://u:p@h?token=a\n",
        ),
        ("pwd={", "pwd={"),
        ("a:b@c:1", "a:b@c:1"),
        ("password=a", "password=a "),
        ("://a:b/", "://a:b/"),
        ("one letter a word", "s x d p "),
    ] {
        let texts = [part.repeat(SIZE / part.len())];
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS / 4 {
            let start = Instant::now();
            black_box(policy.redact(black_box(&texts))?);
            best = best.min(start.elapsed());
        }
        println!("{name:<36} {:>10.1}", millis(best));
    }
    Ok(())
}

const BAGGAGE: &str = "floe.namespace=acme.sales,floe.product.name=sales,floe.mode=dev";

fn headers(further: &[(&str, &str)]) -> HashMap<String, String> {
    let traceparent = (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
    );
    std::iter::once(&traceparent)
        .chain(further)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn inject(propagator: &dyn TextMapPropagator, context: &Context) {
    let mut headers = HashMap::new();
    propagator.inject_context(black_box(context), &mut headers);
    black_box(headers);
}

/// The SDK alone.
fn bare(ratio: f64) -> SdkTracer {
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
    SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_span_processor(BatchSpanProcessor::builder(Nowhere).build())
        .build()
        .tracer("benchmark")
}

/// The SDK with floe's sampler and processor.
fn floe(policy: &Policy, plan: &Plan) -> SdkTracer {
    let batch = BatchSpanProcessor::builder(Nowhere).build();
    SdkTracerProvider::builder()
        .with_sampler(FloeSampler::new(policy.clone(), plan))
        .with_span_processor(FloeSpanProcessor::new(
            batch,
            plan,
            Arc::new(SystemClock::default()),
        ))
        .build()
        .tracer("benchmark")
}

fn span(tracer: &SdkTracer) {
    tracer
        .start_with_context(black_box("dbt.model orders"), &Context::new())
        .end();
}

fn parent(tracer: &SdkTracer) -> Context {
    let parent = tracer.start_with_context("dbt.build", &Context::new());
    Context::new().with_span(parent)
}

fn child(tracer: &SdkTracer, parent: &Context) {
    tracer
        .start_with_context(black_box("dbt.model orders"), parent)
        .end();
}

/// Compares the two, if the row is asked for: the first argument is a part of its name.
fn compare(name: &str, times: u32, bare: impl Fn(), floe: impl Fn()) {
    if std::env::args().nth(1).is_some_and(|part| !name.contains(&part)) {
        return;
    }
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
