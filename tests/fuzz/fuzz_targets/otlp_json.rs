//! OTLP/JSON as the development receiver reads it: what is read is written and read alike, and what is shown of it is plain text.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

/// The receiver keeps this module to itself; all that it needs of its crate is the type of a batch.
#[path = "../../../host/receiver/src/otlp_json.rs"]
mod otlp_json;
mod batch {
    pub(crate) use floe_telemetry_receiver::Batch;
}

use floe_telemetry_receiver::{Batch, Sink as _, Store, Style, render};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde::de::DeserializeOwned;

fn check<T: DeserializeOwned>(text: &str, into_batch: impl Fn(T) -> Batch) {
    let Ok(request) = otlp_json::decode::<T>(text.as_bytes()) else {
        return;
    };
    let batch = into_batch(request);
    let written = otlp_json::encode(&batch).expect("what was read can be written");
    assert!(!written.contains('\n'));
    let again = into_batch(otlp_json::decode(written.as_bytes()).expect("what was written can be read"));
    // Numbers that are none are not equal to themselves, so texts are compared.
    assert_eq!(otlp_json::encode(&again).expect("as before"), written);

    let store = Store::default();
    store.accept(&batch).expect("a store takes all");
    for (verbose, width) in [(false, None), (true, Some(40))] {
        let style = Style {
            verbose,
            width,
            ..Style::plain()
        };
        let shown = render(&store.snapshot(), &style);
        assert!(
            !shown.chars().any(|letter| letter.is_control() && letter != '\n'),
            "{shown:?}"
        );
        assert!(shown.is_empty() || shown.ends_with('\n'));
    }
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    check::<ExportTraceServiceRequest>(text, Batch::Traces);
    check::<ExportMetricsServiceRequest>(text, Batch::Metrics);
    check::<ExportLogsServiceRequest>(text, Batch::Logs);
});
