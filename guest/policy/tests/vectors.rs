//! The vectors, natively.

use std::error::Error;

use floe_policy::bindings::exports::floe::telemetry::{
    collector, configuration, errors, metrics, operations, propagation, sampling,
};
use floe_policy::component::Component;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use configuration::Guest as _;
use errors::Guest as _;
use metrics::Guest as _;
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
                    Ok(plan) => json!({"ok": signals(to_wit(json!(plan)), "/console")}),
                    Err(found) => json!({"err": to_wit(json!(found))}),
                },
            )?
        }
        "configuration.explain" => apply(
            arguments,
            |(manifest, variables, settings)| match Component::explain(manifest, variables, settings) {
                Ok(explained) => json!({"ok": to_wit(json!(explained))}),
                Err(found) => json!({"err": to_wit(json!(found))}),
            },
        )?,
        "collector.plan" => {
            apply(
                arguments,
                |(manifest, variables)| match <Component as collector::Guest>::plan(manifest, variables) {
                    Ok(deployment) => json!({"ok": destinations(to_wit(json!(deployment)))}),
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
        "metrics.instrument" => apply(arguments, |(asked,)| match Component::instrument(asked) {
            Ok(instrument) => json!({"ok": to_wit(json!(instrument))}),
            Err(found) => json!({"err": to_wit(json!(found))}),
        })?,
        "errors.classify" => apply(arguments, |(a,)| Component::classify(a))?,
        "errors.redact" => apply(arguments, |(a,)| Component::redact(a))?,
        "errors.names-secret" => apply(arguments, |(a,)| Component::names_secret(a))?,
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
const ENUMS: [&str; 8] = [
    "severity",
    "protocol",
    "compression",
    "origin",
    "kind",
    "parent",
    "outcome",
    "status",
];

fn to_wit(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(to_wit).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(case) if ENUMS.contains(&key.as_str()) => (key, Value::String(kebab(&case))),
                // A variant's case is a key in camel case.
                value if key.starts_with(char::is_uppercase) => (kebab(&key), to_wit(value)),
                value => (key.trim_end_matches('_').replace('_', "-"), to_wit(value)),
            })
            .collect(),
        other => other,
    }
}

/// The signals of destinations are cases in a list.
fn destinations(mut deployment: Value) -> Value {
    let destinations = deployment.get_mut("destinations").and_then(Value::as_array_mut);
    for destination in destinations.into_iter().flatten() {
        *destination = signals(destination.take(), "/signals");
    }
    deployment
}

/// A record whose list of signals stands at a pointer.
fn signals(mut record: Value, pointer: &str) -> Value {
    let list = record.pointer_mut(pointer).and_then(Value::as_array_mut);
    for signal in list.into_iter().flatten() {
        if let Value::String(case) = signal {
            *case = kebab(case);
        }
    }
    record
}

/// Arguments that are enums stand alone, or are the kind of an instrument; no other argument is spelled like a case.
fn to_rust(value: Value) -> Value {
    const CASES: [&str; 19] = [
        "pipeline-run",
        "compile",
        "compile-stage",
        "dbt-invocation",
        "dbt-node",
        "dagster-run",
        "dagster-step",
        "asset-materialization",
        "asset-observation",
        "asset-check",
        "sensor-tick",
        "schedule-tick",
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
            .map(|(key, value)| match (key.as_str(), value) {
                ("kind", Value::String(case)) => (key, Value::String(camel(&case))),
                ("type", value) => ("type_".to_owned(), value),
                (_, value) => (key, value),
            })
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
