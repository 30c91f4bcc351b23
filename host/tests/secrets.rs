//! The corpus of planted secrets: none of them leaves, by whatever way it was put into telemetry. As Python's `test_secrets.py`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/console.rs"]
mod console;
#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod receiver;

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Mutex;

use console::Console;
use floe_telemetry::{OperationKind, TelemetryProvider};
use floe_telemetry_receiver::{Batch, Sink};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, Tracer as _,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, StringValue, Value, global};
use prost::Message as _;
use serde::Deserialize;
use tracing_subscriber::prelude::*;

const CORPUS: &str = include_str!("../../tests/secrets/corpus.json");
const SECRET: &str = "Zq7Planted9xKp3";

#[derive(Deserialize)]
struct Entry {
    name: String,
    text: String,
}

/// What each signal's requests are, encoded.
#[derive(Default)]
struct Sent(Mutex<HashMap<&'static str, Vec<u8>>>);

impl Sink for Sent {
    fn accept(&self, batch: &Batch) -> io::Result<()> {
        let (signal, request) = match batch {
            Batch::Traces(request) => ("traces", request.encode_to_vec()),
            Batch::Metrics(request) => ("metrics", request.encode_to_vec()),
            Batch::Logs(request) => ("logs", request.encode_to_vec()),
        };
        self.0.lock().unwrap().entry(signal).or_default().extend(request);
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Inner(String);

/// A text as a value, as one of several, and as a key.
fn attributes(text: &str) -> Vec<KeyValue> {
    let several = Array::String(vec![StringValue::from(text.to_owned()); 2]);
    vec![
        KeyValue::new("one", text.to_owned()),
        KeyValue::new("several", Value::Array(several)),
        KeyValue::new(text.to_owned(), "a key"),
    ]
}

fn scope(text: &str) -> InstrumentationScope {
    InstrumentationScope::builder(text.to_owned())
        .with_version(text.to_owned())
        .with_schema_url(text.to_owned())
        .with_attributes(attributes(text))
        .build()
}

/// By OpenTelemetry's API for spans.
fn plant_spans(text: &str) {
    let tracer = global::tracer_with_scope(scope(text));
    let linked = SpanContext::new(
        TraceId::from(7),
        SpanId::from(7),
        TraceFlags::SAMPLED,
        true,
        Default::default(),
    );
    let mut span = tracer
        .span_builder(text.to_owned())
        .with_attributes(attributes(text))
        .with_links(vec![Link::new(linked.clone(), attributes(text), 0)])
        .start(&tracer);
    span.add_link(linked, attributes(text));
    span.add_event(text.to_owned(), attributes(text));
    span.set_attributes(attributes(text));
    span.set_status(Status::error(text.to_owned()));
    span.end();

    let mut failed = tracer.start("recorded by the SDK");
    failed.record_error(&Inner(text.to_owned()));
    failed.add_event(
        "exception",
        vec![
            KeyValue::new("exception.type", text.to_owned()),
            KeyValue::new("exception.message", text.to_owned()),
            KeyValue::new("exception.stacktrace", format!("{text}\n  at main")),
        ],
    );
    failed.set_status(Status::error(""));
    failed.update_name(text.to_owned());
}

/// By operations: names, facts, words of the tool, errors and their causes.
fn plant_operations(telemetry: &TelemetryProvider, text: &str) {
    let failing = telemetry
        .operation(OperationKind::Custom, "failing")
        .fact("detail", text.to_owned())
        .run(|operation| {
            operation.fact("learnt", text.to_owned());
            Err::<(), _>(Outer(Inner(text.to_owned())))
        });
    failing.unwrap_err();
    let several = Array::String(vec![StringValue::from(text.to_owned()); 2]);
    // The policy puts the kind before a key: what is secret as a whole name only would be none any more.
    let key = format!("key {text}");
    let mut operation = telemetry
        .operation(OperationKind::DbtNode, text)
        .fact(&key, text.to_owned())
        .fact("relation", text.to_owned())
        .fact("several", Value::Array(several))
        .begin();
    operation.fact(&key, 1);
    operation.fact("adapter_message", text.to_owned());
    operation
        .child(OperationKind::CompileStage, text)
        .begin()
        .end(text);
    operation.fail(text, &Inner(text.to_owned()));
    drop(telemetry.compile(text).begin());
}

/// By `tracing`: messages and fields of events, and fields of spans.
fn plant_logs(text: &str) {
    let error = Outer(Inner(text.to_owned()));
    let error: &(dyn Error + 'static) = &error;
    tracing::error!(of_log = text, shown = %text, error, "said: {text}");
    // Whether a line ends or a colour begins, the policy does not see where `Debug` writes it out.
    if !text.contains(char::is_control) {
        tracing::error!(debugged = ?text, several = ?[text], "{text:?}");
    }
    let span = tracing::error_span!(
        "of tracing",
        otel.name = text,
        otel.status_description = text,
        of_span = text,
        late = tracing::field::Empty
    );
    span.record("late", text);
    span.in_scope(|| tracing::error!("{text}"));
}

/// By instruments: their names and what they say of themselves, and the attributes of all kinds of points.
fn plant_metrics(number: usize, text: &str) {
    let meter = global::meter_provider().meter_with_scope(scope(text));
    let attributes = attributes(text);
    // What is no name or no unit the SDK refuses.
    meter.u64_counter(text.to_owned()).build().add(1, &attributes);
    meter
        .u64_counter("unit")
        .with_unit(text.to_owned())
        .build()
        .add(1, &attributes);
    meter
        .u64_counter(format!("planted_{number}"))
        .with_description(text.to_owned())
        .build()
        .add(1, &attributes);
    meter
        .i64_up_down_counter("up_and_down")
        .build()
        .add(1, &attributes);
    meter.f64_gauge("gauge").build().record(1.0, &attributes);
    meter.f64_histogram("histogram").build().record(1.0, &attributes);
    meter
        .u64_observable_gauge("observed")
        .with_callback(move |observer| observer.observe(1, &attributes))
        .build();
}

/// Puts a text into every signal, by the SDK, by `tracing` and by operations.
fn plant(telemetry: &TelemetryProvider, number: usize, text: &str) {
    let tenant = Context::new().with_baggage([KeyValue::new("tenant", text.to_owned())]);
    let _attached = tenant.attach();
    let within = telemetry.operation(OperationKind::Custom, "with baggage").begin();
    assert!(within.context().has_active_span());
    plant_spans(text);
    plant_operations(telemetry, text);
    plant_logs(text);
    plant_metrics(number, text);
}

/// The secret of an entry.
fn secret(number: usize) -> String {
    format!("{SECRET}{number:03}")
}

/// The entries, and their texts with the secrets in them.
fn corpus() -> (Vec<Entry>, Vec<String>) {
    let entries: Vec<Entry> = serde_json::from_str(CORPUS).unwrap();
    assert!(entries.len() >= 200);
    let texts = entries
        .iter()
        .enumerate()
        .map(|(number, entry)| entry.text.replace("{secret}", &secret(number)))
        .collect();
    (entries, texts)
}

/// All telemetry would have them, so the policy takes none, and says so without it.
#[test]
fn a_planted_secret_is_no_resource_attribute() {
    let (entries, texts) = corpus();
    let mut manifest = provider::manifest("enabled: true", "http://127.0.0.1:9", "grpc");
    for (number, text) in texts.iter().enumerate() {
        let path = format!("resource_attributes.planted.{number}");
        manifest = manifest.with_setting(path, text.as_str());
    }
    let said = TelemetryProvider::from_manifest(&manifest)
        .unwrap_err()
        .to_string();
    assert!(!said.contains(SECRET), "{said}");
    for (number, entry) in entries.iter().enumerate() {
        let place = format!("(settings.resource_attributes.planted.{number})");
        assert!(said.contains(&place), "{}: {said}", entry.name);
    }
}

#[test]
fn no_planted_secret_leaves() {
    let (entries, texts) = corpus();
    for (protocol, json) in [("grpc", true), ("http/protobuf", false)] {
        let receiver = receiver::Running::giving(Sent::default());
        let settings = format!(
            "baggage: {{attributes: [tenant]}}, batch_processor: {{max_queue_size: 50000}}, exceptions: {{signal: logs/dup}}, logging: {{json_output: {json}}}, timeout_millis: 20000"
        );
        let telemetry = provider::provider(&settings, &receiver.endpoint(protocol), protocol);
        let console = Console::default();
        let subscriber = tracing_subscriber::registry()
            .with(telemetry.layer())
            .with(telemetry.console(console.clone(), !json));
        tracing::subscriber::with_default(subscriber, || {
            for (number, text) in texts.iter().enumerate() {
                plant(&telemetry, number, text);
            }
        });
        telemetry.shutdown().unwrap();

        let sent = receiver.end();
        let sent = sent.0.lock().unwrap();
        let mut outs: Vec<(&str, String)> = sent
            .iter()
            .map(|(signal, requests)| (*signal, String::from_utf8_lossy(requests).into_owned()))
            .collect();
        outs.push(("console", console.text()));
        assert_eq!(outs.len(), 4, "three signals and the console");
        let mut leaked = Vec::new();
        for (out, text) in &outs {
            let planted = text.matches("***").count();
            assert!(planted > 4 * entries.len(), "{out}: {planted}");
            for (number, entry) in entries.iter().enumerate() {
                if let Some(place) = text.find(&secret(number)) {
                    let before = text.floor_char_boundary(place.saturating_sub(150));
                    leaked.push(format!("{out}: {}: {:?}", entry.name, &text[before..place]));
                }
            }
        }
        assert!(
            leaked.is_empty(),
            "{} leaked by {protocol}:\n{}",
            leaked.len(),
            leaked.join("\n")
        );
    }
}
