//! floe's operations: names, outcomes and measurements.

use crate::attribute::{self, attribute, text};
use crate::bindings::exports::floe::telemetry::operations::{
    Beginning, Ending, Measurement, OperationKind, Outcome, Status,
};
use crate::bindings::exports::floe::telemetry::types::{Exception, KeyValue, SpanKind};
use crate::error;
use crate::instrument;
use crate::redaction::Redactor;

mod convention;
mod summary;

use convention::{convention, described};
use summary::Failed;

/// What a host says of an operation that nobody ended.
const ABANDONED: &str = "abandoned";
/// A part of a microbatch model, which a host tells from its model by this resource type.
const BATCH: &str = "batch";
/// Most bytes of an operation's name.
const MOST_NAME: usize = 1_024;
/// The component of an application that does not name its own.
const APPLICATION: &str = "application";

/// Begins an operation.
pub fn begin(kind: OperationKind, name: &str, facts: &[KeyValue]) -> Beginning {
    let name = bounded(name);
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
            if matches!(resource.as_str(), "model" | BATCH) {
                attributes.push(attribute(attribute::DBT_MODEL, name));
            }
            // dbt calls the SQL of on-run-start and on-run-end an operation, which everything is here.
            let resource = if resource == "operation" {
                "hook"
            } else {
                &resource
            };
            format!("dbt.{resource} {name}")
        }
        OperationKind::AssetMaterialization | OperationKind::AssetObservation => {
            match assets(facts, "assets").as_slice() {
                [] => format!("dagster.step {name}"),
                [asset] => {
                    attributes.push(attribute(attribute::DAGSTER_ASSET, asset));
                    format!("{} {asset}", convention.word)
                }
                _ => format!("{}s {name}", convention.word),
            }
        }
        _ => format!("{} {name}", convention.word),
    };
    Beginning {
        name: span_name,
        kind: SpanKind::Internal,
        attributes: attribute::object(&attributes),
        recalls: convention.recalls.iter().map(|fact| (*fact).to_owned()).collect(),
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
    let (name, seconds) = (
        bounded(name),
        if seconds.is_finite() {
            seconds.max(0.0)
        } else {
            0.0
        },
    );
    let resource = fact(facts, "resource_type").unwrap_or_default();
    let bad_data = (kind == OperationKind::DbtNode)
        .then(|| bad_data(&resource, status))
        .flatten();
    let outcome = if bad_data.is_some() {
        Outcome::Failure
    } else {
        outcome(status)
    };
    let failed = matches!(outcome, Outcome::Failure | Outcome::Error);
    let classified = exception.map(|found| error::classify(found, redactor));
    let said = Failed {
        kind,
        name,
        status,
        seconds,
        facts,
        exception: classified.as_ref(),
        redactor,
    };
    let description = match failed {
        true => said.description(),
        false => String::new(),
    };
    let remark = (outcome == Outcome::Warning).then(|| said.remark()).flatten();
    let exception = classified.filter(|_| failed);
    let error_type = failed.then(|| match (&exception, kind, outcome) {
        _ if status == ABANDONED => ABANDONED.to_owned(),
        _ if bad_data.is_some() => bad_data.unwrap_or_default().to_owned(),
        (_, OperationKind::AssetCheck, Outcome::Failure) => "dagster.check_failure".to_owned(),
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
    let convention = convention(kind);
    let mut attributes = described(&convention, facts);
    // The span has them since its start.
    attributes.retain(|found| !convention.is_recalled(&found.key));
    attributes.push(attribute(attribute::OUTCOME, word(outcome)));
    if let Some(remark) = remark {
        attributes.push(attribute(attribute::WARNING_MESSAGE, remark));
    }
    if let Some(error_type) = &error_type {
        attributes.push(attribute(attribute::ERROR_TYPE, error_type));
    }
    if let Some(exception) = exception.as_ref().filter(|found| !found.causes.is_empty()) {
        attributes.push(attribute(attribute::EXCEPTION_CAUSES, &exception.causes));
    }
    Ending {
        outcome,
        status: if failed { Status::Error } else { Status::Unset },
        description,
        attributes: attribute::object(&attributes),
        // Nothing was thrown where the data is bad.
        exception: exception.filter(|_| bad_data.is_none()),
        measurements: measurements(
            kind,
            name,
            outcome,
            seconds,
            facts,
            error_type.as_deref(),
            status.to_ascii_lowercase().contains("retry"),
        ),
    }
}

fn fact(facts: &[KeyValue], key: &str) -> Option<String> {
    facts
        .iter()
        .find(|fact| fact.key == key)
        .map(|fact| text(&fact.value))
        .filter(|value| !value.is_empty())
}

fn number(facts: &[KeyValue], key: &str) -> Option<f64> {
    let found = facts.iter().find(|fact| fact.key == key)?;
    let number: f64 = found.value.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// A name that a span can have.
fn bounded(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MOST_NAME))
        .unwrap_or_default()
}

/// The component that an error is of: floe's core, a tool, or what an application calls itself.
fn component(kind: OperationKind, facts: &[KeyValue]) -> String {
    const MOST: usize = 64;
    let is_word = |word: &String| {
        word.len() <= MOST
            && word
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    };
    match convention(kind).component {
        Some(component) => component.to_owned(),
        None => fact(facts, "component")
            .filter(is_word)
            .unwrap_or_else(|| APPLICATION.to_owned()),
    }
}

fn assets(facts: &[KeyValue], key: &str) -> Vec<String> {
    facts
        .iter()
        .find(|fact| fact.key == key)
        .and_then(|fact| serde_json::from_str(&fact.value).ok())
        .unwrap_or_default()
}

/// The assets that a step's own operation counts. A host that knows which were `materialized` tells of each of several by an operation of its own, so that
/// theirs counts only what they did not make.
fn told_here(facts: &[KeyValue], outcome: Outcome) -> Vec<String> {
    let mut planned = assets(facts, "assets");
    if facts.iter().all(|fact| fact.key != "materialized") {
        return planned;
    }
    let made = assets(facts, "materialized");
    let (alone, failed) = (
        planned.len() == 1,
        !matches!(outcome, Outcome::Success | Outcome::Warning),
    );
    planned.retain(|asset| match (alone, failed) {
        (_, true) => outcome != Outcome::Skipped && (alone || !made.contains(asset)),
        (true, false) => made.contains(asset),
        (false, false) => false,
    });
    planned
}

/// The type of failure where a node of dbt ran and its data is bad. Of a source `error` means just that: it is stale past
/// `error_after`, and one that could not be asked is a `runtime error`.
fn bad_data(resource: &str, status: &str) -> Option<&'static str> {
    match (resource, status.trim().to_ascii_lowercase().as_str()) {
        ("source", "error" | "fail") => Some("dbt.stale_source"),
        (_, "fail") => Some("dbt.test_failure"),
        (_, "partial success") => Some("dbt.partial_success"),
        _ => None,
    }
}

