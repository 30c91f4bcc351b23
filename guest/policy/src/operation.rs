//! floe's operations: names, attributes, outcomes and measurements.

use crate::attribute::{self, attribute, json, text};
use crate::bindings::exports::floe::telemetry::operations::{
    Beginning, Ending, Measurement, OperationKind, Outcome, Status,
};
use crate::bindings::exports::floe::telemetry::types::{Exception, KeyValue, SpanKind};
use crate::configuration;
use crate::error;
use crate::redaction::Redactor;

/// How one kind of operation is named and described.
struct Convention {
    /// What it is called in `floe.operation`, and the start of the span name.
    word: &'static str,
    /// Where a fact without a dot goes: `unique_id` becomes `floe.dbt.unique_id`.
    domain: &'static str,
    /// The attribute that holds the operation's name; empty if the facts say it better.
    name: &'static str,
    /// Attribute values that belong to the kind.
    job: Option<&'static str>,
}

fn convention(kind: OperationKind) -> Convention {
    let of = |word, domain, name, job| Convention {
        word,
        domain,
        name,
        job,
    };
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
        OperationKind::DagsterRun => of("dagster.run", "floe.dagster", "floe.dagster.job", None),
        OperationKind::AssetMaterialization => of(
            "dagster.asset",
            "floe.dagster",
            "floe.dagster.step",
            Some("dagster_asset"),
        ),
        OperationKind::Command => of("command", "process", "process.executable.name", None),
        OperationKind::Custom => of("custom", "floe", "", None),
    }
}

/// Begins an operation.
pub fn begin(kind: OperationKind, name: &str, facts: &[KeyValue]) -> Beginning {
    let convention = convention(kind);
    let mut attributes = described(&convention, facts);
    if !convention.name.is_empty() {
        attributes.push(attribute(convention.name, name));
    }
    if let Some(job) = convention.job {
        attributes.push(attribute(attribute::JOB_TYPE, job));
    }
    let span_name = match kind {
        OperationKind::Custom => name.to_owned(),
        OperationKind::DbtNode => {
            let resource = fact(facts, "resource_type").unwrap_or_else(|| "node".to_owned());
            if resource == "model" {
                attributes.push(attribute(attribute::DBT_MODEL, name));
            }
            format!("dbt.{resource} {name}")
        }
        OperationKind::AssetMaterialization => match assets(facts).as_slice() {
            [] => format!("dagster.step {name}"),
            [asset] => {
                attributes.push(attribute(attribute::DAGSTER_ASSET, asset));
                format!("dagster.asset {asset}")
            }
            _ => format!("dagster.assets {name}"),
        },
        _ => format!("{} {name}", convention.word),
    };
    Beginning {
        name: span_name,
        kind: SpanKind::Internal,
        attributes,
    }
}

/// Ends an operation.
pub fn end(
    kind: OperationKind,
    name: &str,
    status: &str,
    seconds: f64,
    facts: &[KeyValue],
    exception: Option<&Exception>,
    redactor: &Redactor,
) -> Ending {
    let outcome = outcome(status);
    let failed = matches!(outcome, Outcome::Failure | Outcome::Error);
    let classified = exception.map(|found| error::classify(found, redactor));
    let remark = classified
        .as_ref()
        .filter(|_| outcome == Outcome::Warning)
        .map(|found| found.message.clone());
    let exception = classified.filter(|_| failed);
    let error_type = failed.then(|| match (&exception, kind, outcome) {
        (_, OperationKind::DbtNode, Outcome::Failure) => "dbt.test_failure".to_owned(),
        (Some(exception), ..) => exception.type_.clone(),
        (None, OperationKind::Command | OperationKind::PipelineRun, _) => "exit_code".to_owned(),
        (None, OperationKind::DbtInvocation, _) => "dbt.node_failure".to_owned(),
        (None, ..) => error::OTHER.to_owned(),
    });
    // The exception and the span name the same failure.
    let exception = exception.map(|found| Exception {
        type_: error_type.clone().unwrap_or(found.type_),
        ..found
    });
    let description = match (&exception, failed) {
        (_, false) => String::new(),
        (Some(exception), true) if !exception.message.is_empty() => exception.message.clone(),
        (_, true) => format!("ended with {status}"),
    };
    let mut attributes = described(&convention(kind), facts);
    attributes.push(attribute(attribute::OUTCOME, word(outcome)));
    if let Some(remark) = remark {
        attributes.push(attribute(attribute::OUTCOME_MESSAGE, remark));
    }
    if let Some(error_type) = &error_type {
        attributes.push(attribute(attribute::ERROR_TYPE, error_type));
    }
    Ending {
        outcome,
        status: if failed { Status::Error } else { Status::Unset },
        description,
        attributes,
        exception,
        measurements: measurements(
            kind,
            name,
            word(outcome),
            seconds.max(0.0),
            facts,
            error_type.as_deref(),
        ),
    }
}

