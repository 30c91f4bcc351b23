//! Splunk Observability Cloud for traces and metrics, Splunk Enterprise or Cloud for logs: three exporters, as Splunk's own distribution has them.

use serde_json::json;

use crate::backend::{Backend, Build};
use crate::bindings::exports::floe::telemetry::backends::Signal;
use crate::catalogue::ALL;
use crate::component_type::{OTLP_HTTP, SIGNALFX, SPLUNK_HEC};
use crate::draft::Draft;
use crate::rule::Rule;
use crate::setting::{ENDPOINT, Kind, Setting};
use crate::text::LABEL;

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "splunk",
    description: "Splunk Observability Cloud; logs go to an HTTP Event Collector, if there is one",
    signals: ALL,
    settings: &[&[
        Setting::new("realm", Kind::Text(LABEL), "Realm of the account, such as `us1`.").required(),
        Setting::new("access_token", Kind::Secret, "Variable with an ingest token.").required(),
        Setting {
            name: "hec_endpoint",
            description: "URL of the HTTP Event Collector that takes logs, such as `https://splunk:8088/services/collector`.",
            ..ENDPOINT
        },
        Setting::new(
            "hec_token",
            Kind::Secret,
            "Variable with the HTTP Event Collector's token.",
        ),
    ]],
    rules: &[&[
        Rule::Needs("hec_endpoint", "hec_token"),
        Rule::Needs("hec_token", "hec_endpoint"),
    ]],
    build: Build::By(build),
};

fn build(draft: &mut Draft<'_>) -> Option<()> {
    let realm = draft.settings.text("realm")?;
    let token = draft.secret("access_token")?;
    let traces = draft.exporter(
        OTLP_HTTP,
        &json!({
            "traces_endpoint": format!("https://ingest.{realm}.observability.splunkcloud.com/v2/trace/otlp"),
            "headers": {"x-sf-token": token},
        }),
    );
    draft.pipeline(Signal::Traces, &[], &[&traces]);
    let metrics = draft.exporter(SIGNALFX, &json!({"access_token": token, "realm": realm}));
    draft.pipeline(Signal::Metrics, &[], &[&metrics]);
    if let Some(url) = draft.settings.url("hec_endpoint").cloned() {
        let token = draft.secret("hec_token")?;
        draft.warn_if_readable("hec_token", &url);
        let endpoint = url.with_path("/services/collector");
        let logs = draft.exporter(SPLUNK_HEC, &json!({"endpoint": endpoint, "token": token}));
        draft.pipeline(Signal::Logs, &[], &[&logs]);
    }
    Some(())
}
