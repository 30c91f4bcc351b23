//! Pipelines: from the receiver by the checks to every outlet of a signal.
//!
//! A signal has one main pipeline. An outlet that needs more than exporters (processors of its own, or what its connector makes) gets a pipeline behind it, unless
//! it is the only one. What a connector reads is read before anything is sampled: by a pipeline of its own where spans are sampled.

use std::collections::BTreeMap;

use floe_telemetry::bindings::exports::floe::telemetry::types::Signal;
use serde::Serialize;

use crate::component_id::{BATCH, DEBUG, FORWARD, MEMORY_LIMITER, OTLP, TAIL_SAMPLING, TRANSFORM};
use crate::outlet::Outlet;
use crate::target::word;
use crate::version::CollectorVersion;

/// Every signal.
pub(crate) const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];
/// What a signal that nobody takes ends in.
pub(crate) const DROPPED: &str = "dropped";
/// The processor with the checks.
pub(crate) const CHECKS: &str = "floe";

/// A pipeline as the Collector has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Pipeline {
    pub(crate) receivers: Vec<String>,
    pub(crate) processors: Vec<String>,
    pub(crate) exporters: Vec<String>,
}

/// All of them by name, and what they need beside the outlets' own components.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    pub(crate) all: BTreeMap<String, Pipeline>,
    /// Ids of connectors to pipelines of outlets.
    pub(crate) forwards: Vec<String>,
    /// Signals that nobody takes.
    pub(crate) dropped: Vec<Signal>,
    /// Whether a pipeline has the processor `batch`.
    pub(crate) batches: bool,
}

impl Pipelines {
    /// The pipelines to these outlets. `sampled` tells whether spans are tail-sampled.
    pub(crate) fn new(outlets: &[Outlet], version: &CollectorVersion, sampled: bool) -> Self {
        let mut pipelines = Self::default();
        for signal in SIGNALS {
            pipelines.signal(signal, outlets, version, sampled);
        }
        pipelines
    }

    fn signal(&mut self, signal: Signal, outlets: &[Outlet], version: &CollectorVersion, sampled: bool) {
        let name = word(signal);
        let sampled = sampled && signal == Signal::Traces;
        let intake = |processors: &[&str]| {
            let first = MEMORY_LIMITER.name(version).to_owned();
            std::iter::once(first)
                .chain(processors.iter().map(|id| (*id).to_owned()))
                .collect()
        };
        let checks = TRANSFORM.id(version, CHECKS);
        let mut main = Pipeline {
            receivers: vec![OTLP.name(version).to_owned()],
            processors: intake(&[&checks]),
            exporters: Vec::new(),
        };
        let takers: Vec<&Outlet> = outlets
            .iter()
            .filter(|outlet| outlet.pipeline(signal).is_some())
            .collect();
        if takers.is_empty() {
            main.processors = intake(&[]);
            main.exporters.push(DEBUG.id(version, DROPPED));
            self.all.insert(name.to_owned(), main);
            self.dropped.push(signal);
            return;
        }
        let readers: Vec<String> = outlets
            .iter()
            .flat_map(|outlet| &outlet.fragment.connectors)
            .filter(|connector| connector.input == signal)
            .map(|connector| connector.component.id.clone())
            .collect();
        if sampled {
            main.processors.push(TAIL_SAMPLING.name(version).to_owned());
            if !readers.is_empty() {
                let all = Pipeline {
                    receivers: main.receivers.clone(),
                    processors: intake(&[&checks]),
                    exporters: readers,
                };
                self.all.insert(format!("{name}/all"), all);
            }
        } else {
            main.exporters = readers;
        }
        if !version.batches_in_queue() {
            main.processors.push(BATCH.name(version).to_owned());
            self.batches = true;
        }
        let alone = takers.len() == 1;
        for outlet in takers {
            let mut part = Pipeline::default();
            if let Some(pipeline) = outlet.pipeline(signal) {
                part.processors.clone_from(&pipeline.processors);
                part.exporters.clone_from(&pipeline.exporters);
            }
            part.receivers.extend(
                outlet
                    .inputs(signal)
                    .map(|connector| connector.component.id.clone()),
            );
            if version.batches_in_queue() && outlet.needs_batches(signal) {
                part.processors.push(BATCH.name(version).to_owned());
                self.batches = true;
            }
            // What a connector makes passes neither the checks nor the sampling of what it is made from: only a pipeline of the outlet's own takes it in.
            if part.receivers.is_empty() && (alone || part.processors.is_empty()) {
                main.processors.append(&mut part.processors);
                main.exporters.append(&mut part.exporters);
            } else {
                let forward = FORWARD.id(version, &outlet.name);
                main.exporters.push(forward.clone());
                part.receivers.insert(0, forward.clone());
                if !self.forwards.contains(&forward) {
                    self.forwards.push(forward);
                }
                self.all.insert(format!("{name}/{}", outlet.name), part);
            }
        }
        self.all.insert(name.to_owned(), main);
    }
}
