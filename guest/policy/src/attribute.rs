//! Attribute names of floe's semantic conventions, and attributes as the contract carries them.

use serde::Serialize;

use crate::bindings::exports::floe::telemetry::types::KeyValue;

/// Namespace that owns the data product. On every span, and in baggage.
pub const NAMESPACE: &str = "floe.namespace";
/// Name of the data product.
pub const PRODUCT_NAME: &str = "floe.product.name";
/// Version of the data product.
pub const PRODUCT_VERSION: &str = "floe.product.version";
/// `dev`, `staging` or `prod`.
pub const MODE: &str = "floe.mode";
/// Why a span that sampling did not keep is there all the same.
pub const SAMPLING_KEPT: &str = "floe.sampling.kept";
/// What came of an operation.
pub const OUTCOME: &str = "floe.outcome";
/// What the tool said of a warning, redacted.
pub const OUTCOME_MESSAGE: &str = "floe.outcome.message";
/// Kind of job that a span belongs to: `dbt_run` or `dagster_asset`.
pub const JOB_TYPE: &str = "floe.job.type";
/// The pipeline of a run.
pub const PIPELINE_NAME: &str = "floe.pipeline.name";
/// The dbt model of a node.
pub const DBT_MODEL: &str = "floe.dbt.model";
/// The assets that a Dagster step materializes.
pub const DAGSTER_ASSET: &str = "floe.dagster.asset";
/// The step of a Dagster run.
pub const DAGSTER_STEP: &str = "floe.dagster.step";
/// An asset check, `asset:check`.
pub const DAGSTER_CHECK: &str = "floe.dagster.check";
/// Types of what caused an exception, from the nearest to the root.
pub const EXCEPTION_CAUSES: &str = "floe.exception.causes";
/// OpenTelemetry's low-cardinality description of a failure.
pub const ERROR_TYPE: &str = "error.type";

/// An attribute with a value of any scalar or list type.
pub fn attribute(key: &str, value: impl Serialize) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: json(value),
    }
}

/// JSON text of a scalar or a list; `null` for what has none (such as NaN).
pub fn json(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned())
}

/// The text of a JSON string; any other JSON text as it stands.
pub fn text(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())
}
