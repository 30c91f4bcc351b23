//! OTLP/JSON, which is almost what opentelemetry-proto's serde gives.
//!
//! Going out, fields that are absent, or as good as, are left out as the Collector leaves them out, and numbers that JSON lacks
//! are written as protobuf's JSON mapping has them. Coming in, what that mapping allows and serde does not is
//! put right: `null` for any absent field, lists of values that are left out, and floating-point numbers in
//! quotes. The Collector writes both of the latter.

use ciborium::Value as Item;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};

use crate::batch::Batch;

/// The fields that hold floating-point numbers.
const FLOATS: [&str; 7] = [
    "asDouble",
    "doubleValue",
    "explicitBounds",
    "max",
    "min",
    "sum",
    "zeroThreshold",
];

/// Reads one export request.
pub(crate) fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    item("", value).deserialized().map_err(|error| match error {
        ciborium::value::Error::Custom(message) => message,
    })
}

/// The value of the field of that name. Recursion is bounded by the nesting that serde_json reads.
fn item(name: &str, value: Value) -> Item {
    match value {
        Value::Null => Item::Null,
        Value::Bool(value) => Item::Bool(value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => value.into(),
            (None, Some(value)) => value.into(),
            (None, None) => number.as_f64().map_or(Item::Null, Item::Float),
        },
        Value::String(text) => match text.parse::<f64>() {
            Ok(value) if FLOATS.contains(&name) => Item::Float(value),
            _ => Item::Text(text),
        },
        Value::Array(values) => Item::Array(values.into_iter().map(|value| item(name, value)).collect()),
        Value::Object(mut fields) => {
            fields.retain(|_, field| !field.is_null());
            if matches!(name, "arrayValue" | "kvlistValue") {
                fields.entry("values").or_insert_with(|| json!([]));
            }
            let fields = fields.into_iter().map(|(name, field)| {
                let field = item(&name, field);
                (Item::Text(name), field)
            });
            Item::Map(fields.collect())
        }
    }
}

/// Fields of which the default is not the same as none.
const CHOSEN: [&str; 13] = [
    "arrayValue",
    "asDouble",
    "asInt",
    "boolValue",
    "bytesValue",
    "doubleValue",
    "intValue",
    "key",
    "kvlistValue",
    "max",
    "min",
    "stringValue",
    "sum",
];

/// Fields of whole numbers that JSON has in quotes.
const QUOTED: [&str; 6] = [
    "count",
    "endTimeUnixNano",
    "observedTimeUnixNano",
    "startTimeUnixNano",
    "timeUnixNano",
    "zeroCount",
];

/// Writes one export request, on one line.
pub(crate) fn encode(batch: &Batch) -> Result<String, String> {
    let items = match batch {
        Batch::Traces(request) => items(request),
        Batch::Metrics(request) => items(request),
        Batch::Logs(request) => items(request),
    };
    Ok(value(items?).to_string())
}

/// serde's data as it is: unlike [`serde_json::Value`] it holds numbers that are not finite.
fn items(request: &impl Serialize) -> Result<Item, String> {
    Item::serialized(request).map_err(|error| error.to_string())
}

fn value(item: Item) -> Value {
    match item {
        Item::Text(text) => Value::String(text),
        Item::Bool(value) => Value::Bool(value),
        Item::Integer(value) => {
            i64::try_from(value).map_or_else(|_| json!(i128::from(value).to_string()), |value| json!(value))
        }
        Item::Float(value) => float(value),
        Item::Array(items) => items.into_iter().map(self::value).collect(),
        Item::Map(fields) => fields.into_iter().filter_map(field).collect::<Map<_, _>>().into(),
        _ => Value::Null,
    }
}

fn field((name, item): (Item, Item)) -> Option<(String, Value)> {
    let name = name.into_text().ok()?;
    let absent = match &item {
        Item::Null => true,
        // One of several, or optional: that it is there says something, whatever it is.
        _ if CHOSEN.contains(&name.as_str()) => false,
        Item::Bool(value) => !value,
        Item::Integer(value) => i128::from(*value) == 0,
        Item::Float(value) => *value == 0.0,
        Item::Text(text) if QUOTED.contains(&name.as_str()) => text == "0",
        Item::Text(text) => text.is_empty(),
        Item::Array(items) => items.is_empty(),
        _ => false,
    };
    (!absent).then(|| (name, value(item)))
}

fn float(value: f64) -> Value {
    let special = match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    Number::from_f64(value).map_or_else(|| special.into(), Value::Number)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

    use super::*;

    /// As the Collector's file exporter writes it.
    const LINE: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[
        {"key":"0","value":{"arrayValue":{}}},{"key":"none","value":{}},{"key":"no","value":{"boolValue":false}},
        {"key":"nan","value":{"doubleValue":"NaN"}},{"key":"quoted","value":{"stringValue":"1.5"}}]},
        "scopeMetrics":[{"scope":{},"metrics":[
        {"name":"h","histogram":{"dataPoints":[{"count":"3","sum":"-Infinity","bucketCounts":["0","3"],
            "explicitBounds":[1.5],"min":0.0}],"aggregationTemporality":2}},
        {"name":"g","gauge":{"dataPoints":[{"asDouble":0.0},{"timeUnixNano":"5","asInt":"0"}]}}]}]}]}"#;

    #[test]
    fn what_the_collector_writes_is_read_and_written_alike() {
        let request: ExportMetricsServiceRequest = decode(LINE.as_bytes()).unwrap();
        let written = encode(&Batch::Metrics(request)).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        let expected: Value = serde_json::from_str(LINE).unwrap();
        assert_eq!(written, expected);
    }
}