/// A tool's word for how something ended. What is not known counts as an error: silence would hide it.
fn outcome(status: &str) -> Outcome {
    match outcome_word(status).as_str() {
        "success" | "pass" | "ok" | "0" => Outcome::Success,
        "warning" | "warn" | "up_for_retry" => Outcome::Warning,
        "failure" | "fail" | "failed" => Outcome::Failure,
        "skipped" | "skip" | "no-op" | "reused" => Outcome::Skipped,
        // An interrupt, or a request to end, is somebody's wish.
        "cancelled" | "canceled" | "canceling" | "signal 2" | "signal 15" => Outcome::Cancelled,
        exit_code if exit_code.parse::<i64>().is_ok() => Outcome::Failure,
        _ => Outcome::Error,
    }
}

/// A tool's word in lower case, without what the word is of.
fn outcome_word(status: &str) -> String {
    let status = status.trim().to_ascii_lowercase();
    ["pipeline_", "run_", "step_", "asset_", "tick_"]
        .iter()
        .find_map(|prefix| status.strip_prefix(prefix))
        .unwrap_or(&status)
        .to_owned()
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
    outcome: Outcome,
    seconds: f64,
    facts: &[KeyValue],
    error_type: Option<&str>,
    is_retried: bool,
) -> Vec<Measurement> {
    let word = convention(kind).word;
    let record = |instrument: &str, value: f64, mut attributes: Vec<KeyValue>| {
        attributes.push(attribute(attribute::OUTCOME, self::word(outcome)));
        if let Some(error_type) = error_type {
            attributes.push(attribute(attribute::ERROR_TYPE, error_type));
        }
        Measurement {
            instrument: instrument.to_owned(),
            value,
            attributes: attribute::object(&attributes),
        }
    };
    let resource_type = fact(facts, "resource_type").unwrap_or_default();
    if kind == OperationKind::DbtNode && resource_type == BATCH {
        return Vec::new(); // its model counts
    }
    let mut all = match kind {
        OperationKind::PipelineRun => {
            let of = attribute(attribute::PIPELINE_NAME, name);
            vec![record(instrument::PIPELINE_DURATION, seconds, vec![of])]
        }
        OperationKind::DagsterRun => {
            let of = attribute("floe.dagster.job", name);
            vec![record(instrument::DAGSTER_RUN_DURATION, seconds, vec![of])]
        }
        OperationKind::DbtNode => {
            let mut described = vec![attribute("floe.dbt.resource_type", &resource_type)];
            described.extend(
                fact(facts, "materialized").map(|value| attribute("floe.dbt.materialization", value)),
            );
            let rows = number(facts, "rows_affected")
                .map(|rows| record(instrument::DBT_ROWS, rows, described.clone()));
            let took = record(instrument::DBT_NODE_DURATION, seconds, described);
            std::iter::once(took).chain(rows).collect()
        }
        // A point in time has no duration.
        _ if seconds == 0.0 => Vec::new(),
        _ => vec![record(
            instrument::OPERATION_DURATION,
            seconds,
            vec![attribute(attribute::OPERATION_TYPE, word)],
        )],
    };
    match kind {
        OperationKind::DbtNode
            if matches!(resource_type.as_str(), "test" | "unit_test")
                && !matches!(outcome, Outcome::Skipped | Outcome::Cancelled) =>
        {
            all.push(record(instrument::DBT_TESTS, 1.0, Vec::new()));
        }
        OperationKind::DagsterRun => {
            all.extend(number(facts, "queue_seconds").map(|seconds| Measurement {
                instrument: instrument::DAGSTER_QUEUE_DURATION.to_owned(),
                value: seconds,
                attributes: attribute::object(&[attribute("floe.dagster.job", name)]),
            }));
        }
        // An attempt that is made again materializes nothing yet.
        OperationKind::AssetMaterialization if !is_retried => {
            all.extend(told_here(facts, outcome).iter().map(|asset| {
                record(
                    instrument::ASSET_MATERIALIZATIONS,
                    1.0,
                    vec![attribute(attribute::DAGSTER_ASSET, asset)],
                )
            }));
        }
        OperationKind::AssetCheck => {
            let check = attribute("floe.dagster.check", name);
            all.push(record(instrument::ASSET_CHECKS, 1.0, vec![check]));
        }
        _ => {}
    }
    if error_type.is_some() {
        all.push(record(
            instrument::ERRORS,
            1.0,
            vec![
                attribute(attribute::COMPONENT, component(kind, facts)),
                attribute(attribute::OPERATION_TYPE, word),
            ],
        ));
    }
    all
}
