//! Attributes: JSON text in the contract, values in the SDK.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use serde_json::{Map, Value as Json};

use crate::bindings::exports::floe::telemetry::types::KeyValue as Attribute;

/// The same attributes as texts that live as long as the process. Spans are made on one thread and dropped on another: copies that share
/// a reference count would make the two contend for it. A text is kept once, however many configurations name it.
pub(crate) fn to_static(attributes: &[Attribute]) -> Vec<KeyValue> {
    to_sdk(attributes)
        .into_iter()
        .map(|pair| {
            let value = match &pair.value {
                Value::String(text) => Value::String(StringValue::from(interned(text.as_str()))),
                other => other.clone(),
            };
            KeyValue::new(Key::from_static_str(interned(pair.key.as_str())), value)
        })
        .collect()
}

/// The one copy of a text that lives as long as the process. For names that a program has few of.
pub(crate) fn interned(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.into());
    texts.insert(kept);
    kept
}

/// Attributes of the contract as the SDK has them, from the text of a JSON object.
pub(crate) fn of_object(text: &str) -> Vec<KeyValue> {
    of_json(serde_json::from_str(text).unwrap_or_default())
}

/// Attributes of the contract as values of JSON, by key.
pub(crate) fn to_map(attributes: &[Attribute]) -> Map<String, Json> {
    attributes
        .iter()
        .filter_map(|pair| Some((pair.key.clone(), serde_json::from_str(&pair.value).ok()?)))
        .collect()
}

/// The same back.
pub(crate) fn to_contract(attributes: Map<String, Json>) -> Vec<Attribute> {
    attributes
        .into_iter()
        .map(|(key, value)| Attribute {
            key,
            value: value.to_string(),
        })
        .collect()
}

/// Attributes as the SDK has them. What is no scalar and no list of strings is left out.
pub(crate) fn of_json(attributes: Map<String, Json>) -> Vec<KeyValue> {
    attributes
        .into_iter()
        .filter_map(|(key, json)| Some(KeyValue::new(key, to_value(json)?)))
        .collect()
}

/// Attributes of the contract as the SDK has them. What is no scalar and no list of strings is left out.
pub(crate) fn to_sdk(attributes: &[Attribute]) -> Vec<KeyValue> {
    attributes
        .iter()
        .filter_map(|attribute| {
            let value = to_value(serde_json::from_str(&attribute.value).ok()?)?;
            Some(KeyValue::new(attribute.key.clone(), value))
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
        Json::String(text) => Some(Value::String(StringValue::from(text))),
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

/// A value of the SDK as the contract has it.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(truth) => Json::from(*truth),
        Value::I64(integer) => Json::from(*integer),
        Value::F64(number) => Json::from(*number),
        Value::Array(Array::String(texts)) => texts.iter().map(StringValue::as_str).collect(),
        other => Json::from(other.as_str()),
    }
}

/// An attribute of the SDK as the contract has it.
pub(crate) fn from_sdk(key: &str, value: &Value) -> Attribute {
    Attribute {
        key: key.to_owned(),
        value: to_json(value).to_string(),
    }
}

/// The text of a JSON object.
pub(crate) fn object(facts: &Map<String, Json>) -> String {
    serde_json::to_string(facts).unwrap_or_default()
}
