//! Sets up OpenTelemetry as the plan says, and ends it within a bounded time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use floe_telemetry_otlp::{Exemplars, Redactor as _};
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::metrics::{Counter as SdkCounter, Gauge, Histogram, MeterProvider, UpDownCounter};
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, Key, KeyValue, Value, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{
    BatchConfig as LogBatchConfig, BatchConfigBuilder as LogBatchConfigBuilder, BatchLogProcessor,
    SdkLoggerProvider,
};
use opentelemetry_sdk::metrics::{Instrument as SdkInstrument, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfig, BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider,
};

use crate::account::{Account, Counts, Dropped};
use crate::attribute;
use crate::baggage::AllowList;
use crate::bindings::exports::floe::telemetry::configuration::{Batch, Exporter, InstrumentKind, Plan};
use crate::bindings::exports::floe::telemetry::types::Signal;
use crate::carrier::{EnvList, Environment, RunTags};
use crate::clock::{Clock, SystemClock};
use crate::component::Component;
use crate::destination::exporters;
use crate::error::{Error, Undelivered, render};
use crate::exception::Exceptions;
use crate::export::Described;
use crate::ids::Ids;
use crate::inflight::{self, InFlight};
use crate::levels::Levels;
use crate::manifest::Manifest;
use crate::metrics::Instruments;
use crate::policy::Policy;
use crate::processor::{FloeLogProcessor, FloeSpanProcessor};
use crate::propagator::FloePropagator;
use crate::record::Process;
use crate::redaction::Redaction;
use crate::sampler::FloeSampler;
use crate::scope::{ScopedTracer, ScopedTracerProvider};
use crate::warning::{self, say};

/// The semantic conventions that the general attributes are of (tests/registry).
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";
/// Name of the scope of floe's own operations.
const SCOPE: &str = "floe-telemetry";

/// The scope of floe's own operations.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE)
        .with_schema_url(SCHEMA_URL)
        .build()
}

/// Telemetry of this process. Dropping it delivers what is left, within the manifest's `shutdown_timeout_millis`.
#[derive(Debug)]
pub struct TelemetryProvider {
    policy: Policy,
    propagator: FloePropagator,
    tracer: Option<ScopedTracer>,
    context: Context,
    levels: Levels,
    sdk: Option<Arc<Sdk>>,
}

/// What a plan set up.
#[derive(Debug)]
pub(crate) struct Sdk {
    plan: Plan,
    tracer_provider: SdkTracerProvider,
    meter_provider: SdkMeterProvider,
    logger_provider: SdkLoggerProvider,
    instruments: HashMap<String, Instrument>,
    own: Instruments,
    exemplars: Exemplars,
    exceptions: Exceptions,
    in_flight: InFlight,
    resource: Resource,
    identity: OnceLock<Process>,
    accounts: Arc<Accounts>,
    /// Whether what earlier processes left is reported.
    reported: AtomicBool,
    ended: AtomicBool,
}

/// What becomes of each signal's items.
#[derive(Debug)]
struct Accounts {
    spans: Arc<Account>,
    metrics: Arc<Account>,
    logs: Arc<Account>,
}

impl Accounts {
    fn new(plan: &Plan) -> Self {
        // As many may wait as the plan says, beside those that are being exported.
        let room = |batch: &Batch| u64::from(batch.queue) + u64::from(batch.size);
        let account = |signal, exporter: &Option<Exporter>, most| {
            let endpoint = exporter.as_ref().map(|exporter| exporter.endpoint.clone());
            Arc::new(Account::new(signal, endpoint.unwrap_or_default(), most))
        };
        Self {
            spans: account(Signal::Traces, &plan.exporters.traces, room(&plan.batches.spans)),
            metrics: account(Signal::Metrics, &plan.exporters.metrics, u64::MAX),
            logs: account(Signal::Logs, &plan.exporters.logs, room(&plan.batches.logs)),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            traces: self.spans.counts(),
            metrics: self.metrics.counts(),
            logs: self.logs.counts(),
        }
    }

