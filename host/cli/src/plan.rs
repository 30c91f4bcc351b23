//! `floe-telemetry plan`

use std::process::ExitCode;

use floe_telemetry::Plan;
use serde_json::{Map, Value, json};

use crate::Failure;

pub(crate) use crate::validate::Arguments;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    crate::say(serde_json::to_string_pretty(&shown(&arguments.plan()?))?);
    Ok(ExitCode::SUCCESS)
}

/// A plan as JSON, with the contract's names.
pub(crate) fn shown(plan: &Plan) -> Value {
    json!({
        "enabled": plan.enabled,
        "environment": plan.environment,
        "batch": {
            "max_queue_size": plan.batches.spans.queue,
            "max_export_batch_size": plan.batches.spans.size,
            "schedule_delay_millis": plan.batches.spans.delay,
        },
        "metric_export_interval_millis": plan.interval,
        "shutdown_timeout_millis": plan.shutdown,
        "logging": { "log_level": plan.logging.level, "json_output": plan.logging.json },
        "resource": attributes(&plan.resource),
        "span_attributes": attributes(&plan.attributes),
        "sampling": {
            "tracestate": plan.sampler.tracestate,
            "rules": plan.sampler.rules.len().saturating_sub(1),
            "max_traces_per_second": (plan.sampler.limit > 0.0).then_some(plan.sampler.limit),
            "keep_failed": {
                "max_spans": plan.sampler.failed.spans,
                "max_seconds": plan.sampler.failed.seconds,
            },
        },
        "baggage_attributes": plan.baggage,
        "instruments": plan.instruments.iter().map(|instrument| json!({
            "name": instrument.name,
            "unit": instrument.unit,
            "description": instrument.description,
            "boundaries": instrument.boundaries,
        })).collect::<Vec<_>>(),
    })
}

fn attributes(attributes: &[floe_telemetry::KeyValue]) -> Map<String, Value> {
    attributes
        .iter()
        .map(|pair| {
            (
                pair.key.clone(),
                serde_json::from_str(&pair.value).unwrap_or(Value::Null),
            )
        })
        .collect()
}
