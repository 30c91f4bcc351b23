//! No word and no fact makes an operation's begin or end fail.

use floe_policy::attribute;
use floe_policy::bindings::exports::floe::telemetry::operations::OperationKind;
use floe_policy::bindings::exports::floe::telemetry::types::Exception;
use floe_policy::operation::{begin, end};
use floe_policy::redaction::Redactor;
use proptest::prelude::{Strategy, any, proptest};
use proptest::sample::select;
use proptest::{collection, prop_assert, prop_oneof};
use serde_json::Value;

/// Text of any JSON value, and of none: numbers beyond any type, what only JavaScript takes, nesting beyond bounds.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,20}".prop_map(|text| Value::from(text).to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        collection::vec("[a-c]{0,3}", 0..300).prop_map(|texts| Value::from(texts).to_string()),
        select(vec![
            "1e999",
            "-1e999",
            "NaN",
            "Infinity",
            "null",
            "true",
            "{}",
            "[]",
            "[[]]",
            "{\"rows\":[1,null]}",
            "\"",
        ])
        .prop_map(str::to_owned),
        (0_usize..300).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "resource_type",
            "materialized",
            "rows_affected",
            "queue_seconds",
            "assets",
            "failed_nodes",
            "nodes_failed",
            "nodes_total",
            "nodes_skipped",
            "tests_failed",
            "tests_total",
            "batch",
            "freshness_age_seconds",
            "freshness_limit_seconds",
            "failures",
            "component",
            "adapter",
            "exit_code",
            "a.b",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,9}",
    ]
}

fn kind() -> impl Strategy<Value = OperationKind> {
    select(vec![
        OperationKind::PipelineRun,
        OperationKind::CompileStage,
        OperationKind::DbtInvocation,
        OperationKind::DbtNode,
        OperationKind::DagsterRun,
        OperationKind::AssetMaterialization,
        OperationKind::AssetObservation,
        OperationKind::AssetCheck,
        OperationKind::SensorTick,
        OperationKind::Command,
        OperationKind::Custom,
    ])
}

proptest! {
    #[test]
    fn any_words_and_facts(
        kind in kind(),
        name in "\\PC{0,9}",
        times in select(vec![1_usize, 100_000]),
        status in prop_oneof!["\\PC{0,20}", "(run_|STEP_)?(success|fail|error|warn|skipped)", "signal \\PC{0,3}", "-?[0-9]{0,30}"],
        seconds in any::<f64>(),
        facts in collection::vec((key(), value()), 0..12),
        message in proptest::option::of("\\PC{0,40}"),
    ) {
        let name = name.repeat(times);
        let object: Vec<String> = facts
            .iter()
            .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
            .collect();
        let facts = attribute::entries(&format!("{{{}}}", object.join(",")));
        let exception = message.map(|message| Exception {
            type_: String::new(),
            message,
            stacktrace: String::new(),
            causes: Vec::new(),
        });
        let beginning = begin(kind, &name, &facts);
        prop_assert!(beginning.name.len() < 2_048);
        prop_assert!(serde_json::from_str::<Value>(&beginning.attributes).unwrap().is_object());
        let ending = end(kind, &name, &status, seconds, &facts, exception.as_ref(), &Redactor::default());
        prop_assert!(ending.description.len() <= 4_096);
        prop_assert!(serde_json::from_str::<Value>(&ending.attributes).unwrap().is_object());
        for measured in &ending.measurements {
            prop_assert!(measured.value.is_finite() && measured.value >= 0.0);
            prop_assert!(serde_json::from_str::<Value>(&measured.attributes).unwrap().is_object());
        }
    }
}
