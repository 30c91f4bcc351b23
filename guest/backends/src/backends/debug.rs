//! The Collector's own log.

use serde_json::json;

use crate::backend::{Backend, Build};
use crate::catalogue::ALL;
use crate::component_type::DEBUG;
use crate::draft::Draft;
use crate::setting::{Kind, Setting};
use crate::text::Form;

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "debug",
    description: "The Collector's own log",
    signals: ALL,
    settings: &[&[Setting::new(
        "verbosity",
        Kind::Text(Form::Word(&["basic", "normal", "detailed"])),
        "A line a batch, a line a record, or everything.",
    )
    .or("\"normal\"")]],
    rules: &[],
    build: Build::By(build),
};

fn build(draft: &mut Draft<'_>) -> Option<()> {
    let config = json!({"verbosity": draft.settings.text("verbosity")?});
    let exporter = draft.exporter(DEBUG, &config);
    draft.pipelines(ALL, &exporter);
    Some(())
}
