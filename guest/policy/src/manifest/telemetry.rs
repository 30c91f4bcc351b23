//! `observability.telemetry`: all that a process needs to know.

use super::baggage::BaggageKeys;
use super::batch::BatchProcessor;
use super::collector::Collector;
use super::exporter::{self, Target};
use super::logging::LoggingSettings;
use super::operations::{ExceptionSettings, OperationSettings};
use super::redaction::RedactionSettings;
use super::resource::ResourceAttributes;
use super::sampling::SamplingSettings;
use super::{ITEMS, MILLISECONDS, Mode};
use crate::bindings::exports::floe::telemetry::configuration::{Batch, Batches, Exporters, Variable};
use crate::bindings::exports::floe::telemetry::types::Signal;
use crate::diagnostic;
use crate::fields::Findings;
use crate::kinds::{Boolean, Integer};
use crate::layers::{Layer, TELEMETRY};
use crate::reader::Journal;
use crate::settings::{Settings, Visitor};

/// The section, with its defaults.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Whether anything is set up at all.
    pub enabled: bool,
    /// Who produces it.
    pub resource: ResourceAttributes,
    /// Sampling.
    pub sampling: SamplingSettings,
    /// The Collector.
    pub collector: Collector,
    /// Baggage members that become attributes.
    pub baggage: BaggageSettings,
    /// Logging.
    pub logging: LoggingSettings,
    /// Exceptions.
    pub exceptions: ExceptionSettings,
    /// Operations that take long or do nothing.
    pub operations: OperationSettings,
    /// Redaction.
    pub redaction: RedactionSettings,
    /// Longest time that ending may take, in milliseconds.
    pub shutdown: u32,
    target: Target,
    batch: BatchProcessor,
    traces: Traces,
    metrics: Metrics,
    logs: Logs,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            enabled: true,
            resource: ResourceAttributes::default(),
            sampling: SamplingSettings::default(),
            collector: Collector::default(),
            baggage: BaggageSettings::default(),
            logging: LoggingSettings::default(),
            exceptions: ExceptionSettings::default(),
            operations: OperationSettings::default(),
            redaction: RedactionSettings::default(),
            shutdown: 5_000,
            target: Target::default(),
            batch: BatchProcessor::default(),
            traces: Traces::default(),
            metrics: Metrics::default(),
            logs: Logs::default(),
        }
    }
}

impl Settings for Telemetry {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "enabled",
            "Whether telemetry is set up. Context propagates in any case.",
            Boolean,
            &mut self.enabled,
        );
        visitor.section(
            "resource_attributes",
            "Who produces the telemetry, and further resource attributes.",
            &mut self.resource,
        );
        self.target.visit(visitor);
        visitor.section(
            "traces",
            "Spans: what is other than for all signals.",
            &mut self.traces,
        );
        visitor.section(
            "metrics",
            "Metrics: what is other than for all signals.",
            &mut self.metrics,
        );
        visitor.section(
            "logs",
            "Log records: what is other than for all signals.",
            &mut self.logs,
        );
        visitor.section(
            "batch_processor",
            "Batching of spans and of log records.",
            &mut self.batch,
        );
        visitor.section("sampling", "Which traces are kept.", &mut self.sampling);
        visitor.section("baggage", "Baggage.", &mut self.baggage);
        visitor.section("logging", "What is logged, and how.", &mut self.logging);
        visitor.section("exceptions", "How exceptions are told.", &mut self.exceptions);
        visitor.section(
            "operations",
            "Operations that take long, and ticks that start nothing.",
            &mut self.operations,
        );
        visitor.section(
            "redaction",
            "What is masked in all telemetry, beside what everybody knows to be a secret.",
            &mut self.redaction,
        );
        visitor.setting(
            "shutdown_timeout_millis",
            "Longest time that ending a process may wait for the Collector, in milliseconds.",
            Integer(MILLISECONDS),
            &mut self.shutdown,
        );
        visitor.section(
            "collector",
            "The Collector and its backends. Another backend changes nothing in the applications.",
            &mut self.collector,
        );
    }
}

impl Telemetry {
    /// The signals that are printed instead of exported. Outside dev telemetry goes to a Collector.
    pub fn console(&self, mode: Mode, findings: &mut Findings, journal: &mut Journal) -> Vec<Signal> {
        let mut printed = Vec::new();
        for (signal, name, enabled, target) in [
            (Signal::Traces, "traces", self.traces.enabled, &self.traces.target),
            (
                Signal::Metrics,
                "metrics",
                self.metrics.enabled,
                &self.metrics.target,
            ),
            (Signal::Logs, "logs", self.logs.enabled, &self.logs.target),
        ] {
            let console = target.console(&self.target);
            journal.derive(
                &format!("{TELEMETRY}.{name}.console"),
                console.is_some_and(|console| console.value),
                &format!("{TELEMETRY}.console"),
            );
            let Some(console) = console.filter(|console| self.enabled && enabled && console.value) else {
                continue;
            };
            if mode != Mode::Dev {
                findings.push(console.place.error(
                    diagnostic::CONSOLE_OUTSIDE_DEV,
                    format!("telemetry is printed in dev only, and this is {}", mode.word()),
                    match console.layer {
                        Layer::Variable(_) => "unset the variable, or set it to otlp",
                        _ => "take `console` out, or write it below environments.dev",
                    },
                ));
            }
            printed.push(signal);
        }
        printed
    }

