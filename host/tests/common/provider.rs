//! A provider with a small manifest.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use floe_telemetry::TelemetryProvider;

/// A provider whose Collector is at this address, with further settings of `observability.telemetry`.
pub(crate) fn provider(settings: &str, endpoint: &str, protocol: &str) -> TelemetryProvider {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manifest.yaml");
    let manifest = format!(
        "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}\nobservability: {{telemetry: {{resource_attributes: {{service.name: sales-service}}, shutdown_timeout_millis: 3000, {settings}}}}}"
    );
    std::fs::write(&path, manifest).unwrap();
    TelemetryProvider::from_manifest_with(&path, |name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        _ => None,
    })
    .unwrap()
}
