//! The vectors, natively.

use std::error::Error;

use floe_policy::bindings::exports::floe::telemetry::{
    configuration, errors, operations, propagation, sampling,
};
use floe_policy::component::Component;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use configuration::Guest as _;
use errors::Guest as _;
use operations::Guest as _;
use propagation::Guest as _;
use sampling::Guest as _;

#[test]
fn vectors() {
    let count = floe_telemetry_vectors::run(|manifest, function, arguments| {
        // A manifest with no telemetry is the unconfigured state.
        Component::configure(
            manifest.unwrap_or("metadata: {}").to_owned(),
            Vec::new(),
            Vec::new(),
        )
        .map_err(|found| format!("{found:?}"))?;
        call(
            function,
            Value::Array(arguments.iter().cloned().map(to_rust).collect()),
        )
    });
    assert!(count.expect("every case") > 100);
}

fn call(function: &str, arguments: Value) -> Result<Value, Box<dyn Error>> {
    Ok(match function {
        "configuration.configure" => {
            apply(
                arguments,
                |(manifest, variables, settings)| match Component::configure(manifest, variables, settings) {
                    Ok(plan) => json!({"ok": to_wit(json!(plan))}),
                    Err(found) => json!({"err": to_wit(json!(found))}),
                },
            )?
        }
        "propagation.extract" => apply(arguments, |(a, b, c)| Component::extract(a, b, c))?,
        "propagation.inject" => apply(arguments, |(a, b, c, d, e, f)| {
            Component::inject(a, b, c, d, e, f)
        })?,
        "propagation.child-baggage" => apply(arguments, |(a,)| Component::child_baggage(a))?,
        "sampling.intent" => apply(arguments, |(a, b, c, d)| Component::intent(a, b, c, d))?,
        "sampling.decide" => apply(arguments, |(a, b, c)| Component::decide(a, b, c))?,
        "sampling.pace" => apply(arguments, |(a, b, c, d)| Component::pace(a, b, c, d))?,
        "operations.begin" => apply(arguments, |(a, b, c)| Component::begin(a, b, c))?,
        "operations.end" => apply(arguments, |(a, b, c, d, e, f)| Component::end(a, b, c, d, e, f))?,
        "errors.classify" => apply(arguments, |(a,)| Component::classify(a))?,
        "errors.redact" => apply(arguments, |(a,)| Component::redact(a))?,
        other => return Err(format!("no function {other}").into()),
    })
}

fn apply<A: DeserializeOwned, R: Serialize>(
    arguments: Value,
    function: impl FnOnce(A) -> R,
) -> Result<Value, serde_json::Error> {
    Ok(to_wit(serde_json::to_value(function(serde_json::from_value(
        arguments,
    )?))?))
}

/// The fields that hold enums, whose cases serde names as Rust does.
const ENUMS: [&str; 6] = ["severity", "protocol", "kind", "parent", "outcome", "status"];

fn to_wit(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(to_wit).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(case) if ENUMS.contains(&key.as_str()) => (key, Value::String(kebab(&case))),
                value => (key.trim_end_matches('_').to_owned(), to_wit(value)),
            })
            .collect(),
        other => other,
    }
}

/// Arguments that are enums stand alone; no other argument is spelled like a case.
fn to_rust(value: Value) -> Value {
    const CASES: [&str; 14] = [
        "pipeline-run",
        "compile",
        "compile-stage",
        "dbt-invocation",
        "dbt-node",
        "dagster-run",
        "asset-materialization",
        "command",
        "custom",
        "internal",
        "server",
        "client",
        "producer",
        "consumer",
    ];
    match value {
        Value::String(case) if CASES.contains(&case.as_str()) => Value::String(camel(&case)),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (if key == "type" { "type_".to_owned() } else { key }, value))
            .collect(),
        other => other,
    }
}

fn kebab(case: &str) -> String {
    let mut kebab = String::new();
    for letter in case.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

fn camel(case: &str) -> String {
    case.split('-')
        .flat_map(|word| {
            word.chars().enumerate().map(|(at, letter)| {
                if at == 0 {
                    letter.to_ascii_uppercase()
                } else {
                    letter
                }
            })
        })
        .collect()
}
