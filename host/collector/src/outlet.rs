//! An outlet: a backend, or the gateway tier, with the part of its fragment that is used.

use std::collections::BTreeSet;

use floe_telemetry::Diagnostic;
use floe_telemetry::bindings::exports::floe::telemetry::types::Signal;
use serde_json::Value as Json;

use crate::diagnostic::{self, Place};
use crate::fragment::{Component, Connector, Fragment, Pipeline};
use crate::queue::{self, Abilities};
use crate::sizing::Sizes;
use crate::target::word;
use crate::version::CollectorVersion;

/// Where signals leave.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// Name in pipelines.
    pub(crate) name: String,
    pub(crate) fragment: Fragment,
}

impl Outlet {
    /// The part of a fragment that these signals need. A connector stays where both of its signals do.
    pub(crate) fn new(name: &str, mut fragment: Fragment, signals: &[Signal]) -> (Self, Vec<Connector>) {
        fragment
            .pipelines
            .retain(|pipeline| signals.contains(&pipeline.signal));
        let (connectors, left_out) = std::mem::take(&mut fragment.connectors)
            .into_iter()
            .partition(|connector| signals.contains(&connector.input) && signals.contains(&connector.output));
        fragment.connectors = connectors;
        let used: BTreeSet<&String> = fragment
            .pipelines
            .iter()
            .flat_map(|pipeline| pipeline.exporters.iter().chain(&pipeline.processors))
            .collect();
        let mut gone = Vec::new();
        let mut keep = |components: &mut Vec<Component>| {
            let (used, unused): (Vec<_>, Vec<_>) = std::mem::take(components)
                .into_iter()
                .partition(|component| used.contains(&component.id));
            gone.extend(unused);
            *components = used;
        };
        let (mut exporters, mut processors) = (
            std::mem::take(&mut fragment.exporters),
            std::mem::take(&mut fragment.processors),
        );
        keep(&mut exporters);
        keep(&mut processors);
        gone.extend(
            left_out
                .iter()
                .map(|connector: &Connector| connector.component.clone()),
        );
        (fragment.exporters, fragment.processors) = (exporters, processors);
        drop_what_only(&gone, &mut fragment);
        let outlet = Self {
            name: name.to_owned(),
            fragment,
        };
        (outlet, left_out)
    }

    /// Its part of a signal's pipeline.
    pub(crate) fn pipeline(&self, signal: Signal) -> Option<&Pipeline> {
        self.fragment
            .pipelines
            .iter()
            .find(|pipeline| pipeline.signal == signal)
    }

    /// Connectors whose output joins its part of a signal's pipeline.
    pub(crate) fn inputs(&self, signal: Signal) -> impl Iterator<Item = &Connector> {
        self.fragment
            .connectors
            .iter()
            .filter(move |connector| connector.output == signal)
    }

    /// Whether an exporter of a signal does not make its batches itself.
    pub(crate) fn needs_batches(&self, signal: Signal) -> bool {
        self.exporters(signal)
            .any(|exporter| !Abilities::of(exporter).queue)
    }

    /// The signals of each queue: one an exporter and signal.
    pub(crate) fn queues(&self) -> impl Iterator<Item = Signal> {
        self.fragment.pipelines.iter().flat_map(|pipeline| {
            self.exporters(pipeline.signal)
                .filter(|exporter| Abilities::of(exporter).queue)
                .map(|_| pipeline.signal)
        })
    }

    /// Gives its exporters queues and retries.
    pub(crate) fn complete(&mut self, sizes: &Sizes, version: &CollectorVersion, storage: Option<&str>) {
        let pipelines = &self.fragment.pipelines;
        for exporter in &mut self.fragment.exporters {
            let signals: Vec<Signal> = pipelines
                .iter()
                .filter(|pipeline| pipeline.exporters.contains(&exporter.id))
                .map(|pipeline| pipeline.signal)
                .collect();
            queue::complete(exporter, &signals, sizes, version, storage);
        }
    }

    /// Says which exporters do not keep on disk what they have not sent.
    pub(crate) fn without_queue(&self, place: Place<'_>) -> Vec<Diagnostic> {
        self.fragment
            .exporters
            .iter()
            .filter(|exporter| !Abilities::of(exporter).queue && !queue::is_local(exporter))
            .map(|exporter| {
                place.warning(
                    diagnostic::NO_QUEUE,
                    format!("the exporter {} has no queue: what it has not sent is lost with the Collector, and in an outage", exporter.id),
                    "use another protocol of the backend if it has one, or accept the loss",
                )
            })
            .collect()
    }

    fn exporters(&self, signal: Signal) -> impl Iterator<Item = &Component> {
        let pipeline = self.pipeline(signal);
        self.fragment.exporters.iter().filter(move |exporter| {
            pipeline.is_some_and(|pipeline| pipeline.exporters.contains(&exporter.id))
        })
    }
}

/// What is said where connectors are left out.
pub(crate) fn left_out(connectors: &[Connector], place: Place<'_>) -> Vec<Diagnostic> {
    connectors
        .iter()
        .map(|connector| {
            place.warning(
                diagnostic::CONNECTOR_LEFT_OUT,
                format!(
                    "{} is left out: it makes {} from {}, and not both are sent to this backend",
                    connector.component.id,
                    word(connector.output),
                    word(connector.input)
                ),
                "send both signals, or turn it off in the backend's settings",
            )
        })
        .collect()
}

/// Drops the extensions and the variables that nothing mentions but what has gone.
fn drop_what_only(gone: &[Component], fragment: &mut Fragment) {
    let mentioned = |components: &[&Component], text: &str| {
        components
            .iter()
            .any(|component| component.config.values().any(|value| mentions(value, text)))
    };
    let gone: Vec<&Component> = gone.iter().collect();
    let users: Vec<Component> = used(fragment).cloned().collect();
    let users: Vec<&Component> = users.iter().collect();
    let (kept, dropped): (Vec<_>, Vec<_>) = std::mem::take(&mut fragment.extensions)
        .into_iter()
        .partition(|extension| mentioned(&users, &extension.id) || !mentioned(&gone, &extension.id));
    fragment.extensions = kept;
    let gone: Vec<&Component> = gone.into_iter().chain(&dropped).collect();
    let users: Vec<Component> = used(fragment).chain(&fragment.extensions).cloned().collect();
    let users: Vec<&Component> = users.iter().collect();
    fragment.variables.retain(|name| {
        let reference = format!("${{env:{name}}}");
        mentioned(&users, &reference) || !mentioned(&gone, &reference)
    });
}

fn used(fragment: &Fragment) -> impl Iterator<Item = &Component> {
    fragment
        .exporters
        .iter()
        .chain(&fragment.processors)
        .chain(fragment.connectors.iter().map(|connector| &connector.component))
}

fn mentions(value: &Json, text: &str) -> bool {
    match value {
        Json::String(found) => found.contains(text),
        Json::Array(values) => values.iter().any(|value| mentions(value, text)),
        Json::Object(map) => map.values().any(|value| mentions(value, text)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}
