//! A development OTLP receiver: takes traces, metrics and logs over gRPC and HTTP and shows them to a person.
//!
//! It is the test double behind `floe-telemetry receive` and `floe-telemetry demo`; [`BANNER`] says what it is not.
//!
//! [`Receiver`] gives every export request that it accepts to a [`Sink`]: a [`Store`], which keeps a bounded
//! amount in memory, or [`JsonLines`], which writes files as the Collector's file exporter does. [`render`] and
//! its parts turn what a store holds into text, and [`LivePrinter`] prints it while it arrives.
//!
//! Without the feature `server` there is the text alone: [`Console`] prints with it what one process sends.

#[cfg(feature = "server")]
mod batch;
mod console;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod grpc;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
mod json_lines;
#[cfg(feature = "server")]
mod live;
mod logs;
mod metrics;
mod metrics_table;
mod model;
#[cfg(feature = "server")]
mod otlp_json;
#[cfg(feature = "server")]
mod report;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod store;
mod text;
mod tree;

#[cfg(feature = "server")]
pub use batch::{Batch, Sink};
pub use console::Console;
#[cfg(feature = "server")]
pub use error::{Protocol, ReceiverError};
#[cfg(feature = "server")]
pub use json_lines::JsonLines;
#[cfg(feature = "server")]
pub use live::{LiveOptions, LivePrinter};
pub use logs::render_logs;
pub use metrics::{Kind, MetricRow, Metrics, Number, Reading};
pub use metrics_table::render_metrics;
pub use model::{LogEntry, Origin, Process, SpanRecord, Trace};
#[cfg(feature = "server")]
pub use report::render;
#[cfg(feature = "server")]
pub use server::{Options, Receiver};
#[cfg(feature = "server")]
pub use store::{Dropped, Limits, Snapshot, Store};
pub use text::{Style, escape};
pub use tree::render_trace;

/// What a command that receives says once, before anything else.
pub const BANNER: &str =
    "floe-telemetry receive is a development tool, not a Collector: it forwards nothing.";
