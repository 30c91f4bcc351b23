//! Prometheus and what speaks like it (Mimir, Thanos, VictoriaMetrics): by OTLP or by remote write.

use serde_json::{Map, Value as Json, json};

use crate::backend::{Backend, Build};
use crate::bindings::exports::floe::telemetry::backends::Signal;
use crate::component_type::{OTLP_HTTP, PROMETHEUS_REMOTE_WRITE};
use crate::draft::Draft;
use crate::otlp::{self, Authentication, HeaderName};
use crate::rule;
use crate::setting::{ACCESS, ENDPOINT, Kind, Setting, TENANT};
use crate::text::Form;

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "prometheus",
    description: "Prometheus, by OTLP (which it takes with --web.enable-otlp-receiver) or by remote write",
    signals: &[Signal::Metrics],
    settings: &[
        &[
            Setting {
                description: "URL of the server; where it has no path, Prometheus' own for the protocol is added.",
                ..ENDPOINT
            }
            .or("\"http://prometheus:9090\""),
            Setting::new(
                "protocol",
                Kind::Text(Form::Word(&["otlp", "remote_write"])),
                "How metrics are sent.",
            )
            .or("\"otlp\""),
            TENANT,
        ],
        ACCESS,
    ],
    rules: &[rule::ACCESS],
    build: Build::By(build),
};

fn build(draft: &mut Draft<'_>) -> Option<()> {
    let url = draft.settings.url("endpoint")?.clone();
    // remote_write's `endpoint` has another place since 0.158, which 0.110 does not know; 0.161 still takes this one.
    let (kind, key, path) = match draft.settings.text("protocol")?.as_str() {
        "remote_write" => (PROMETHEUS_REMOTE_WRITE, "endpoint", "/api/v1/write"),
        _ => (OTLP_HTTP, "metrics_endpoint", "/api/v1/otlp/v1/metrics"),
    };
    let mut config = Map::new();
    config.insert(key.to_owned(), json!(url.with_path(path)));
    let headers = otlp::headers(&[(HeaderName::Fixed("x-scope-orgid"), "", "tenant")], draft, &url);
    if !headers.is_empty() {
        config.insert("headers".to_owned(), Json::Object(headers));
    }
    if let Some(tls) = otlp::tls(draft, &url, false) {
        config.insert("tls".to_owned(), tls);
    }
    if let Some(authenticator) = Authentication::Access.extension(draft, &url) {
        config.insert("auth".to_owned(), json!({"authenticator": authenticator}));
    }
    let exporter = draft.exporter(kind, &Json::Object(config));
    draft.pipeline(Signal::Metrics, &[], &[&exporter]);
    Some(())
}
