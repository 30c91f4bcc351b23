//! The instruments that operations record on. Durations are in seconds; attributes are bounded by a project's size.

use crate::bindings::exports::floe::telemetry::configuration::{Instrument, InstrumentKind};

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