    /// Writes off what waits, and answers all that was lost.
    fn close(&self) -> Result<(), Undelivered> {
        let all = [&self.spans, &self.metrics, &self.logs];
        all.iter().for_each(|account| account.close());
        let counts = self.counts();
        let mut undelivered = Undelivered {
            endpoints: Vec::new(),
            spans: counts.traces.dropped.total(),
            logs: counts.logs.dropped.total(),
            points: counts.metrics.dropped.total(),
            dropped: Dropped::default(),
            reason: None,
        };
        for account in all {
            let dropped = account.counts().dropped;
            if dropped.total() == 0 {
                continue;
            }
            let endpoint = account.endpoint();
            if undelivered.endpoints.iter().all(|known| known != endpoint) {
                undelivered.endpoints.push(endpoint.to_owned());
            }
            undelivered.reason = undelivered.reason.or_else(|| account.reason());
            for (reason, count) in dropped.iter() {
                undelivered.dropped.add(reason, count);
            }
        }
        if undelivered.dropped.total() == 0 {
            Ok(())
        } else {
            Err(undelivered)
        }
    }
}

#[derive(Debug)]
enum Instrument {
    Counter(SdkCounter<u64>),
    UpDownCounter(UpDownCounter<f64>),
    Histogram(Histogram<f64>),
    Gauge(Gauge<f64>),
}

impl TelemetryProvider {
    /// Telemetry as a manifest says, installed as OpenTelemetry's global providers and propagator.
    pub fn from_manifest(manifest: &Manifest) -> Result<Self, Error> {
        let (policy, plan) = Policy::configure(Component::load()?, manifest)?;
        if !plan.warnings.is_empty() {
            say(&policy.without_secrets(render(&manifest.file, &plan.warnings)));
        }
        if !plan.console.is_empty() {
            say(
                "warning[FLOE-H009]: this host cannot print telemetry on the console: the signals that ask for it are not exported\n  help: run `floe-telemetry receive` and send them there",
            );
        }
        let levels = Levels::new(Some(&plan.logging));
        let sdk = if plan.enabled {
            let sdk = Arc::new(Sdk::start(&policy, plan, manifest)?);
            inflight::start(&sdk, &policy, manifest)?;
            Some(sdk)
        } else {
            None
        };
        Ok(Self::with(policy, levels, sdk))
    }

    /// Telemetry as a manifest says or, where that cannot be had, the reason in the log and nothing but context
    /// propagation: a pipeline does not fail because its telemetry does.
    pub fn init(manifest: impl AsRef<Path>) -> Self {
        Manifest::read(manifest)
            .map_err(Error::from)
            .and_then(|manifest| Self::from_manifest(&manifest))
            .unwrap_or_else(|error| {
                let telemetry = Self::disabled();
                say(&telemetry.policy.without_secrets(error.to_string()));
                telemetry
            })
    }

    /// No telemetry; context still propagates.
    pub fn disabled() -> Self {
        let component = Component::load().or_else(|problem| {
            say(&problem.to_string());
            Component::built_in()
        });
        Self::with(
            component.map_or_else(Policy::unavailable, Policy::unconfigured),
            Levels::new(None),
            None,
        )
    }

    /// Makes these the telemetry of the process.
    fn with(policy: Policy, levels: Levels, sdk: Option<Arc<Sdk>>) -> Self {
        let tracer = sdk.as_ref().map(|sdk| {
            let provider = ScopedTracerProvider::new(sdk.tracer_provider.clone(), sdk.plan.sampler.scoped);
            global::set_tracer_provider(provider.clone());
            global::set_meter_provider(sdk.meter_provider.clone());
            provider.tracer(SCOPE)
        });
        let propagator = propagator(&policy);
        global::set_text_map_propagator(propagator.clone());
        let context = propagator.extract_environment(&Context::new(), &Environment::current());
        Self {
            policy,
            propagator,
            tracer,
            context,
            levels,
            sdk,
        }
    }

    /// The policy that decides.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The plan, if telemetry is enabled.
    pub fn plan(&self) -> Option<&Plan> {
        self.sdk.as_ref().map(|sdk| &sdk.plan)
    }

    /// The context that this process was started with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The variables with which a child process continues `context`, and finds the manifest and the component wherever it runs.
    pub fn environment(&self, context: &Context) -> Environment {
        self.injected(context, Environment::of_paths())
    }

    /// The tags with which a Dagster run continues `context`.
    pub fn run_tags(&self, context: &Context) -> RunTags {
        self.injected(context, RunTags::default())
    }