    /// The exporter of each signal that is neither switched off nor printed.
    pub fn exporters(
        &self,
        variables: &[Variable],
        findings: &mut Findings,
        journal: &mut Journal,
    ) -> Exporters {
        let mut exporter = |name, enabled: bool, target: &Target, limit| {
            let enabled = enabled && !target.console(&self.target).is_some_and(|console| console.value);
            let signal = exporter::Signal {
                name,
                limit,
                allowed: &self.collector.allowed,
                variables,
            };
            enabled.then(|| target.exporter(&self.target, &signal, findings, journal))
        };
        let Self {
            traces,
            metrics,
            logs,
            batch,
            ..
        } = self;
        Exporters {
            traces: exporter(
                "traces",
                traces.enabled,
                &traces.target,
                traces.batch.limit(batch, "traces"),
            ),
            metrics: exporter("metrics", metrics.enabled, &metrics.target, metrics.limit()),
            logs: exporter(
                "logs",
                logs.enabled,
                &logs.target,
                logs.batch.limit(batch, "logs"),
            ),
        }
    }

    /// The batching of each signal that is batched, with OpenTelemetry's defaults.
    pub fn batches(&self, journal: &mut Journal) -> Batches {
        let mut batch = |signal: &str, own: &BatchProcessor, delay| -> Batch {
            own.batch(&self.batch, signal, delay, journal)
        };
        Batches {
            spans: batch("traces", &self.traces.batch, 5_000),
            logs: batch("logs", &self.logs.batch, 1_000),
        }
    }

    /// Interval between metric exports, in milliseconds.
    pub fn interval(&self) -> u32 {
        self.metrics.interval
    }

    /// Most attribute sets of one instrument.
    pub fn cardinality(&self) -> u32 {
        self.metrics.cardinality
    }

    /// Whether spans are exported or printed.
    pub fn has_traces(&self) -> bool {
        self.traces.enabled
    }
}

/// `traces`.
#[derive(Debug, Clone)]
struct Traces {
    enabled: bool,
    target: Target,
    batch: BatchProcessor,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            enabled: true,
            target: Target::default(),
            batch: BatchProcessor::default(),
        }
    }
}

impl Settings for Traces {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "enabled",
            "Whether spans are exported. Context propagates in any case.",
            Boolean,
            &mut self.enabled,
        );
        self.target.visit(visitor);
        visitor.section("batch_processor", "Batching of spans.", &mut self.batch);
    }
}

/// `metrics`.
#[derive(Debug, Clone)]
struct Metrics {
    enabled: bool,
    target: Target,
    interval: u32,
    timeout: Option<u32>,
    cardinality: u32,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: true,
            target: Target::default(),
            interval: 60_000,
            timeout: None,
            cardinality: 2_000,
        }
    }
}

impl Metrics {
    /// Longest time for one export, in milliseconds, and the path of the setting below the telemetry settings.
    fn limit(&self) -> Option<(u32, String)> {
        self.timeout
            .map(|timeout| (timeout, "metrics.export_timeout_millis".to_owned()))
    }
}

impl Settings for Metrics {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "enabled",
            "Whether metrics are exported.",
            Boolean,
            &mut self.enabled,
        );
        self.target.visit(visitor);
        visitor.setting(
            "export_interval_millis",
            "Interval between exports, in milliseconds.",
            Integer(MILLISECONDS),
            &mut self.interval,
        );
        visitor.maybe("export_timeout_millis", "Longest time for one export, in milliseconds; where timeout_millis is written as well, the shorter holds.", Integer(MILLISECONDS), &mut self.timeout);
        visitor.setting(
            "cardinality_limit",
            "Most attribute sets of one instrument; what has another one is recorded with `otel.metric.overflow=true`.",
            Integer(ITEMS),
            &mut self.cardinality,
        );
    }
}

/// `logs`.
#[derive(Debug, Clone)]
struct Logs {
    enabled: bool,
    target: Target,
    batch: BatchProcessor,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            enabled: true,
            target: Target::default(),
            batch: BatchProcessor::default(),
        }
    }
}

impl Settings for Logs {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "enabled",
            "Whether log records are exported.",
            Boolean,
            &mut self.enabled,
        );
        self.target.visit(visitor);
        visitor.section(
            "batch_processor",
            "Batching of log records; they wait 1000 ms at most where nothing is written.",
            &mut self.batch,
        );
    }
}

/// `baggage`.
#[derive(Debug, Default, Clone)]
pub struct BaggageSettings {
    /// Keys of the members that become attributes; `*` at the end stands for any rest.
    pub attributes: Vec<String>,
}

impl Settings for BaggageSettings {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting("attributes", "Baggage members that become attributes of spans and log records: keys, or `acme.*` for all that start so.", BaggageKeys, &mut self.attributes);
    }
}
