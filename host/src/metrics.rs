//! Instruments of an application's own: checked by the policy, bounded by the plan, with the identity and the exemplars of floe's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use floe_telemetry_otlp::Exemplars;
use opentelemetry::metrics::{self, Meter};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};

use crate::bindings::exports::floe::telemetry::configuration::{Instrument as Definition, InstrumentKind};
use crate::bounds;
use crate::error::render;
use crate::policy::Policy;
use crate::provider::TelemetryProvider;
use crate::warning;

/// Most instruments of an application's own.
const MOST: usize = 4096;

/// Makes instruments. See [`TelemetryProvider::metrics`].
#[derive(Debug, Clone, Copy)]
pub struct MetricRecorder<'a> {
    provider: &'a TelemetryProvider,
}

/// Instruments by name and kind; one that was refused is nothing.
type Known = HashMap<(String, &'static str), Option<Arc<Definition>>>;

/// The instruments that a process asked for.
#[derive(Debug)]
pub(crate) struct Instruments {
    meter: Meter,
    exemplars: Exemplars,
    known: Mutex<Known>,
}

/// An instrument, or nothing: without telemetry, or where the policy refused it.
#[derive(Debug, Clone)]
struct Recording<T>(Option<(T, Arc<Definition>, Exemplars)>);

impl<T> Recording<T> {
    fn record(&self, value: f64, attributes: &[KeyValue], record: impl FnOnce(&T)) {
        let Some((instrument, definition, exemplars)) = self.0.as_ref().filter(|_| value.is_finite()) else {
            return;
        };
        let context = Context::current();
        let span = context.span();
        exemplars.offer(
            &definition.name,
            value,
            attributes,
            span.span_context(),
            SystemTime::now(),
        );
        record(instrument);
    }
}

/// A sum that only grows.
#[derive(Debug, Clone)]
pub struct Counter(Recording<metrics::Counter<f64>>);

impl Counter {
    /// Adds a value, which is not negative.
    pub fn add(&self, value: f64, attributes: &[KeyValue]) {
        if value >= 0.0 {
            self.0
                .record(value, attributes, |counter| counter.add(value, attributes));
        }
    }
}

/// A sum that grows and shrinks.
#[derive(Debug, Clone)]
pub struct UpDownCounter(Recording<metrics::UpDownCounter<f64>>);

impl UpDownCounter {
    /// Adds a value.
    pub fn add(&self, value: f64, attributes: &[KeyValue]) {
        self.0
            .record(value, attributes, |counter| counter.add(value, attributes));
    }
}

/// A distribution of values.
#[derive(Debug, Clone)]
pub struct Histogram(Recording<metrics::Histogram<f64>>);

impl Histogram {
    /// Records a value.
    pub fn record(&self, value: f64, attributes: &[KeyValue]) {
        self.0
            .record(value, attributes, |histogram| histogram.record(value, attributes));
    }
}

/// A value of which the last one holds.
#[derive(Debug, Clone)]
pub struct Gauge(Recording<metrics::Gauge<f64>>);

impl Gauge {
    /// Records a value.
    pub fn record(&self, value: f64, attributes: &[KeyValue]) {
        self.0
            .record(value, attributes, |gauge| gauge.record(value, attributes));
    }
}

impl TelemetryProvider {
    /// Makes instruments of the application's own. Their names and units are held against OpenTelemetry's rules; one that breaks them records nothing,
    /// and a warning says why. An instrument has at most the plan's number of attribute sets; all further ones are one, with the attribute
    /// `otel.metric.overflow`. Without telemetry, instruments do nothing.
    ///
    /// ```no_run
    /// use floe_telemetry::TelemetryProvider;
    /// use opentelemetry::KeyValue;
    ///
    /// let telemetry = TelemetryProvider::init("manifest.yaml");
    /// let rows = telemetry.metrics().counter("sales.rows", "{row}", "Rows that were loaded");
    /// rows.add(42.0, &[KeyValue::new("table", "orders")]);
    /// ```
    pub fn metrics(&self) -> MetricRecorder<'_> {
        MetricRecorder { provider: self }
    }
}

macro_rules! instruments {
    ($($(#[$doc:meta])* $method:ident: $kind:ident, $build:ident, |$builder:ident, $definition:ident| $shaped:expr;)*) => {
        impl MetricRecorder<'_> { $(
            $(#[$doc])*
            pub fn $method(&self, name: &str, unit: &str, description: &str) -> $kind {
                $kind(self.recording(InstrumentKind::$kind, [name, unit, description], |meter, $definition| {
                    let $builder = meter
                        .$build($definition.name.clone())
                        .with_unit($definition.unit.clone())
                        .with_description($definition.description.clone());
                    $shaped.build()
                }))
            }
        )* }
    };
}

instruments! {
    /// An instrument for a sum that only grows.
    counter: Counter, f64_counter, |builder, definition| builder;
    /// An instrument for a sum that grows and shrinks.
    up_down_counter: UpDownCounter, f64_up_down_counter, |builder, definition| builder;
    /// An instrument for a distribution of values. The policy chooses its buckets by the unit.
    histogram: Histogram, f64_histogram, |builder, definition| builder.with_boundaries(definition.boundaries.clone());
    /// An instrument for a value of which the last one holds.
    gauge: Gauge, f64_gauge, |builder, definition| builder;
}

impl MetricRecorder<'_> {
    fn recording<T>(
        &self,
        kind: InstrumentKind,
        [name, unit, description]: [&str; 3],
        build: impl FnOnce(&Meter, &Definition) -> T,
    ) -> Recording<T> {
        let Some(instruments) = self.provider.sdk().map(|sdk| sdk.own_instruments()) else {
            return Recording(None);
        };
        let asked = Definition {
            name: name.to_owned(),
            kind,
            unit: unit.to_owned(),
            description: description.to_owned(),
            boundaries: Vec::new(),
        };
        let defined = instruments.defined(asked, self.provider.policy());
        Recording(defined.map(|definition| {
            let instrument = build(&instruments.meter, &definition);
            (instrument, definition, instruments.exemplars.clone())
        }))
    }
}

impl Instruments {
    pub(crate) fn new(meter: Meter, exemplars: Exemplars) -> Self {
        Self {
            meter,
            exemplars,
            known: Mutex::default(),
        }
    }

    /// What the policy makes of an instrument; it is asked once a name.
    fn defined(&self, asked: Definition, policy: &Policy) -> Option<Arc<Definition>> {
        let key = (asked.name.to_ascii_lowercase(), word(asked.kind));
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&key) {
            return found.clone();
        }
        let (defined, refusal) = match policy.instrument(&asked) {
            Ok(Ok(mut defined)) => {
                bounds::instrument(&mut defined);
                (Some(Arc::new(defined)), None)
            }
            Ok(Err(diagnostics)) => (None, Some(render("an instrument", &diagnostics))),
            Err(problem) => {
                warning::once(&problem, "instruments are made as they were asked for");
                (Some(Arc::new(asked)), None)
            }
        };
        let said = {
            let mut known = known();
            if known.len() >= MOST {
                return defined;
            }
            known.insert(key, defined.clone()).is_some()
        };
        if let Some(refusal) = refusal.filter(|_| !said) {
            warning::apart(policy.without_secrets(refusal));
        }
        defined
    }
}

fn word(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Counter => "counter",
        InstrumentKind::UpDownCounter => "up-down-counter",
        InstrumentKind::Histogram => "histogram",
        InstrumentKind::Gauge => "gauge",
    }
}
