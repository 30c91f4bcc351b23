//! Manifest and environment variables to what a Collector's configuration is made from. Settings that only applications use are not looked at.

use crate::bindings::exports::floe::telemetry::collector::Deployment;
use crate::bindings::exports::floe::telemetry::configuration::Variable;
use crate::configuration::accepted;
use crate::fields::{Field, Findings};
use crate::layers::TELEMETRY;
use crate::manifest::collector::{Collector, ServerFiles, Tail};
use crate::manifest::destinations;
use crate::manifest::resource::ResourceAttributes;
use crate::reader::{self, Journal};
use crate::settings::{Settings, Visitor};
use crate::sources::Sources;

/// The Collector of a manifest under the variables, or what is wrong with it.
pub fn deployment(text: &str, variables: &[Variable]) -> Result<Deployment, Findings> {
    let mut findings = Findings::new();
    let deployment = Sources::read(text, &mut findings).map(|sources| {
        // Variables are of applications, but for the one that names the environment.
        let document = sources.layered(variables, &[], &mut Findings::new());
        let journal = &mut Journal::default();
        let mut part = Part::default();
        let telemetry = document
            .at(&["observability", "telemetry"])
            .map(|node| Field::at(TELEMETRY, node));
        reader::read_open(&mut part, TELEMETRY, telemetry.as_ref(), &mut findings, journal);
        let destinations = destinations::read(&document, &mut findings, journal);
        let Part { resource, collector } = part;
        Deployment {
            environment: resource.identity(false, &mut findings, journal).environment,
            destinations,
            tail: collector.tail.as_ref().map(Tail::sampling),
            load: collector.load.load(),
            tls: collector.tls.as_ref().map(ServerFiles::server),
            version: collector.version,
            directory: collector.directory.unwrap_or_default(),
            gateway: collector.gateway.map(|gateway| gateway.rest).unwrap_or_default(),
            storage: collector.storage.unwrap_or_default(),
            warnings: Vec::new(),
        }
    });
    match (accepted(findings), deployment) {
        (Ok(warnings), Some(deployment)) => Ok(Deployment {
            warnings,
            ..deployment
        }),
        (Ok(findings) | Err(findings), _) => Err(findings),
    }
}

/// The part of the telemetry settings that the Collector depends on.
#[derive(Debug, Default)]
struct Part {
    resource: ResourceAttributes,
    collector: Collector,
}

impl Settings for Part {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.section("resource_attributes", "", &mut self.resource);
        visitor.section("collector", "", &mut self.collector);
    }
}
