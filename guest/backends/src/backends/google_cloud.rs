//! Google Cloud. Credentials are the application default ones of where the Collector runs.

use serde_json::{Map, Value as Json, json};

use crate::backend::{Backend, Build};
use crate::catalogue::ALL;
use crate::component_type::GOOGLE_CLOUD;
use crate::draft::Draft;
use crate::setting::{Kind, Setting};
use crate::text::{GOOGLE_PROJECT, LINE};

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "google-cloud",
    description: "Google Cloud Trace, Monitoring and Logging, with the Collector's own credentials",
    signals: ALL,
    settings: &[&[
        Setting::new(
            "project",
            Kind::Text(GOOGLE_PROJECT),
            "Project; without it that of the credentials.",
        ),
        // A record without a name is dropped.
        Setting::new(
            "log_name",
            Kind::Text(LINE),
            "Name of the log that records go to.",
        )
        .or("\"floe\""),
    ]],
    rules: &[],
    build: Build::By(build),
};

fn build(draft: &mut Draft<'_>) -> Option<()> {
    let mut config = Map::new();
    if let Some(project) = draft.settings.text("project") {
        config.insert("project".to_owned(), json!(project));
    }
    config.insert(
        "log".to_owned(),
        json!({"default_log_name": draft.settings.text("log_name")?}),
    );
    let exporter = draft.exporter(GOOGLE_CLOUD, &Json::Object(config));
    draft.pipelines(ALL, &exporter);
    Some(())
}