    /// The same as [`Self::environment`] for the `env` of a Kubernetes container.
    pub fn env_list(&self, context: &Context) -> EnvList {
        self.injected(context, EnvList::default())
    }

    fn injected<T: Injector>(&self, context: &Context, mut carrier: T) -> T {
        self.propagator.inject_context(context, &mut carrier);
        carrier
    }

    /// What became of the spans, data points and log records so far.
    pub fn counts(&self) -> Counts {
        self.sdk
            .as_ref()
            .map(|sdk| sdk.accounts.counts())
            .unwrap_or_default()
    }

    /// The tracer of floe's operations, if telemetry is enabled.
    pub(crate) fn tracer(&self) -> Option<&ScopedTracer> {
        self.tracer.as_ref()
    }

    /// What is logged.
    pub(crate) fn levels(&self) -> &Levels {
        &self.levels
    }

    pub(crate) fn logger_provider(&self) -> Option<&SdkLoggerProvider> {
        self.sdk.as_ref().map(|sdk| &sdk.logger_provider)
    }

    /// What the plan set up, if telemetry is enabled.
    pub(crate) fn sdk(&self) -> Option<&Sdk> {
        self.sdk.as_deref()
    }

    /// Delivers what is left and ends telemetry, within the plan's time. Calling it again does nothing.
    pub fn shutdown(&self) -> Result<(), Undelivered> {
        match &self.sdk {
            Some(sdk) if !sdk.ended.swap(true, Ordering::SeqCst) => sdk.shutdown(),
            _ => Ok(()),
        }
    }
}

impl Drop for TelemetryProvider {
    fn drop(&mut self) {
        if let Err(undelivered) = self.shutdown() {
            warning::say_undelivered(&self.policy.without_secrets(undelivered.to_string()));
        }
    }
}

/// The propagator that `OTEL_PROPAGATORS` asks for, by default all of floe's.
fn propagator(policy: &Policy) -> FloePropagator {
    match std::env::var("OTEL_PROPAGATORS") {
        Ok(names) if !names.trim().is_empty() => {
            let (propagator, unknown) = FloePropagator::named(policy.clone(), &names);
            if !unknown.is_empty() {
                warning::first("FLOE-H005", "OTEL_PROPAGATORS", || {
                    // A secret may hold commas.
                    let names = policy.without_secrets(names.clone());
                    let (_, unknown) = FloePropagator::named(policy.clone(), &names);
                    policy.without_secrets(format!(
                        "warning[FLOE-H005]: OTEL_PROPAGATORS names {}, which this process does not know\n  help: name floe, tracecontext, baggage or none",
                        unknown.join(", ")
                    ))
                });
            }
            propagator
        }
        _ => FloePropagator::new(policy.clone()),
    }
}

impl Sdk {
    fn start(policy: &Policy, plan: Plan, manifest: &Manifest) -> Result<Self, Error> {
        let (resource, accounts) = (resource(policy, &plan), Arc::new(Accounts::new(&plan)));
        Self::with(policy, plan, manifest, resource, accounts)
    }

    /// The same plan for what another process left: under its identity, on this process's account.
    pub(crate) fn of_another(
        &self,
        policy: &Policy,
        manifest: &Manifest,
        process: Process,
    ) -> Result<Self, Error> {
        let plan = Plan {
            attributes: attribute::to_contract(process.attributes),
            ..self.plan.clone()
        };
        let resource = Resource::builder_empty()
            .with_attributes(attribute::of_json(process.resource))
            .build();
        Self::with(policy, plan, manifest, resource, Arc::clone(&self.accounts))
    }

    /// Who this process is, redacted.
    pub(crate) fn identity(&self, policy: &Policy) -> &Process {
        self.identity.get_or_init(|| {
            let pair = |(key, value): (&Key, &Value)| (key.to_string(), attribute::to_json(value));
            let mut process = Process {
                resource: self.resource.iter().map(pair).collect(),
                attributes: attribute::to_map(&self.plan.attributes),
            };
            Redaction::new(policy).redact(&mut process);
            process
        })
    }

    /// What earlier processes left is reported.
    pub(crate) fn reported(&self) {
        self.reported.store(true, Ordering::SeqCst);
    }

