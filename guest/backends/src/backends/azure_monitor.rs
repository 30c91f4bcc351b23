//! Azure Monitor, which is Application Insights.

use serde_json::json;

use crate::backend::{Backend, Build};
use crate::catalogue::ALL;
use crate::component_type::AZURE_MONITOR;
use crate::draft::Draft;
use crate::setting::{Kind, Setting};

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "azure-monitor",
    description: "Azure Monitor (Application Insights)",
    signals: ALL,
    settings: &[&[Setting::new(
        "connection_string",
        Kind::Secret,
        "Variable with the connection string of the Application Insights resource.",
    )
    .required()]],
    rules: &[],
    build: Build::By(build),
};

fn build(draft: &mut Draft<'_>) -> Option<()> {
    let connection = draft.secret("connection_string")?;
    let exporter = draft.exporter(
        AZURE_MONITOR,
        &json!({
            "connection_string": connection,
            // Off unless asked for, unlike in other exporters; a failed span's exception is an event.
            "sending_queue": {"enabled": true},
            "spaneventsenabled": true,
        }),
    );
    draft.pipelines(ALL, &exporter);
    Some(())
}
