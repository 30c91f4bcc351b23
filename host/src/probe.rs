//! One item of each signal, sent as the provider would send it, for whoever asks why nothing arrives.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use floe_telemetry_otlp::{Accepted, Failure, Observer};
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use crate::bindings::exports::floe::telemetry::configuration::{Exporter, Exporters, Plan};
use crate::destination::exporters;
use crate::error::Problem;
use crate::export::Described;
use crate::manifest::Manifest;
use crate::policy::Policy;
use crate::provider::resource;

/// Scope, name and mark of everything that a probe sends, so that an operator finds it.
const SCOPE: &str = "floe-telemetry doctor";
const NAME: &str = "floe.doctor";
const MARK: &str = "floe.doctor.probe";

/// How much longer than an export's time its outcome is waited for.
const GRACE: Duration = Duration::from_millis(200);

/// What becomes of an export: the SDK does not always say.
type Outcome = Result<Accepted, Failure>;

/// Passes outcomes on.
#[derive(Debug)]
struct Messenger(Sender<Outcome>);

impl Observer for Messenger {
    fn exported(&self, _items: u64, result: &Outcome) {
        // Nobody waits for a second one.
        let _ = self.0.send(result.clone());
    }
}

fn outcome() -> (Arc<dyn Observer>, Receiver<Outcome>) {
    let (sender, receiver) = mpsc::channel();
    (Arc::new(Messenger(sender)), receiver)
}

/// What became of one span, one data point and one log record that were sent through the plan's exporters. A signal without exporter has no result.
#[derive(Debug)]
pub struct Probes {
    /// The span.
    pub traces: Option<Outcome>,
    /// The data point.
    pub metrics: Option<Outcome>,
    /// The log record.
    pub logs: Option<Outcome>,
}

/// Sends one item of each signal, all at once, through the exporters that the provider would build, each within `limit` and within the exporter's own timeout.
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
    let [
        (spans, sent_spans),
        (points, sent_points),
        (records, sent_records),
    ] = [outcome(), outcome(), outcome()];
    let built = exporters(&bounded, policy, manifest, [spans, points, records])?;
    // An exporter keeps its time, and says more than that it is over.
    let deadline = Instant::now() + limit + GRACE;
    let wait = |sent: Receiver<Outcome>| {
        sent.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .unwrap_or(Err(Failure::Timeout(limit)))
    };
    let resource = resource(policy, plan);
    let mark = || KeyValue::new(MARK, true);
    let traces = built.spans.map(|exporter| {
        let resource = resource.clone();
        let exporter = Described::new(exporter, plan);
        sent(move || {
            let provider = SdkTracerProvider::builder()
                .with_resource(resource)
                .with_sampler(Sampler::AlwaysOn)
                .with_simple_exporter(exporter)
                .build();
            let mut span = provider.tracer(SCOPE).start(NAME);
            span.set_attribute(mark());
            span.end();
        });
        sent_spans
    });
    let metrics = built.metrics.map(|exporter| {
        let resource = resource.clone();
        sent(move || {
            let provider = SdkMeterProvider::builder()
                .with_resource(resource)
                .with_reader(PeriodicReader::builder(exporter).build())
                .build();
            provider.meter(SCOPE).u64_counter(NAME).build().add(1, &[mark()]);
            // Ending sends what was recorded, once.
            let _ = provider.shutdown();
        });
        sent_points
    });
    let logs = built.logs.map(|exporter| {
        sent(move || {
            let provider = SdkLoggerProvider::builder()
                .with_resource(resource)
                .with_simple_exporter(exporter)
                .build();
            let logger = provider.logger(SCOPE);
            let mut record = logger.create_log_record();
            record.set_severity_number(Severity::Info);
            record.set_severity_text("INFO");
            record.set_body(NAME.into());
            record.add_attribute(Key::new(MARK), AnyValue::Boolean(true));
            logger.emit(record);
        });
        sent_records
    });
    Ok(Probes {
        traces: traces.map(wait),
        metrics: metrics.map(wait),
        logs: logs.map(wait),
    })
}

/// Sends on a thread of its own. Without one nothing is sent, which its outcome says by the time that passes.
fn sent(send: impl FnOnce() + Send + 'static) {
    let _ = std::thread::Builder::new()
        .name("floe-telemetry-probe".to_owned())
        .spawn(send);
}

fn within(exporter: &Exporter, limit: Duration) -> Exporter {
    Exporter {
        timeout: exporter
            .timeout
            .min(limit.as_millis().try_into().unwrap_or(u32::MAX)),
        ..exporter.clone()
    }
}