    fn with(
        policy: &Policy,
        plan: Plan,
        manifest: &Manifest,
        resource: Resource,
        accounts: Arc<Accounts>,
    ) -> Result<Self, Error> {
        let exporters = exporters(
            &plan.exporters,
            policy,
            manifest,
            [&accounts.spans, &accounts.metrics, &accounts.logs].map(|account| Arc::clone(account) as _),
        )
        .map_err(Error::Unresolved)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());

        let mut logger_provider = SdkLoggerProvider::builder().with_resource(resource.clone());
        if let Some(exporter) = exporters.logs {
            let processor = BatchLogProcessor::builder(exporter)
                .with_batch_config(log_batch(&plan.batches.logs))
                .build();
            logger_provider = logger_provider.with_log_processor(FloeLogProcessor {
                inner: processor,
                account: Arc::clone(&accounts.logs),
                baggage: AllowList::new(&plan),
            });
        }
        let logger_provider = logger_provider.build();
        let exceptions = Exceptions::new(&plan, policy, &logger_provider);

        let mut tracer_provider = SdkTracerProvider::builder()
            .with_sampler(FloeSampler::with_clock(policy.clone(), &plan, Arc::clone(&clock)))
            .with_id_generator(Ids::default())
            .with_resource(resource.clone());
        if let Some(exporter) = exporters.spans {
            let processor = BatchSpanProcessor::builder(Described::new(exporter, &plan))
                .with_batch_config(span_batch(&plan.batches.spans))
                .build();
            let processor = FloeSpanProcessor::telling(
                processor,
                &plan,
                clock,
                Arc::clone(&accounts.spans),
                Some(exceptions.clone()),
            );
            tracer_provider = tracer_provider.with_span_processor(processor);
        }
        let tracer_provider = tracer_provider.build();

        let most = plan.cardinality as usize;
        let mut meter_provider = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_view(move |_: &SdkInstrument| Stream::builder().with_cardinality_limit(most).build().ok());
        let exemplars = Exemplars::default();
        if let Some(exporter) = exporters.metrics {
            let reader = PeriodicReader::builder(exporter.with_exemplars(exemplars.clone()))
                .with_interval(milliseconds(plan.interval))
                .build();
            meter_provider = meter_provider.with_reader(reader);
        }
        let meter_provider = meter_provider.build();

        Ok(Self {
            instruments: instruments(&meter_provider, &plan),
            own: Instruments::new(meter_provider.meter_with_scope(scope()), exemplars.clone()),
            exemplars,
            exceptions,
            in_flight: InFlight::new(plan.operations, logger_provider.logger(SCOPE)),
            plan,
            tracer_provider,
            meter_provider,
            logger_provider,
            resource,
            identity: OnceLock::new(),
            accounts,
            reported: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    /// The tracer of what other processes began.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.tracer_provider.tracer_with_scope(scope())
    }

    /// The application's own instruments.
    pub(crate) fn own_instruments(&self) -> &Instruments {
        &self.own
    }

    /// The operations that are open.
    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Whether nothing is delivered any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Tells an exception of a span that nobody records.
    pub(crate) fn log_exception(&self, span: &SpanContext, time: SystemTime, attributes: &[KeyValue]) {
        self.exceptions.log(&scope(), span, time, attributes);
    }

    /// Records a measurement, made in a span, on an instrument of the plan.
    pub(crate) fn record(
        &self,
        instrument: &str,
        value: f64,
        attributes: &[KeyValue],
        span: &SpanContext,
        at: SystemTime,
    ) {
        if !value.is_finite() {
            return;
        }
        self.exemplars.offer(instrument, value, attributes, span, at);
        match self.instruments.get(instrument) {
            Some(Instrument::Counter(counter)) => counter.add(value as u64, attributes),
            Some(Instrument::UpDownCounter(counter)) => counter.add(value, attributes),
            Some(Instrument::Histogram(histogram)) => histogram.record(value, attributes),
            Some(Instrument::Gauge(gauge)) => gauge.record(value, attributes),
            None => {}
        }
    }

    /// The three signals end at the same time, each on a thread of its own, and none is waited for longer than the plan says: the SDK's
    /// own time-outs do not bound an export that hangs.
    fn shutdown(&self) -> Result<(), Undelivered> {
        let timeout = milliseconds(self.plan.shutdown);
        let deadline = Instant::now() + timeout;
        warning::wait(timeout / 10);
        while !self.reported.load(Ordering::SeqCst) && Instant::now() + timeout / 2 < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        self.end(deadline);
        warning::wait(timeout / 10);
        self.accounts.close()
    }

    /// Delivers what was reported for another process, within the plan's time.
    pub(crate) fn deliver(&self) {
        self.end(Instant::now() + milliseconds(self.plan.shutdown));
    }

    fn end(&self, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let (done, ends) = mpsc::channel();
        let (traces, metrics, logs) = (
            self.tracer_provider.clone(),
            self.meter_provider.clone(),
            self.logger_provider.clone(),
        );
        let signals: [Box<dyn FnOnce() -> bool + Send>; 3] = [
            Box::new(move || traces.shutdown_with_timeout(timeout).is_ok()),
            Box::new(move || metrics.shutdown_with_timeout(timeout).is_ok()),
            Box::new(move || logs.shutdown_with_timeout(timeout).is_ok()),
        ];
        let mut waiting = 0;
        for signal in signals {
            let done = done.clone();
            let started = thread::Builder::new()
                .name("floe-telemetry-shutdown".to_owned())
                .spawn(move || {
                    // Nobody listens after the deadline.
                    let _ = done.send(signal());
                });
            waiting += usize::from(started.is_ok());
        }
        for _ in 0..waiting {
            let left = deadline.saturating_duration_since(Instant::now());
            if ends.recv_timeout(left).is_err() {
                break;
            }
        }
    }
}

fn span_batch(batch: &Batch) -> BatchConfig {
    BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue as usize + batch.size as usize)
        .with_max_export_batch_size(batch.size as usize)
        .with_scheduled_delay(milliseconds(batch.delay))
        .build()
}

