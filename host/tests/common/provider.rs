//! A provider with a small manifest.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use floe_telemetry::{Manifest, TelemetryProvider};

/// A provider whose Collector is at this address, with further settings of `observability.telemetry`.
pub(crate) fn provider(settings: &str, endpoint: &str, protocol: &str) -> TelemetryProvider {
    TelemetryProvider::from_manifest(&manifest(settings, endpoint, protocol)).unwrap()
}

/// The manifest of such a provider.
pub(crate) fn manifest(settings: &str, endpoint: &str, protocol: &str) -> Manifest {
    let manifest = format!(
        "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}\nobservability: {{telemetry: {{resource_attributes: {{service.name: sales-service}}, shutdown_timeout_millis: 3000, {settings}}}}}"
    );
    Manifest::new("manifest", manifest)
        .with_variables(|_| None)
        .with_setting("otlp_endpoint", endpoint)
        .with_setting("otlp_protocol", protocol)
}
