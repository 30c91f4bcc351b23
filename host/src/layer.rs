//! `tracing` for services that use it already: spans become spans, events become log records of the span that they are in.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::provider::TelemetryProvider;

/// What the export itself logs; exported, it would feed itself.
const EXPORT: [&str; 10] = [
    "opentelemetry",
    "opentelemetry_sdk",
    "floe_telemetry_otlp",
    "hyper",
    "hyper_util",
    "hyper_rustls",
    "h2",
    "tonic",
    "reqwest",
    "rustls",
];

impl TelemetryProvider {
    /// A layer for a `tracing` subscriber: spans and events of the manifest's level and above. It does nothing where telemetry is
    /// not enabled.
    pub fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let (tracer, logs) = (self.tracer()?, self.logger_provider()?);
        let spans = tracing_opentelemetry::layer().with_tracer(tracer.clone());
        Some(
            spans
                .and_then(OpenTelemetryTracingBridge::new(logs))
                .with_filter(self.targets()),
        )
    }

    fn targets(&self) -> Targets {
        let level = match self.plan().map(|plan| plan.logging.level.as_str()) {
            Some("DEBUG") => LevelFilter::DEBUG,
            Some("WARNING") => LevelFilter::WARN,
            Some("ERROR" | "CRITICAL") => LevelFilter::ERROR,
            _ => LevelFilter::INFO,
        };
        EXPORT
            .iter()
            .fold(Targets::new().with_default(level), |targets, target| {
                targets.with_target(*target, LevelFilter::OFF)
            })
    }
}
