//! One item of each signal, sent as the provider would send it, for whoever asks why nothing arrives.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use floe_telemetry_otlp::{Accepted, Failure, Observer};
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use crate::bindings::exports::floe::telemetry::configuration::{Exporter, Exporters, Plan};
use crate::destination::{exporters, outgoing_logs, outgoing_spans};
use crate::error::Problem;
use crate::manifest::Manifest;
use crate::policy::Policy;
use crate::provider::resource;

/// Scope, name and mark of everything that a probe sends, so that an operator finds it.
const SCOPE: &str = "floe-telemetry doctor";
const NAME: &str = "floe.doctor";
const MARK: &str = "floe.doctor.probe";

/// What became of a probe.
#[derive(Debug, Default)]
struct Outcome(Mutex<Option<Result<Accepted, Failure>>>);

impl Observer for Outcome {
    fn exported(&self, _items: u64, result: &Result<Accepted, Failure>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.clone());
    }
}

impl Outcome {
    /// A probe that made no export at all is one without an answer.
    fn take(&self, limit: Duration) -> Result<Accepted, Failure> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or(Err(Failure::Timeout(limit)))
    }
}

/// What became of one span, one data point and one log record that were sent through the plan's exporters. A signal without exporter has no result.
#[derive(Debug)]
pub struct Probes {
    /// The span.
    pub traces: Option<Result<Accepted, Failure>>,
    /// The data point.
    pub metrics: Option<Result<Accepted, Failure>>,
    /// The log record.
    pub logs: Option<Result<Accepted, Failure>>,
}

/// Sends one item of each signal through the exporters that the provider would build, each within `limit` and within the exporter's own timeout.
/// On problems with what the plan refers to, all of them are returned.
pub fn probe(
    policy: &Policy,
    plan: &Plan,
    manifest: &Manifest,
    limit: Duration,
) -> Result<Probes, Vec<Problem>> {
    let bounded = Exporters {
        traces: plan
            .exporters
            .traces
            .as_ref()
            .map(|exporter| within(exporter, limit)),
        metrics: plan
            .exporters
            .metrics
            .as_ref()
            .map(|exporter| within(exporter, limit)),
        logs: plan
            .exporters
            .logs
            .as_ref()
            .map(|exporter| within(exporter, limit)),
    };
    let outcomes: [Arc<Outcome>; 3] = Default::default();
    let [spans, points, records] = &outcomes;
    let built = exporters(
        &bounded,
        manifest,
        [spans, points, records].map(|outcome| Arc::clone(outcome) as _),
    )?;
    let resource = resource(policy, plan);
    let mark = || KeyValue::new(MARK, true);
    let traces = built.spans.map(|exporter| {
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(Sampler::AlwaysOn)
            .with_simple_exporter(outgoing_spans(exporter, policy, plan))
            .build();
        let mut span = provider.tracer(SCOPE).start(NAME);
        span.set_attribute(mark());
        span.end();
        spans.take(limit)
    });
    let metrics = built.metrics.map(|exporter| {
        let provider = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(PeriodicReader::builder(exporter).build())
            .build();
        provider.meter(SCOPE).u64_counter(NAME).build().add(1, &[mark()]);
        // What comes of it, the observer learns.
        let _ = provider.force_flush();
        points.take(limit)
    });
    let logs = built.logs.map(|exporter| {
        let provider = SdkLoggerProvider::builder()
            .with_resource(resource)
            .with_simple_exporter(outgoing_logs(exporter, policy))
            .build();
        let logger = provider.logger(SCOPE);
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Info);
        record.set_severity_text("INFO");
        record.set_body(NAME.into());
        record.add_attribute(Key::new(MARK), AnyValue::Boolean(true));
        logger.emit(record);
        records.take(limit)
    });
    Ok(Probes {
        traces,
        metrics,
        logs,
    })
}

fn within(exporter: &Exporter, limit: Duration) -> Exporter {
    Exporter {
        timeout: exporter
            .timeout
            .min(limit.as_millis().try_into().unwrap_or(u32::MAX)),
        ..exporter.clone()
    }
}
