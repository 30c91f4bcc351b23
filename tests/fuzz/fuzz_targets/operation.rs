//! Whatever a tool says, an operation has a name, attributes that are JSON, and an ending that agrees with itself. Lines: number of the kind, name, status,
//! and facts `key=value`; a value that is no JSON is taken as text.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::attribute::{entries, object};
use floe_policy::bindings::exports::floe::telemetry::operations::{OperationKind, Outcome, Status};
use floe_policy::bindings::exports::floe::telemetry::types::{Exception, KeyValue};
use floe_policy::operation::{begin, end};
use floe_policy::redaction::Redactor;
use floe_telemetry_fuzz::{are_attributes, line};

const KINDS: [OperationKind; 14] = [
    OperationKind::PipelineRun,
    OperationKind::Compile,
    OperationKind::CompileStage,
    OperationKind::DbtInvocation,
    OperationKind::DbtNode,
    OperationKind::DagsterRun,
    OperationKind::DagsterStep,
    OperationKind::AssetMaterialization,
    OperationKind::AssetObservation,
    OperationKind::AssetCheck,
    OperationKind::SensorTick,
    OperationKind::ScheduleTick,
    OperationKind::Command,
    OperationKind::Custom,
];

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (first, rest) = line(text);
    let (name, rest) = line(rest);
    let (status, rest) = line(rest);
    let kind = KINDS[first.bytes().map(usize::from).sum::<usize>() % KINDS.len()];
    let facts: Vec<KeyValue> = rest
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| KeyValue {
            key: key.to_owned(),
            value: match serde_json::from_str::<serde_json::Value>(value) {
                Ok(_) => value.trim().to_owned(),
                Err(_) => serde_json::json!(value).to_string(),
            },
        })
        .collect();
    assert_eq!(entries(&object(&facts)), facts);
    let started = begin(kind, name, &facts);
    are_attributes(&entries(&started.attributes));
    assert_eq!(begin(kind, name, &facts), started);
    let thrown = Exception {
        type_: status.to_owned(),
        message: rest.to_owned(),
        stacktrace: text.to_owned(),
        causes: rest.lines().map(str::to_owned).collect(),
    };
    let redactor = Redactor::default();
    for (seconds, thrown) in [(1.5, None), (-1.0, Some(&thrown)), (f64::NAN, Some(&thrown))] {
        let ended = end(kind, name, status, seconds, &facts, thrown, &redactor);
        let attributes = entries(&ended.attributes);
        are_attributes(&attributes);
        let failed = matches!(ended.outcome, Outcome::Failure | Outcome::Error);
        assert_eq!(matches!(ended.status, Status::Error), failed);
        assert_eq!(ended.description.is_empty(), !failed);
        assert_eq!(ended.exception.is_some(), failed && thrown.is_some());
        let error_type = attributes
            .iter()
            .find(|attribute| attribute.key == "error.type")
            .map(|found| &found.value);
        if let Some(exception) = &ended.exception {
            assert_eq!(error_type, Some(&serde_json::json!(exception.type_).to_string()));
            assert!(exception.message.len() <= 4 * 1024 && exception.stacktrace.len() <= 32 * 1024);
        }
        for measurement in &ended.measurements {
            assert!(
                measurement.value.is_finite() && measurement.value >= 0.0,
                "{measurement:?}"
            );
            are_attributes(&entries(&measurement.attributes));
        }
    }
});
