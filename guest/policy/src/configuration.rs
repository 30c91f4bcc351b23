//! Manifest and environment variables to the plan. A set variable takes precedence over the manifest.

use std::ops::RangeInclusive;

use crate::attribute::{self, attribute};
use crate::bindings::exports::floe::telemetry::configuration::{
    Batch, Batches, Compression, Exporter, Exporters, Instrument, InstrumentKind, Logging, Plan, Protocol,
    Tls, Variable,
};
use crate::bindings::exports::floe::telemetry::sampling::ParentMode;
use crate::bindings::exports::floe::telemetry::types::KeyValue;
use crate::diagnostic::{self, Place, shown};
use crate::fields::Findings;
use crate::manifest::{self, ITEMS, MILLISECONDS, Manifest, Mode};
use crate::sampling::{Ratios, Sampling, Share};

/// The variables that are taken.
pub const VARIABLES: [&str; 11] = [
    "FLOE_MODE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

/// Reads the manifest, applies the variables and checks the whole.
pub fn configure(text: &str, variables: &[Variable]) -> Result<(Manifest, Findings), Findings> {
    let (mut manifest, mut findings) = manifest::read(text)?;
    for variable in variables
        .iter()
        .filter(|variable| !variable.value.trim().is_empty())
    {
        apply(
            &mut manifest,
            &variable.name,
            variable.value.trim(),
            &mut findings,
        );
    }
    manifest.batch = manifest.batch.min(manifest.queue);
    sampler_variable(&mut manifest.sampling, variables, &mut findings);
    manifest.sampling.mode = manifest.mode;
    if findings.iter().any(manifest::is_error) {
        Err(findings)
    } else {
        Ok((manifest, findings))
    }
}

/// One variable, by the rules of OpenTelemetry's environment variable specification: what cannot be parsed is ignored aloud. An endpoint
/// is no such thing: to ignore it would send telemetry elsewhere, so it is an error.
fn apply(manifest: &mut Manifest, name: &str, value: &str, findings: &mut Findings) {
    let place = Place::named(name);
    let mut ignored = |wanted: &str| {
        findings.push(place.warning(
            diagnostic::WRONG_VARIABLE,
            format!("{} is not {wanted}; the variable is ignored", shown(value)),
            format!("set {name} to {wanted}, or unset it"),
        ));
    };
    let mut number = |target: &mut u32, range: RangeInclusive<u32>| match value.parse() {
        Ok(number) if range.contains(&number) => *target = number,
        _ => ignored(&format!(
            "a whole number from {} to {}",
            range.start(),
            range.end()
        )),
    };
    match name {
        // Only the word `true`, in any case, is true.
        "OTEL_SDK_DISABLED" => match value.to_ascii_lowercase().as_str() {
            "true" => manifest.enabled = false,
            "false" => {}
            _ => ignored("`true` or `false`"),
        },
        "OTEL_SERVICE_NAME" => manifest.identity.service_name = value.to_owned(),
        "OTEL_BSP_MAX_QUEUE_SIZE" => number(&mut manifest.queue, ITEMS),
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" => number(&mut manifest.batch, ITEMS),
        "OTEL_BSP_SCHEDULE_DELAY" => number(&mut manifest.delay, MILLISECONDS),
        "OTEL_METRIC_EXPORT_INTERVAL" => number(&mut manifest.interval, MILLISECONDS),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => match manifest::protocol(&value.to_ascii_lowercase()) {
            Some(protocol) => manifest.protocol = protocol,
            None => ignored("`grpc` or `http/protobuf`"),
        },
        "FLOE_MODE" => match Mode::from_word(&value.to_ascii_lowercase()) {
            Some(mode) => (manifest.mode, manifest.environment) = (mode, mode),
            None => ignored("`dev`, `staging` or `prod`"),
        },
        "OTEL_EXPORTER_OTLP_ENDPOINT" => match manifest::checked_endpoint(value) {
            Ok(url) => manifest.endpoint = Some(url),
            Err(reason) => findings.push(place.error(
                diagnostic::WRONG_ENDPOINT,
                format!("the variable holds no endpoint: {reason}"),
                "set it to the base URL of an OTLP Collector, such as http://localhost:4318",
            )),
        },
        _ => {}
    }
}

/// `OTEL_TRACES_SAMPLER` takes the place of the manifest's ratios, rules and limit: it names the one sampler of the process. Its
/// probabilities are consistent ones, which `TraceIdRatioBased` as it was first built is not with anybody else's.
fn sampler_variable(sampling: &mut Sampling, variables: &[Variable], findings: &mut Findings) {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let value = |name: &str| {
        let found = variables.iter().find(|variable| variable.name == name);
        found
            .map(|variable| variable.value.trim())
            .filter(|value| !value.is_empty())
    };
    let Some(text) = value(SAMPLER) else { return };
    let word = text.to_ascii_lowercase();
    let (sampler, parent) = match word.strip_prefix("parentbased_") {
        Some(sampler) => (sampler, ParentMode::Follow),
        None => (word.as_str(), ParentMode::Ignore),
    };
    let ratio = match sampler {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => {
            let argument = value(ARGUMENT).unwrap_or("1");
            let ratio = argument.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            ratio.unwrap_or_else(|| {
                findings.push(Place::named(ARGUMENT).warning(
                    diagnostic::WRONG_VARIABLE,
                    format!(
                        "{} is not a number from 0 to 1; every trace is kept",
                        shown(argument)
                    ),
                    format!("set {ARGUMENT} to a probability, or unset it"),
                ));
                1.0
            })
        }
        _ => {
            findings.push(Place::named(SAMPLER).warning(
                diagnostic::WRONG_VARIABLE,
                format!("{} is no sampler that is known; the variable is ignored", shown(text)),
                "set it to always_on, always_off, traceidratio, or one of these after parentbased_, or unset it",
            ));
            return;
        }
    };
    sampling.share = Share {
        ratios: Ratios::all(ratio),
        parent,
    };
    sampling.rules.clear();
    sampling.limit = 0.0;
    if sampler == "always_off" {
        // No span is no span.
        sampling.failed_spans = 0;
    }
}

/// Whose telemetry it is: on every span, and in baggage.
pub fn identity(manifest: &Manifest) -> [(&'static str, &str); 4] {
    [
        (attribute::NAMESPACE, &manifest.identity.namespace),
        (attribute::PRODUCT_NAME, &manifest.identity.product_name),
        (attribute::PRODUCT_VERSION, &manifest.identity.product_version),
        (attribute::MODE, manifest.mode.word()),
    ]
}

fn span_attributes(manifest: &Manifest) -> Vec<KeyValue> {
    identity(manifest)
        .map(|(key, value)| attribute(key, value))
        .to_vec()
}

/// The plan of a manifest.
pub fn plan(manifest: &Manifest, warnings: Findings) -> Plan {
    let endpoint = manifest.endpoint.clone().unwrap_or_else(|| {
        match manifest.protocol {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        }
        .to_owned()
    });
    let exporter = |signal: &str| {
        Some(Exporter {
            endpoint: match manifest.protocol {
                Protocol::Grpc => endpoint.clone(),
                Protocol::HttpProtobuf => format!("{endpoint}/v1/{signal}"),
            },
            protocol: manifest.protocol,
            timeout: manifest.export_timeout,
            compression: Compression::None,
            headers: Vec::new(),
            tls: Tls {
                ca: String::new(),
                certificate: String::new(),
                key: String::new(),
            },
        })
    };
    let batch = Batch {
        queue: manifest.queue,
        size: manifest.batch,
        delay: manifest.delay,
    };
    Plan {
        enabled: manifest.enabled,
        environment: manifest.environment.word().to_owned(),
        resource: if manifest.enabled {
            resource(manifest)
        } else {
            Vec::new()
        },
        attributes: if manifest.enabled {
            span_attributes(manifest)
        } else {
            Vec::new()
        },
        sampler: if manifest.enabled {
            manifest.sampling.plan()
        } else {
            Sampling::default().plan()
        },
        baggage: manifest.baggage.clone(),
        exporters: Exporters {
            traces: exporter("traces"),
            metrics: exporter("metrics"),
            logs: exporter("logs"),
        },
        batches: Batches {
            spans: batch,
            logs: batch,
        },
        interval: manifest.interval,
        shutdown: manifest.shutdown,
        logging: Logging {
            level: manifest.level.to_owned(),
            json: manifest.json,
        },
        instruments: instruments(),
        warnings,
    }
}

fn resource(manifest: &Manifest) -> Vec<KeyValue> {
    let environment = manifest.environment.word();
    let mut resource = vec![
        attribute("service.name", &manifest.identity.service_name),
        attribute("service.version", &manifest.identity.service_version),
        // The stable name, and the older one that floe's specification names.
        attribute("deployment.environment.name", environment),
        attribute("deployment.environment", environment),
        attribute("telemetry.distro.name", "floe-telemetry"),
        attribute("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
    ];
    resource.extend(span_attributes(manifest));
    resource.extend(manifest.attributes.iter().cloned());
    resource
}

/// Seconds, from a compile stage to a run of many hours.
const BOUNDARIES: [f64; 16] = [
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0,
    43_200.0,
];

/// Name of the histogram of a pipeline's runs.
pub const PIPELINE_DURATION: &str = "floe.pipeline.duration";
/// Name of the counter of materialized assets.
pub const ASSET_MATERIALIZATIONS: &str = "floe.asset.materializations";
/// Name of the counter of failed operations.
pub const ERRORS: &str = "floe.errors";
/// Name of the histogram of every other operation.
pub const OPERATION_DURATION: &str = "floe.operation.duration";
/// Name of the histogram of dbt's nodes.
pub const DBT_NODE_DURATION: &str = "floe.dbt.node.duration";
/// Name of the counter of dbt's test results.
pub const DBT_TESTS: &str = "floe.dbt.tests";

fn instruments() -> Vec<Instrument> {
    let instrument = |name: &str, kind, unit: &str, description: &str| Instrument {
        name: name.to_owned(),
        kind,
        unit: unit.to_owned(),
        description: description.to_owned(),
        boundaries: match kind {
            InstrumentKind::Histogram => BOUNDARIES.to_vec(),
            InstrumentKind::Counter => Vec::new(),
        },
    };
    vec![
        instrument(
            PIPELINE_DURATION,
            InstrumentKind::Histogram,
            "s",
            "Duration of a pipeline run.",
        ),
        instrument(
            OPERATION_DURATION,
            InstrumentKind::Histogram,
            "s",
            "Duration of an operation.",
        ),
        instrument(
            DBT_NODE_DURATION,
            InstrumentKind::Histogram,
            "s",
            "Duration of a dbt node.",
        ),
        instrument(
            DBT_TESTS,
            InstrumentKind::Counter,
            "{test}",
            "dbt tests that were run.",
        ),
        instrument(
            ASSET_MATERIALIZATIONS,
            InstrumentKind::Counter,
            "{materialization}",
            "Attempts to materialize an asset.",
        ),
        instrument(
            ERRORS,
            InstrumentKind::Counter,
            "{error}",
            "Operations that failed.",
        ),
    ]
}