/// Attributes of the facts, by the convention.
fn described(convention: &Convention, facts: &[KeyValue]) -> Vec<KeyValue> {
    facts
        .iter()
        .filter(|fact| !fact.value.is_empty() && fact.value != "null")
        .map(|fact| KeyValue {
            key: match fact.key.as_str() {
                key if key.contains('.') => key.to_owned(),
                "materialized" => "floe.dbt.materialization".to_owned(),
                "exit_code" => "process.exit.code".to_owned(),
                key => format!("{}.{key}", convention.domain),
            },
            value: fact.value.clone(),
        })
        .collect()
}

fn fact(facts: &[KeyValue], key: &str) -> Option<String> {
    facts
        .iter()
        .find(|fact| fact.key == key)
        .map(|fact| text(&fact.value))
        .filter(|value| !value.is_empty())
}

fn assets(facts: &[KeyValue]) -> Vec<String> {
    facts
        .iter()
        .find(|fact| fact.key == "assets")
        .and_then(|fact| serde_json::from_str(&fact.value).ok())
        .unwrap_or_default()
}

/// A tool's word for how something ended. What is not known counts as an error: silence would hide it.
fn outcome(status: &str) -> Outcome {
    let status = status.trim().to_ascii_lowercase();
    let word = ["pipeline_", "run_", "step_", "asset_"]
        .iter()
        .find_map(|prefix| status.strip_prefix(prefix))
        .unwrap_or(&status);
    match word {
        "success" | "pass" | "ok" | "0" => Outcome::Success,
        "warning" | "warn" | "partial success" | "up_for_retry" => Outcome::Warning,
        "failure" | "fail" | "failed" => Outcome::Failure,
        "skipped" | "skip" | "no-op" | "reused" => Outcome::Skipped,
        // An interrupt, or a request to end, is somebody's wish.
        "cancelled" | "canceled" | "canceling" | "signal 2" | "signal 15" => Outcome::Cancelled,
        exit_code if exit_code.parse::<i64>().is_ok() => Outcome::Failure,
        _ => Outcome::Error,
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Warning => "warning",
        Outcome::Failure => "failure",
        Outcome::Error => "error",
        Outcome::Skipped => "skipped",
        Outcome::Cancelled => "cancelled",
    }
}

/// What to record. Attributes are bounded by the project's size: never a run id, a message or a time.
fn measurements(
    kind: OperationKind,
    name: &str,
    outcome: &str,
    seconds: f64,
    facts: &[KeyValue],
    error_type: Option<&str>,
) -> Vec<Measurement> {
    let word = convention(kind).word;
    let record = |instrument: &str, value: f64, mut attributes: Vec<KeyValue>| {
        attributes.push(attribute(attribute::OUTCOME, outcome));
        if let Some(error_type) = error_type {
            attributes.push(attribute(attribute::ERROR_TYPE, error_type));
        }
        Measurement {
            instrument: instrument.to_owned(),
            value,
            attributes,
        }
    };
    let resource_type = fact(facts, "resource_type").unwrap_or_default();
    let mut all = match kind {
        OperationKind::PipelineRun => {
            vec![record(
                configuration::PIPELINE_DURATION,
                seconds,
                vec![attribute(attribute::PIPELINE_NAME, name)],
            )]
        }
        OperationKind::DbtNode => {
            let mut described = vec![attribute("floe.dbt.resource_type", &resource_type)];
            described.extend(
                fact(facts, "materialized").map(|value| attribute("floe.dbt.materialization", value)),
            );
            vec![record(configuration::DBT_NODE_DURATION, seconds, described)]
        }
        _ => vec![record(
            configuration::OPERATION_DURATION,
            seconds,
            vec![attribute("floe.operation", word)],
        )],
    };
    if resource_type == "test" {
        all.push(record(configuration::DBT_TESTS, 1.0, Vec::new()));
    }
    if kind == OperationKind::AssetMaterialization {
        all.extend(assets(facts).iter().map(|asset| {
            record(
                configuration::ASSET_MATERIALIZATIONS,
                1.0,
                vec![KeyValue {
                    key: attribute::DAGSTER_ASSET.to_owned(),
                    value: json(asset),
                }],
            )
        }));
    }
    if error_type.is_some() {
        all.push(record(
            configuration::ERRORS,
            1.0,
            vec![attribute("floe.operation", word)],
        ));
    }
    all
}
