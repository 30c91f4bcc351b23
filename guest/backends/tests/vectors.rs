//! The vectors, natively.

use std::error::Error;

use floe_backends::bindings::exports::floe::telemetry::backends::{Fragment, Guest as _};
use floe_backends::component::Component;
use serde_json::{Value, json};

#[test]
fn vectors() {
    assert!(floe_telemetry_vectors::run_backends(call).expect("every case") > 100);
}

fn call(function: &str, arguments: &[Value]) -> Result<Value, Box<dyn Error>> {
    match function {
        "backends.list" => Ok(to_wit(serde_json::to_value(Component::list())?)),
        "backends.render" => {
            let (name, settings, collector) = serde_json::from_value(Value::Array(arguments.to_vec()))?;
            Ok(match Component::render(name, settings, collector) {
                Ok(fragment) => json!({"ok": fragment_to_wit(&fragment)?}),
                Err(found) => json!({"err": to_wit(json!(found))}),
            })
        }
        other => Err(format!("no function {other}").into()),
    }
}

/// A fragment, whose configurations must be JSON.
fn fragment_to_wit(fragment: &Fragment) -> Result<Value, serde_json::Error> {
    let components = [&fragment.exporters, &fragment.processors, &fragment.extensions]
        .into_iter()
        .flatten();
    let configs = components
        .map(|component| &component.config)
        .chain(fragment.connectors.iter().map(|connector| &connector.config));
    for config in configs {
        serde_json::from_str::<serde_json::Map<String, Value>>(config)?;
    }
    Ok(to_wit(json!(fragment)))
}

/// Enums' cases are words here, which serde names as Rust does.
fn to_wit(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(to_wit).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("signals", Value::Array(signals)) => (key, signals.into_iter().map(lower).collect()),
                ("signal" | "input" | "output" | "severity" | "type_", case) => {
                    (key.trim_end_matches('_').to_owned(), lower(case))
                }
                (_, value) => (key, to_wit(value)),
            })
            .collect(),
        other => other,
    }
}

fn lower(case: Value) -> Value {
    match case {
        Value::String(case) => Value::String(case.to_lowercase()),
        other => other,
    }
}
