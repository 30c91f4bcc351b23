//! `floe-telemetry plan`

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use floe_telemetry::{Component, Explained, Exporter, Manifest, Origin, Plan, Policy, Reference};
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::checked::Checked;
use crate::report::Report;

/// A manifest and how its plan is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The manifest file.
    manifest: PathBuf,
    /// Says where each effective value came from.
    #[arg(long)]
    explain: bool,
    /// With --explain: as JSON.
    #[arg(long, requires = "explain")]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let manifest = Manifest::read(&arguments.manifest)?;
    let checked = Checked::of(&manifest)?;
    if !checked.warnings.is_empty() {
        crate::report(&Report {
            file: &manifest.file,
            text: Some(&manifest.text),
            diagnostics: &checked.warnings,
        });
    }
    if !arguments.explain {
        crate::say(serde_json::to_string_pretty(&shown(&checked.plan))?);
        return Ok(ExitCode::SUCCESS);
    }
    let explained = Policy::explain(Component::load()?, &manifest)?;
    if arguments.json {
        crate::say(serde_json::to_string_pretty(
            &explained.iter().map(entry).collect::<Vec<_>>(),
        )?);
    } else {
        crate::say(table(&explained, &manifest.file));
    }
    Ok(ExitCode::SUCCESS)
}

/// Who gave a value, in a word.
fn word(origin: Origin) -> &'static str {
    match origin {
        Origin::Default => "default",
        Origin::Manifest => "manifest",
        Origin::Environment => "environment",
        Origin::Variable => "variable",
        Origin::Code => "code",
        Origin::Derived => "derived",
    }
}

fn entry(explained: &Explained) -> Value {
    json!({
        "path": explained.path,
        "value": serde_json::from_str(&explained.value).unwrap_or(Value::Null),
        "origin": word(explained.origin),
        "source": explained.source,
        "line": explained.line,
        "column": explained.column,
    })
}

fn table(explained: &[Explained], file: &str) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["setting", "value", "from"]);
    // What is not set has no effect.
    for found in explained.iter().filter(|found| found.value != "null") {
        let place = match found.line {
            0 => String::new(),
            line => format!("{file}:{line}:{}", found.column),
        };
        let from = match found.origin {
            Origin::Default => "default".to_owned(),
            Origin::Manifest if found.source.is_empty() => place,
            Origin::Manifest => format!("{place}, {}", found.source),
            Origin::Environment => format!("{place}, for {}", found.source),
            Origin::Variable => format!("variable {}", found.source),
            Origin::Code => "code".to_owned(),
            Origin::Derived => format!("follows from {}", short(&found.source)),
        };
        table.add_row([short(&found.path), &found.value, &from]);
    }
    table
}

/// A path below `observability.telemetry` by its end.
fn short(path: &str) -> &str {
    path.strip_prefix("observability.telemetry.").unwrap_or(path)
}

/// A plan as JSON, with the contract's names.
pub(crate) fn shown(plan: &Plan) -> Value {
    let batch = |batch: &floe_telemetry::Batch| {
        json!({
            "max_queue_size": batch.queue,
            "max_export_batch_size": batch.size,
            "schedule_delay_millis": batch.delay,
        })
    };
    json!({
        "enabled": plan.enabled,
        "environment": plan.environment,
        "exporters": {
            "traces": plan.exporters.traces.as_ref().map(exporter),
            "metrics": plan.exporters.metrics.as_ref().map(exporter),
            "logs": plan.exporters.logs.as_ref().map(exporter),
        },
        "batches": { "spans": batch(&plan.batches.spans), "logs": batch(&plan.batches.logs) },
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

fn exporter(exporter: &Exporter) -> Value {
    let headers: Map<String, Value> = exporter
        .headers
        .iter()
        .map(|header| {
            let value: String = header.value.iter().map(reference).collect();
            (header.name.clone(), json!(format!("{}{value}", header.prefix)))
        })
        .collect();
    json!({
        "endpoint": exporter.endpoint,
        "protocol": match exporter.protocol {
            floe_telemetry::Protocol::Grpc => "grpc",
            floe_telemetry::Protocol::HttpProtobuf => "http/protobuf",
        },
        "timeout_millis": exporter.timeout,
        "compression": match exporter.compression {
            floe_telemetry::Compression::None => "none",
            floe_telemetry::Compression::Gzip => "gzip",
        },
        "headers": headers,
        "tls": {
            "ca_file": exporter.tls.ca,
            "cert_file": exporter.tls.certificate,
            "key_file": exporter.tls.key,
        },
    })
}

/// A reference as a manifest writes it: never what it refers to.
fn reference(reference: &Reference) -> String {
    match reference {
        Reference::Text(text) => text.replace('$', "$$"),
        Reference::Variable(name) => format!("${{env:{name}}}"),
        Reference::File(path) => format!("${{file:{path}}}"),
        Reference::Member(member) => format!("${{env:{}}}", member.variable),
    }
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
