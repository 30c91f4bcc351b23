//! Manifest and environment variables to the plan. A set variable takes precedence over the manifest, and code over both.

use std::collections::BTreeSet;

use crate::attribute::{self, attribute};
use crate::bindings::exports::floe::telemetry::configuration::{Batches, Exporters, Logging, Plan, Variable};
use crate::bindings::exports::floe::telemetry::sampling::ParentMode;
use crate::bindings::exports::floe::telemetry::types::{KeyValue, Signal};
use crate::fields::Findings;
use crate::instrument;
use crate::manifest::resource::Identity;
use crate::manifest::telemetry::Telemetry;
use crate::manifest::{self, Mode};
use crate::reader::Journal;
use crate::redaction::Redactor;
use crate::sampling::{Ratios, Sampling, Share};

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
    exporters: Exporters,
    console: Vec<Signal>,
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
    let configuration = manifest.map(|telemetry| {
        let identity = telemetry
            .resource
            .identity(telemetry.enabled, &mut findings, journal);
        let mut sampling = telemetry.sampling.sampling(identity.mode);
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
            console: telemetry.console(identity.mode, &mut findings, journal),
            exporters: telemetry.exporters(variables, &mut findings, journal),
            batches: telemetry.batches(journal),
            identity,
            telemetry,
            warnings: Findings::new(),
        }
    });
    match (accepted(findings), configuration) {
        (Ok(warnings), Some(configuration)) => Ok(Configuration {
            warnings,
            ..configuration
        }),
        (Ok(findings) | Err(findings), _) => Err(findings),
    }
}

/// What was found, each once and in the order of the text: as an error if any of it is one.
pub fn accepted(mut findings: Findings) -> Result<Findings, Findings> {
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
    match findings.iter().any(manifest::is_error) {
        true => Err(findings),
        false => Ok(findings),
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

    /// What masks secrets.
    pub fn redactor(&self) -> Redactor {
        let redaction = &self.telemetry.redaction;
        Redactor::new(&redaction.names, &redaction.prefixes)
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
            environment: self.identity.environment.clone(),
            resource,
            attributes,
            sampler: self.sampling.plan(),
            interval: self.telemetry.interval(),
            cardinality: self.telemetry.cardinality(),
            baggage: self.telemetry.baggage.attributes,
            exporters: self.exporters,
            console: self.console,
            batches: self.batches,
            shutdown: self.telemetry.shutdown,
            logging: Logging {
                level: self.telemetry.logging.level.to_owned(),
                levels: self.telemetry.logging.levels(),
                json: self.telemetry.logging.json,
            },
            exceptions: self.telemetry.exceptions.signals(),
            operations: self.telemetry.operations.limits(),
            instruments: instrument::instruments(),
            warnings: self.warnings,
        }
    }

    fn resource(&self) -> Vec<KeyValue> {
        let environment = self.identity.environment.as_str();
        let mut resource = vec![
            attribute("service.name", &self.identity.service_name),
            attribute("service.version", &self.identity.service_version),
            // The stable name, and the deprecated one that floe's specification (FR-020) demands.
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
