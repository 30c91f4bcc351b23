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
//! The policy component is asked once a process, once an operation and once a process boundary, never once a span.

mod attribute;
pub mod bindings;
mod cache;
mod component;
mod engine;
pub mod environment;
mod error;
mod export;
mod layer;
mod manifest;
mod operation;
mod policy;
mod propagator;
mod provider;
mod sampler;

pub use bindings::exports::floe::telemetry::configuration::{Plan, Protocol, Variable};
pub use bindings::exports::floe::telemetry::describe::Info;
pub use bindings::exports::floe::telemetry::operations::{Beginning, Ending, OperationKind, Outcome};
pub use bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
pub use bindings::exports::floe::telemetry::sampling::{ParentMode, SamplingIntent};
pub use bindings::exports::floe::telemetry::types::{Diagnostic, Exception, KeyValue, Severity, SpanKind};
pub use component::Component;
pub use error::{Error, Problem, Undelivered, render};
pub use export::Counts;
pub use manifest::read as read_manifest;
pub use operation::{Operation, OperationBuilder};
pub use policy::Policy;
pub use propagator::FloePropagator;
pub use provider::TelemetryProvider;
pub use sampler::FloeSampler;

/// The variable that names the manifest, for the processes that a traced one starts.
pub const MANIFEST_VARIABLE: &str = "FLOE_TELEMETRY_MANIFEST";
