//! Attributes: JSON text in the contract, values in the SDK.

use std::sync::Arc;

use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use serde_json::Value as Json;

use crate::bindings::exports::floe::telemetry::types::KeyValue as Attribute;

/// Attributes of the contract as the SDK has them. What is no scalar and no list of strings is left out.
pub(crate) fn to_sdk(attributes: &[Attribute]) -> Vec<KeyValue> {
    attributes
        .iter()
        .filter_map(|attribute| {
            let value = to_value(serde_json::from_str(&attribute.value).ok()?)?;
            // Reference-counted, so that a copy for each span is no allocation.
            Some(KeyValue::new(
                Key::from(Arc::<str>::from(attribute.key.as_str())),
                value,
            ))
        })
        .collect()
}

fn to_value(json: Json) -> Option<Value> {
    match json {
        Json::Bool(truth) => Some(Value::Bool(truth)),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Some(Value::I64(integer)),
            None => number.as_f64().map(Value::F64),
        },
        Json::String(text) => Some(Value::String(StringValue::from(Arc::<str>::from(text)))),
        Json::Array(items) => {
            let texts: Option<Vec<StringValue>> = items
                .into_iter()
                .map(|item| item.as_str().map(|text| StringValue::from(text.to_owned())))
                .collect();
            texts.map(|texts| Value::Array(Array::String(texts)))
        }
        Json::Null | Json::Object(_) => None,
    }
}

/// An attribute of the SDK as the contract has it.
pub(crate) fn from_sdk(key: &str, value: &Value) -> Attribute {
    let json = match value {
        Value::Bool(truth) => Json::from(*truth),
        Value::I64(integer) => Json::from(*integer),
        Value::F64(number) => Json::from(*number),
        Value::Array(Array::String(texts)) => texts.iter().map(StringValue::as_str).collect(),
        other => Json::from(other.as_str()),
    };
    Attribute {
        key: key.to_owned(),
        value: json.to_string(),
    }
}
