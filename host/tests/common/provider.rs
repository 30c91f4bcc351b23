//! A provider with a small manifest.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use floe_telemetry::TelemetryProvider;

const MANIFEST: &str = "
metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
observability:
  telemetry:
    resource_attributes: {service.name: sales-service}
    shutdown_timeout_millis: 3000
";

/// A provider whose Collector is at this address.
pub(crate) fn provider(endpoint: &str, protocol: &str) -> TelemetryProvider {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("manifest.yaml");
    std::fs::write(&manifest, MANIFEST).unwrap();
    TelemetryProvider::from_manifest_with(&manifest, |name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        _ => None,
    })
    .unwrap()
}
