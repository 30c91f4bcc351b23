//! Telemetry for data platforms: one WebAssembly policy decides, OpenTelemetry delivers.
//!
//! ```no_run
//! use floe_telemetry::{OperationKind, TelemetryProvider};
//!
//! let telemetry = TelemetryProvider::init("manifest.yaml");
//! let rows = telemetry.operation(OperationKind::Custom, "load orders").run(|_| "42".parse::<u32>());
//! # drop(rows);
//! // Dropping `telemetry` delivers what is left, within a bounded time.
//! ```
//!
//! An operation that takes long says so in log records, and one whose process dies is reported by the next process: from a record in
//! `$FLOE_STATE_DIR/inflight`, by default below `$XDG_STATE_HOME/floe-telemetry`.
//!
//! Measurements of operations have exemplars. Those of instruments of your own have none: OpenTelemetry's SDK for Rust (0.33) collects none.
//!
//! The policy component is asked once a process, once an operation and once a process boundary, never once a span.

mod account;
mod admission;
mod attribute;
#[cfg(feature = "backends")]
mod backends;
mod baggage;
pub mod bindings;
mod bounds;
mod cache;
pub mod carrier;
mod clock;
mod compile;
mod component;
mod console;
mod correlation;
mod destination;
mod engine;
mod error;
mod exception;
mod export;
mod failed;
mod file;
mod generation;
mod ids;
mod inflight;
mod instance;
mod intents;
mod layer;
mod levels;
mod lists;
mod manifest;
mod metrics;
mod operation;
mod pace;
mod platform;
mod policy;
mod probe;
mod processor;
mod propagator;
mod provider;
mod record;
mod redaction;
mod reference;
mod sampler;
mod scope;
mod span_context;
mod tls;
mod traceparent;
mod warning;

pub use account::{Counts, DropReason, Dropped, SignalCounts};
#[cfg(feature = "backends")]
pub use backends::{Backends, BackendsComponent};
pub use bindings::exports::floe::telemetry::collector::Deployment;
pub use bindings::exports::floe::telemetry::configuration::{
    Batch, Batches, Compression, Explained, Exporter, Exporters, Header, Member, Origin, Plan, Protocol,
    Reference, Tls, Variable,
};
pub use bindings::exports::floe::telemetry::describe::Info;
pub use bindings::exports::floe::telemetry::operations::{Beginning, Ending, OperationKind, Outcome};
pub use bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
pub use bindings::exports::floe::telemetry::sampling::{Decision, Pacing, ParentMode, SamplingIntent};
pub use bindings::exports::floe::telemetry::types::{
    Diagnostic, Exception, KeyValue, Severity, Signal, SpanKind,
};
pub use clock::{Clock, SystemClock};
pub use component::Component;
pub use correlation::SpanContext;
pub use destination::destination;
pub use error::{Error, Problem, Undelivered, render};
pub use exception::{Boxed, Concrete, Local, OperationError, Text};
pub use manifest::Manifest;
pub use metrics::{Counter, Gauge, Histogram, MetricRecorder, UpDownCounter};
pub use operation::{Operation, OperationBuilder};
pub use policy::Policy;
pub use probe::{Probes, probe};
pub use processor::FloeSpanProcessor;
pub use propagator::FloePropagator;
pub use provider::TelemetryProvider;
pub use reference::resolve_header;
pub use sampler::FloeSampler;
pub use scope::{ScopedTracer, ScopedTracerProvider};

/// The variable that names the manifest, for the processes that a traced one starts.
pub const MANIFEST_VARIABLE: &str = "FLOE_TELEMETRY_MANIFEST";
