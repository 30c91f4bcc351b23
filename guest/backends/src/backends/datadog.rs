//! Datadog, by its own exporter and, for APM statistics, its connector.

use serde_json::json;

use crate::backend::{Backend, Build};
use crate::bindings::exports::floe::telemetry::backends::Signal;
use crate::catalogue::ALL;
use crate::component_type::DATADOG;
use crate::draft::Draft;
use crate::setting::{Kind, Setting};
use crate::text::HOST;

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "datadog",
    description: "Datadog",
    signals: ALL,
    settings: &[&[
        Setting::new("site", Kind::Text(HOST), "Site of the account, such as `datadoghq.eu`.").or("\"datadoghq.com\""),
        Setting::new("api_key", Kind::Secret, "Variable with an API key.").required(),
        Setting::new(
            "apm_stats",
            Kind::Boolean,
            "Whether hits, errors and durations are counted from traces, which needs every span before any sampling.",
        )
        .or("true"),
    ]],
    rules: &[],
    build: Build::By(build),
};

fn build(draft: &mut Draft<'_>) -> Option<()> {
    let site = draft.settings.text("site")?;
    let statistics = draft.settings.boolean("apm_stats")?;
    let key = draft.secret("api_key")?;
    let exporter = draft.exporter(DATADOG, &json!({"api": {"key": key, "site": site}}));
    // The exporter itself counts nothing since 0.95: the connector turns traces into metrics, for the metrics pipeline below.
    if statistics {
        draft.connector(DATADOG, "apm-stats", &json!({}), Signal::Traces, Signal::Metrics);
    }
    draft.pipelines(ALL, &exporter);
    Some(())
}
