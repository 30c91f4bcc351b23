//! Each signal has an exporter of its own, or none.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use std::fs;

use floe_telemetry::{Error, Manifest, OperationKind, TelemetryProvider};
use opentelemetry::trace::TraceContextExt as _;

#[test]
fn signals_go_their_own_ways() {
    let (traces, metrics) = (receiver::Running::start(), receiver::Running::start());
    let telemetry = provider::provider(
        &format!(
            "metrics: {{otlp_endpoint: \"{}\", otlp_protocol: grpc}}, logs: {{enabled: false}}",
            metrics.endpoint("grpc")
        ),
        &traces.endpoint("http/protobuf"),
        "http/protobuf",
    );
    let operation = telemetry.operation(OperationKind::Custom, "work").begin();
    assert!(operation.context().span().span_context().is_sampled());
    operation.end("success");
    telemetry.shutdown().unwrap();
    let counts = telemetry.counts();
    assert_eq!((counts.traces.delivered, counts.logs.produced), (1, 0));
    assert!(counts.metrics.produced > 0);
    assert_eq!(counts.metrics.delivered, counts.metrics.produced);
    let (traces, metrics) = (traces.stop(), metrics.stop());
    assert_eq!((traces.traces.len(), metrics.traces.len()), (1, 0));
    assert_eq!(traces.metrics.rows().len(), 0);
    assert!(!metrics.metrics.rows().is_empty());
}

#[test]
fn a_missing_credential_turns_telemetry_off_and_fails_nothing() {
    let text = "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\nobservability: {telemetry: {authentication: {auth_type: bearer, bearer_token: \"${env:FLOE_TEST_UNSET}\"}}}";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manifest.yaml");
    fs::write(&path, text).unwrap();
    let manifest = Manifest::new("manifest", text).with_variables(|_| None);
    let error = TelemetryProvider::from_manifest(&manifest).unwrap_err();
    let Error::Unresolved(problems) = &error else {
        panic!("{error}")
    };
    assert_eq!(problems.len(), 1, "the same for three signals is said once");
    assert_eq!(problems[0].code, "FLOE-X003");
    assert!(error.to_string().contains("FLOE_TEST_UNSET"));

    let telemetry = TelemetryProvider::init(&path);
    assert!(telemetry.plan().is_none());
    let rows = telemetry
        .operation(OperationKind::Custom, "work")
        .run(|_| "42".parse::<u32>());
    assert_eq!(rows, Ok(42));
    telemetry.shutdown().unwrap();
}
