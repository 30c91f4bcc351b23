//! Instruments: those that operations record on, and what an application's own may be. Durations are in seconds;
//! attributes of operations are bounded by a project's size.

use crate::bindings::exports::floe::telemetry::configuration::{Instrument, InstrumentKind};
use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::diagnostic::{self, Place, shown};
use crate::error;
use crate::redaction::Redactor;

/// Seconds, from a compile stage to a run of many hours.
const SECONDS: [f64; 16] = [
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0,
    43_200.0,
];
/// Rows, from none to billions.
const ROWS: [f64; 11] = [0.0, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Histogram of the runs of pipelines.
pub const PIPELINE_DURATION: &str = "floe.pipeline.duration";
/// Counter of materialized assets.
pub const ASSET_MATERIALIZATIONS: &str = "floe.asset.materializations";
/// Counter of asset checks.
pub const ASSET_CHECKS: &str = "floe.asset.checks";
/// Counter of failed operations.
pub const ERRORS: &str = "floe.errors";
/// Histogram of every other operation.
pub const OPERATION_DURATION: &str = "floe.operation.duration";
/// Histogram of dbt's nodes.
pub const DBT_NODE_DURATION: &str = "floe.dbt.node.duration";
/// Histogram of the rows that dbt's nodes wrote.
pub const DBT_ROWS: &str = "floe.dbt.node.rows";
/// Counter of dbt's test results.
pub const DBT_TESTS: &str = "floe.dbt.tests";
/// Histogram of Dagster's runs.
pub const DAGSTER_RUN_DURATION: &str = "floe.dagster.run.duration";
/// Histogram of how long Dagster's runs waited in the queue.
pub const DAGSTER_QUEUE_DURATION: &str = "floe.dagster.queue.duration";

/// All of them.
pub fn instruments() -> Vec<Instrument> {
    let instrument = |name: &str, unit: &str, boundaries: &[f64], description: &str| Instrument {
        name: name.to_owned(),
        kind: match boundaries {
            [] => InstrumentKind::Counter,
            _ => InstrumentKind::Histogram,
        },
        unit: unit.to_owned(),
        description: description.to_owned(),
        boundaries: boundaries.to_vec(),
    };
    let duration = |name: &str, description: &str| instrument(name, "s", &SECONDS, description);
    let counter = |name: &str, unit: &str, description: &str| instrument(name, unit, &[], description);
    vec![
        duration(PIPELINE_DURATION, "Duration of a pipeline run."),
        duration(OPERATION_DURATION, "Duration of an operation."),
        duration(DBT_NODE_DURATION, "Duration of a dbt node."),
        instrument(DBT_ROWS, "{row}", &ROWS, "Rows that a dbt node wrote."),
        counter(DBT_TESTS, "{test}", "dbt tests that were run."),
        duration(DAGSTER_RUN_DURATION, "Duration of a Dagster run."),
        duration(
            DAGSTER_QUEUE_DURATION,
            "Time from the creation of a Dagster run to its launch.",
        ),
        counter(
            ASSET_MATERIALIZATIONS,
            "{materialization}",
            "Attempts to materialize an asset, but for those that were made again.",
        ),
        counter(ASSET_CHECKS, "{check}", "Asset checks that were evaluated."),
        counter(ERRORS, "{error}", "Operations that failed."),
    ]
}

/// Most bytes of a name, of a unit and of a description (OpenTelemetry, metrics API, "Instrument").
const LONGEST_NAME: usize = 255;
const LONGEST_UNIT: usize = 63;
const LONGEST_DESCRIPTION: usize = 1_023;
/// Most boundaries of a histogram.
const MOST_BOUNDARIES: usize = 200;
/// Namespaces whose names have a meaning that no application gives them.
const RESERVED: [&str; 2] = ["floe", "otel"];

/// Seconds of an application: a request's, as OpenTelemetry's conventions for HTTP have them, up to a batch's.
const APPLICATION_SECONDS: [f64; 19] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0,
    1_800.0, 3_600.0,
];
/// Bytes, from 1 KiB to 16 GiB.
const BYTES: [f64; 13] = [
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
    17_179_869_184.0,
];
/// Shares of a whole.
const SHARES: [f64; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// OpenTelemetry's own (metrics SDK, "Explicit Bucket Histogram Aggregation").
const ANY: [f64; 15] = [
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1_000.0, 2_500.0, 5_000.0, 7_500.0,
    10_000.0,
];

/// An application's own instrument as a host creates it, or all that is wrong with it.
pub fn checked(asked: Instrument, redactor: &Redactor) -> Result<Instrument, Vec<Diagnostic>> {
    let findings: Vec<Diagnostic> = [
        name_problem(&asked),
        unit_problem(&asked),
        boundaries_problem(&asked),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !findings.is_empty() {
        return Err(findings);
    }
    let boundaries = match (asked.kind, asked.boundaries.as_slice()) {
        (InstrumentKind::Histogram, []) => default_boundaries(&asked.unit).to_vec(),
        _ => asked.boundaries,
    };
    Ok(Instrument {
        description: error::clean(&asked.description, LONGEST_DESCRIPTION, redactor),
        boundaries,
        ..asked
    })
}

/// A letter, then letters, digits, `_`, `.`, `-` and `/` (OpenTelemetry, metrics API, "Instrument name syntax").
fn name_problem(asked: &Instrument) -> Option<Diagnostic> {
    let name = &asked.name;
    let place = Place::named("name");
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.len() <= LONGEST_NAME
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_.-/".contains(letter));
    if !is_name {
        return Some(place.error(
            diagnostic::WRONG_INSTRUMENT,
            format!("{} is an invalid name of an instrument", shown(name)),
            format!("start it with a letter, use only letters, digits and _ . - /, and at most {LONGEST_NAME} of them"),
        ));
    }
    let first = name.split(['.', '/']).next().unwrap_or_default();
    RESERVED
        .iter()
        .find(|reserved| first.eq_ignore_ascii_case(reserved))
        .map(|reserved| {
            place.error(
                diagnostic::RESERVED_INSTRUMENT,
                format!(
                    "{} is a name of the namespace `{reserved}`, which is reserved",
                    shown(name)
                ),
                "start the name with a namespace of your own, such as acme.orders",
            )
        })
}

/// ASCII with no white space, as UCUM's codes are; the SDKs of both hosts take at most 63 characters.
fn unit_problem(asked: &Instrument) -> Option<Diagnostic> {
    let unit = &asked.unit;
    (unit.len() > LONGEST_UNIT || !unit.chars().all(|letter| letter.is_ascii_graphic())).then(|| {
        Place::named("unit").error(
            diagnostic::WRONG_UNIT,
            format!("{} is an invalid unit", shown(unit)),
            format!(
                "write a UCUM code such as s, By, 1 or {{order}}: at most {LONGEST_UNIT} ASCII characters and no spaces"
            ),
        )
    })
}

fn boundaries_problem(asked: &Instrument) -> Option<Diagnostic> {
    let boundaries = &asked.boundaries;
    let place = Place::named("boundaries");
    if asked.kind != InstrumentKind::Histogram && !boundaries.is_empty() {
        return Some(place.error(
            diagnostic::WRONG_BOUNDARIES,
            "only a histogram has boundaries",
            "take the boundaries out, or ask for a histogram",
        ));
    }
    let ascend = boundaries.is_sorted_by(|lower, upper| lower < upper);
    let is_finite = boundaries.iter().all(|boundary| boundary.is_finite());
    (!ascend || !is_finite || boundaries.len() > MOST_BOUNDARIES).then(|| {
        place.error(
            diagnostic::WRONG_BOUNDARIES,
            format!(
                "{} boundaries are not finite numbers that ascend, or are too many",
                boundaries.len()
            ),
            format!("write at most {MOST_BOUNDARIES} finite numbers, each greater than the one before"),
        )
    })
}

fn default_boundaries(unit: &str) -> &'static [f64] {
    match unit {
        "s" => &APPLICATION_SECONDS,
        "By" => &BYTES,
        "1" => &SHARES,
        "{row}" => &ROWS,
        _ => &ANY,
    }
}
