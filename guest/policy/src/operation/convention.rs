//! How each kind of operation is called, and which attribute each fact becomes.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::attribute::{self, attribute, text};
use crate::bindings::exports::floe::telemetry::operations::OperationKind;
use crate::bindings::exports::floe::telemetry::types::KeyValue;

/// How one kind of operation is named and described.
#[derive(Debug)]
pub(super) struct Convention {
    /// What it is called in `floe.operation.type`, and the start of the span name.
    pub(super) word: &'static str,
    /// The attribute that holds the operation's name; empty if the facts say it better.
    pub(super) name: &'static str,
    /// Kind of job that it belongs to.
    pub(super) job: Option<&'static str>,
    /// Component that its errors are of; an application names its own.
    pub(super) component: Option<&'static str>,
    /// Facts of the start that the end depends on.
    pub(super) recalls: &'static [&'static str],
    /// Where a fact without a dot goes: `unique_id` becomes `floe.dbt.unique_id`.
    domain: &'static str,
}

/// Facts for which there is another attribute than one of the kind's namespace: OpenTelemetry's where it has one.
const FACTS: [(&str, &str, &str); 7] = [
    ("floe.dbt", "materialized", "floe.dbt.materialization"),
    ("floe.dbt", "path", "code.file.path"),
    ("floe.dbt", "thread", "thread.name"),
    ("floe.dbt", "adapter", "db.system.name"),
    ("floe.dagster", "function", "code.function.name"),
    ("floe.pipeline", "exit_code", "process.exit.code"),
    ("process", "exit_code", "process.exit.code"),
];
/// Adapters of dbt that OpenTelemetry calls otherwise (registry, `db.system.name`).
const SYSTEMS: [(&str, &str); 5] = [
    ("postgres", "postgresql"),
    ("redshift", "aws.redshift"),
    ("bigquery", "gcp.bigquery"),
    ("sqlserver", "microsoft.sql_server"),
    ("fabric", "microsoft.sql_server"),
];

/// The convention of a kind.
pub(super) fn convention(kind: OperationKind) -> Convention {
    let of = |word, domain, name, job| Convention {
        word,
        name,
        job,
        recalls: match kind {
            OperationKind::DbtNode => &["resource_type", "materialized"],
            OperationKind::Custom => &["component"],
            OperationKind::AssetMaterialization => &["assets"],
            _ => &[],
        },
        component: match domain {
            "floe.dbt" => Some("dbt"),
            "floe.dagster" => Some("dagster"),
            "floe" => None,
            _ => Some("core"),
        },
        domain,
    };
    let dagster = |word, name| of(word, "floe.dagster", name, None);
    match kind {
        OperationKind::PipelineRun => of(
            "floe.pipeline.run",
            "floe.pipeline",
            attribute::PIPELINE_NAME,
            None,
        ),
        OperationKind::Compile => of("floe.compile", "floe.compile", "floe.compile.name", None),
        OperationKind::CompileStage => of("floe.compile.stage", "floe.compile", "floe.compile.stage", None),
        OperationKind::DbtInvocation => of("dbt", "floe.dbt", "floe.dbt.command", Some("dbt_run")),
        OperationKind::DbtNode => of("dbt.node", "floe.dbt", "", Some("dbt_run")),
        OperationKind::DagsterRun => dagster("dagster.run", "floe.dagster.job"),
        OperationKind::DagsterStep => dagster("dagster.step", attribute::DAGSTER_STEP),
        OperationKind::AssetMaterialization => of(
            "dagster.asset",
            "floe.dagster",
            attribute::DAGSTER_STEP,
            Some("dagster_asset"),
        ),
        OperationKind::AssetObservation => of(
            "dagster.observation",
            "floe.dagster",
            attribute::DAGSTER_STEP,
            Some("dagster_asset"),
        ),
        OperationKind::AssetCheck => dagster("dagster.check", attribute::DAGSTER_CHECK),
        OperationKind::SensorTick => dagster("dagster.sensor", "floe.dagster.sensor"),
        OperationKind::ScheduleTick => dagster("dagster.schedule", "floe.dagster.schedule"),
        OperationKind::Command => of("command", "process", "process.executable.name", None),
        OperationKind::Custom => of("custom", "floe", "", None),
    }
}

impl Convention {
    /// Whether an attribute is of a fact that the end is told again.
    pub(super) fn is_recalled(&self, attribute: &str) -> bool {
        self.recalls.iter().any(|fact| name(self, fact) == attribute)
    }
}

/// Most elements of a list; what one operation has more of is counted elsewhere.
const MOST_ELEMENTS: usize = 128;

/// Attributes of the facts.
pub(super) fn described(convention: &Convention, facts: &[KeyValue]) -> Vec<KeyValue> {
    let mut attributes: Vec<KeyValue> = Vec::with_capacity(facts.len() + 2);
    for fact in facts {
        if fact.value == "null" || !is_readable(&fact.value) {
            continue;
        }
        let key = name(convention, &fact.key);
        let value = match key.as_str() {
            "db.system.name" if fact.key == "adapter" => system(&fact.value),
            _ => bounded(&fact.value),
        };
        attributes.push(KeyValue { key, value });
    }
    let of = |key: &str| {
        let key = format!("{}.{key}", convention.domain);
        attributes
            .iter()
            .find(|found| found.key == key)
            .map(|found| text(&found.value))
    };
    // Parts are joined as OpenTelemetry has it (registry, `db.namespace`).
    if let (Some(database), Some(schema)) = (of("database"), of("schema")) {
        attributes.push(attribute("db.namespace", format!("{database}|{schema}")));
    }
    attributes
}

/// Whether every reader of JSON takes a value. Its text may be JSON's and yet say a number beyond all finite ones, half a
/// character, or lists in lists without end: then no other attribute of the operation would be read either.
fn is_readable(value: &str) -> bool {
    // It stands in an object, where one list less may be in another.
    serde_json::from_str::<Value>(&format!("[{value}]")).is_ok()
}

/// The JSON text of a value; of a long list that of its first elements.
fn bounded(value: &str) -> String {
    // A list of more elements than that has as many commas.
    if value.len() <= 2 * MOST_ELEMENTS || !value.starts_with('[') {
        return value.to_owned();
    }
    match serde_json::from_str::<Vec<&RawValue>>(value) {
        Ok(mut elements) => {
            elements.truncate(MOST_ELEMENTS);
            attribute::json(elements)
        }
        Err(_) => value.to_owned(),
    }
}

fn name(convention: &Convention, fact: &str) -> String {
    if fact.contains('.') {
        return fact.to_owned();
    }
    FACTS
        .iter()
        .find(|(domain, key, _)| *domain == convention.domain && *key == fact)
        .map_or_else(
            || format!("{}.{fact}", convention.domain),
            |(.., name)| (*name).to_owned(),
        )
}

fn system(adapter: &str) -> String {
    let adapter = text(adapter);
    let known = SYSTEMS.iter().find(|(name, _)| *name == adapter);
    attribute::json(known.map_or(adapter.as_str(), |(_, system)| system))
}
