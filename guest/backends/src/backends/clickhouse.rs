//! ClickHouse, with the tables that the exporter makes.

use serde_json::{Map, Value as Json, json};

use crate::backend::{Backend, Build};
use crate::catalogue::ALL;
use crate::component_type::CLICKHOUSE;
use crate::draft::Draft;
use crate::otlp;
use crate::rule::Rule;
use crate::setting::{CA_FILE, Kind, Setting};
use crate::text::{IDENTIFIER, LINE};
use crate::url;

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "clickhouse",
    description: "ClickHouse, in tables of OpenTelemetry data",
    signals: ALL,
    settings: &[&[
        Setting::new(
            "endpoint",
            Kind::Url(url::CLICKHOUSE),
            "URL of the server; `https` or `?secure=true` encrypts.",
        )
        .or("\"tcp://clickhouse:9000\""),
        Setting::new("database", Kind::Text(IDENTIFIER), "Database.").or("\"otel\""),
        Setting::new("username", Kind::Text(LINE), "User."),
        Setting::new("password", Kind::Secret, "Variable with the user's password."),
        Setting::new(
            "create_schema",
            Kind::Boolean,
            "Whether the exporter makes the database and its tables.",
        )
        .or("true"),
        Setting::new(
            "ttl_hours",
            Kind::Integer(0, 876_000),
            "Hours after which rows of tables that the exporter makes are deleted; 0 keeps them.",
        )
        .or("72"),
        CA_FILE,
    ]],
    rules: &[&[Rule::Needs("password", "username")]],
    build: Build::By(build),
};

fn build(draft: &mut Draft<'_>) -> Option<()> {
    let url = draft.settings.url("endpoint")?.clone();
    let mut config = Map::new();
    config.insert("endpoint".to_owned(), json!(url.with_path("")));
    config.insert("database".to_owned(), json!(draft.settings.text("database")?));
    config.insert(
        "create_schema".to_owned(),
        json!(draft.settings.boolean("create_schema")?),
    );
    config.insert(
        "ttl".to_owned(),
        json!(format!("{}h", draft.settings.text("ttl_hours")?)),
    );
    if let Some(user) = draft.settings.text("username") {
        config.insert("username".to_owned(), json!(user));
    }
    if let Some(password) = draft.secret("password") {
        draft.warn_if_readable("password", &url);
        config.insert("password".to_owned(), json!(password));
    }
    if let Some(tls) = otlp::tls(draft, &url, false) {
        // `tls` came after 0.120, and until 0.141 a `ca_file` counted only beside a client's own certificate.
        draft.refuse_before(141, "ca_file");
        config.insert("tls".to_owned(), tls);
    }
    let exporter = draft.exporter(CLICKHOUSE, &Json::Object(config));
    draft.pipelines(ALL, &exporter);
    Some(())
}
