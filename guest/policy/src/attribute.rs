//! Attribute names of floe's semantic conventions, and attributes as the contract carries them.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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
pub const WARNING_MESSAGE: &str = "floe.warning.message";
/// Type of operation of a measurement.
pub const OPERATION_TYPE: &str = "floe.operation.type";
/// Component that an error is of.
pub const COMPONENT: &str = "floe.component";
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

/// The text of a JSON object of attributes.
pub fn object(attributes: &[KeyValue]) -> String {
    let size = attributes
        .iter()
        .map(|pair| pair.key.len() + pair.value.len() + 4);
    let mut object = String::with_capacity(2 + size.sum::<usize>());
    for pair in attributes {
        object.push(if object.is_empty() { '{' } else { ',' });
        object.push_str(&json(&pair.key));
        object.push(':');
        object.push_str(&pair.value);
    }
    if object.is_empty() {
        object.push('{');
    }
    object.push('}');
    object
}

/// The attributes in the text of a JSON object, in its order; of other text none.
pub fn entries(object: &str) -> Vec<KeyValue> {
    serde_json::from_str::<Entries>(object).map_or_else(|_| Vec::new(), |entries| entries.0)
}

struct Entries(Vec<KeyValue>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("attributes by name")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<Self, M::Error> {
        // Values stay the text that they are: no number loses digits.
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            self.0.push(KeyValue {
                key,
                value: value.get().to_owned(),
            });
        }
        Ok(self)
    }
}
