//! AWS X-Ray. Credentials come from where the Collector runs: an instance's or a pod's role, a profile, the environment.

use serde_json::{Map, Value as Json, json};

use crate::backend::{Backend, Build};
use crate::bindings::exports::floe::telemetry::backends::Signal;
use crate::component_type::AWS_XRAY;
use crate::draft::Draft;
use crate::setting::{Kind, Setting};
use crate::text::{AWS_REGION, AWS_ROLE};

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "aws-xray",
    description: "AWS X-Ray, with the Collector's own AWS credentials",
    signals: &[Signal::Traces],
    settings: &[&[
        Setting::new("region", Kind::Text(AWS_REGION), "Region.").required(),
        Setting::new(
            "role_arn",
            Kind::Text(AWS_ROLE),
            "Role that the Collector assumes to send.",
        ),
        Setting::new(
            "index_all_attributes",
            Kind::Boolean,
            "Whether every attribute becomes an annotation, by which X-Ray can search, rather than metadata.",
        )
        .or("false"),
    ]],
    rules: &[],
    build: Build::By(build),
};

fn build(draft: &mut Draft<'_>) -> Option<()> {
    let mut config = Map::new();
    config.insert("region".to_owned(), json!(draft.settings.text("region")?));
    config.insert(
        "index_all_attributes".to_owned(),
        json!(draft.settings.boolean("index_all_attributes")?),
    );
    if let Some(role) = draft.settings.text("role_arn") {
        config.insert("role_arn".to_owned(), json!(role));
    }
    let exporter = draft.exporter(AWS_XRAY, &Json::Object(config));
    draft.pipeline(Signal::Traces, &[], &[&exporter]);
    Some(())
}
