//! Manifest and environment variables to the plan. A set variable takes precedence over the manifest, and code over both.

use std::collections::BTreeSet;

use crate::attribute::{self, attribute};
use crate::bindings::exports::floe::telemetry::collector::{Deployment, Destination};
use crate::bindings::exports::floe::telemetry::configuration::{
    Batches, Exporters, Instrument, InstrumentKind, Logging, Plan, Variable,
};
use crate::bindings::exports::floe::telemetry::sampling::ParentMode;
use crate::bindings::exports::floe::telemetry::types::KeyValue;
use crate::diagnostic::{self, Place, shown};
use crate::fields::Findings;
use crate::layers::TELEMETRY;
use crate::manifest::collector::{ServerFiles, Tail};
use crate::manifest::resource::Identity;
use crate::manifest::telemetry::Telemetry;
use crate::manifest::{self, Manifest, Mode};
use crate::reader::Journal;
use crate::sampling::{Ratios, Sampling, Share};
use crate::variables::{self, SAMPLER, SAMPLER_ARGUMENT};

/// A manifest's settings with what follows from them.
#[derive(Debug)]
pub struct Configuration {
    /// Whether anything is set up at all.
    pub enabled: bool,
    /// Who produces the telemetry.
    pub identity: Identity,
    /// How traces are sampled.
    pub sampling: Sampling,
    telemetry: Telemetry,
    destinations: Vec<Destination>,
    exporters: Exporters,
    batches: Batches,
    warnings: Findings,
}

/// Reads a manifest under the variables and the settings of code, and checks the whole. The journal is told where each value came from.
pub fn configure(
    text: &str,
    variables: &[Variable],
    settings: &[KeyValue],
    journal: &mut Journal,
) -> Result<Configuration, Findings> {
    let mut findings = Findings::new();
    let manifest = manifest::read(text, variables, settings, &mut findings, journal);
    let configuration = manifest.map(
        |Manifest {
             telemetry,
             destinations,
         }| {
            let identity = telemetry
                .resource
                .identity(telemetry.enabled, &mut findings, journal);
            let mut sampling = telemetry.sampling.sampling(identity.mode);
            sampler_variable(&mut sampling, variables, &mut findings, journal);
            if !telemetry.has_traces() {
                sampling = none(identity.mode);
            }
            Configuration {
                enabled: telemetry.enabled,
                sampling: if telemetry.enabled {
                    sampling
                } else {
                    Sampling::default()
                },
                exporters: telemetry.exporters(&mut findings, journal),
                batches: telemetry.batches(journal),
                identity,
                telemetry,
                destinations,
                warnings: Findings::new(),
            }
        },
    );
    let mut seen = BTreeSet::new();
    findings.retain(|found| {
        seen.insert((
            found.line,
            found.column,
            found.path.clone(),
            found.code.clone(),
            found.message.clone(),
        ))
    });
    findings.sort_by_key(|found| (found.line == 0, found.line, found.column));
    match configuration {
        Some(configuration) if !findings.iter().any(manifest::is_error) => Ok(Configuration {
            warnings: findings,
            ..configuration
        }),
        _ => Err(findings),
    }
}

/// No span is no span: neither kept nor waiting for a failure.
fn none(mode: Mode) -> Sampling {
    Sampling {
        mode,
        share: Share {
            ratios: Ratios::all(0.0),
            parent: ParentMode::Ignore,
        },
        failed_spans: 0,
        ..Sampling::default()
    }
}

/// `OTEL_TRACES_SAMPLER` takes the place of the manifest's ratios, rules and limit: it names the one sampler of the process. Its
/// probabilities are consistent ones, which `TraceIdRatioBased` as it was first built is not with anybody else's.
fn sampler_variable(
    sampling: &mut Sampling,
    variables: &[Variable],
    findings: &mut Findings,
    journal: &mut Journal,
) {
    let Some(text) = variables::value(variables, SAMPLER) else {
        return;
    };
    let word = text.to_ascii_lowercase();
    let (sampler, parent) = match word.strip_prefix("parentbased_") {
        Some(sampler) => (sampler, ParentMode::Follow),
        None => (word.as_str(), ParentMode::Ignore),
    };
    let ratio = match sampler {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => {
            let argument = variables::value(variables, SAMPLER_ARGUMENT).unwrap_or("1");
            let ratio = argument.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            ratio.unwrap_or_else(|| {
                findings.push(Place::named(SAMPLER_ARGUMENT).warning(
                    diagnostic::WRONG_VARIABLE,
                    format!(
                        "{} is not a number from 0 to 1; every trace is kept",
                        shown(argument)
                    ),
                    format!("set {SAMPLER_ARGUMENT} to a probability, or unset it"),
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
    let path = format!("{TELEMETRY}.sampling");
    journal.remove(&format!("{path}.rules"));
    journal.replace(
        &format!("{path}.max_traces_per_second"),
        serde_json::Value::Null,
        SAMPLER,
    );
    for mode in Mode::WORDS {
        journal.replace(&format!("{path}.{mode}"), ratio, SAMPLER);
    }
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

impl Configuration {
    /// Whose telemetry it is: on every span, and in baggage.
    pub fn identity(&self) -> [(&'static str, &str); 4] {
        [
            (attribute::NAMESPACE, &self.identity.namespace),
            (attribute::PRODUCT_NAME, &self.identity.product_name),
            (attribute::PRODUCT_VERSION, &self.identity.product_version),
            (attribute::MODE, self.identity.mode.word()),
        ]
    }

    fn span_attributes(&self) -> Vec<KeyValue> {
        self.identity().map(|(key, value)| attribute(key, value)).to_vec()
    }

    /// What a host sets up.
    pub fn into_plan(self) -> Plan {
        let (resource, attributes) = match self.enabled {
            true => (self.resource(), self.span_attributes()),
            false => (Vec::new(), Vec::new()),
        };
        Plan {
            enabled: self.enabled,
            environment: self.identity.environment.word().to_owned(),
            resource,
            attributes,
            sampler: self.sampling.plan(),
            interval: self.telemetry.interval(),
            baggage: self.telemetry.baggage.attributes,
            exporters: self.exporters,
            batches: self.batches,
            shutdown: self.telemetry.shutdown,
            logging: Logging {
                level: self.telemetry.logging.level.to_owned(),
                json: self.telemetry.logging.json,
            },
            instruments: instruments(),
            warnings: self.warnings,
        }
    }

    /// What a Collector's configuration is made from.
    pub fn into_deployment(self) -> Deployment {
        let collector = self.telemetry.collector;
        Deployment {
            environment: self.identity.environment.word().to_owned(),
            destinations: self.destinations,
            tail: collector.tail.as_ref().map(Tail::sampling),
            load: collector.load.load(),
            tls: collector.tls.as_ref().map(ServerFiles::server),
            version: collector.version,
            directory: collector.directory.unwrap_or_default(),
            gateway: collector.gateway.unwrap_or_default(),
            storage: collector.storage.unwrap_or_default(),
            warnings: self.warnings,
        }
    }

    fn resource(&self) -> Vec<KeyValue> {
        let environment = self.identity.environment.word();
        let mut resource = vec![
            attribute("service.name", &self.identity.service_name),
            attribute("service.version", &self.identity.service_version),
            // The stable name, and the older one that floe's specification names.
            attribute("deployment.environment.name", environment),
            attribute("deployment.environment", environment),
            attribute("telemetry.distro.name", "floe-telemetry"),
            attribute("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        ];
        resource.extend(self.span_attributes());
        resource.extend(self.identity.attributes.iter().cloned());
        resource
    }
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