fn log_batch(batch: &Batch) -> LogBatchConfig {
    LogBatchConfigBuilder::default()
        .with_max_queue_size(batch.queue as usize + batch.size as usize)
        .with_max_export_batch_size(batch.size as usize)
        .with_scheduled_delay(milliseconds(batch.delay))
        .build()
}

fn milliseconds(number: u32) -> Duration {
    Duration::from_millis(u64::from(number))
}

/// The plan's resource, this process, and the policy that decides in it.
pub(crate) fn resource(policy: &Policy, plan: &Plan) -> Resource {
    let decides = policy.component().into_iter().flat_map(|component| {
        [
            KeyValue::new("floe.policy.name", component.info().name.clone()),
            KeyValue::new("floe.policy.version", component.info().version.clone()),
            KeyValue::new(
                "floe.policy.digest",
                component.digest().get(..16).unwrap_or_default().to_owned(),
            ),
        ]
    });
    // Detectors of the environment would add what the policy has weighed already.
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new("process.pid", i64::from(std::process::id())),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ])
        .with_attributes(decides)
        .with_attributes(attribute::to_sdk(&plan.resource))
        .build()
}

fn instruments(provider: &SdkMeterProvider, plan: &Plan) -> HashMap<String, Instrument> {
    let meter = provider.meter_with_scope(scope());
    plan.instruments
        .iter()
        .map(|instrument| {
            let (name, unit, description) = (
                instrument.name.clone(),
                instrument.unit.clone(),
                instrument.description.clone(),
            );
            let built = match instrument.kind {
                InstrumentKind::Counter => Instrument::Counter(
                    meter
                        .u64_counter(name.clone())
                        .with_unit(unit)
                        .with_description(description)
                        .build(),
                ),
                InstrumentKind::UpDownCounter => Instrument::UpDownCounter(
                    meter
                        .f64_up_down_counter(name.clone())
                        .with_unit(unit)
                        .with_description(description)
                        .build(),
                ),
                InstrumentKind::Gauge => Instrument::Gauge(
                    meter
                        .f64_gauge(name.clone())
                        .with_unit(unit)
                        .with_description(description)
                        .build(),
                ),
                InstrumentKind::Histogram => Instrument::Histogram(
                    meter
                        .f64_histogram(name.clone())
                        .with_unit(unit)
                        .with_description(description)
                        .with_boundaries(instrument.boundaries.clone())
                        .build(),
                ),
            };
            (name, built)
        })
        .collect()
}
