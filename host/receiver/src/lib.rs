//! A development OTLP receiver: takes traces, metrics and logs over gRPC and HTTP and shows them to a person.
//!
//! It is the test double behind `floe-telemetry receive` and `floe-telemetry demo`; [`BANNER`] says what it is not.
//!
//! [`Receiver`] gives every export request that it accepts to a [`Sink`]: a [`Store`], which keeps a bounded
//! amount in memory, or [`JsonLines`], which writes files as the Collector's file exporter does. [`render`] and
//! its parts turn what a store holds into text, and [`LivePrinter`] prints it while it arrives.

mod batch;
mod error;
mod grpc;
mod http;
mod json_lines;
mod live;
mod logs;
mod metrics;
mod metrics_table;
mod model;
mod otlp_json;
mod report;
mod server;
mod store;
mod text;
mod tree;

pub use batch::{Batch, Sink};
pub use error::{Protocol, ReceiverError};
pub use json_lines::JsonLines;
pub use live::{LiveOptions, LivePrinter};
pub use logs::render_logs;
pub use metrics::{Kind, MetricRow, Metrics, Number, Reading};
pub use metrics_table::render_metrics;
pub use model::{LogEntry, Origin, Process, SpanRecord, Trace};
pub use report::render;
pub use server::{Options, Receiver};
pub use store::{Dropped, Limits, Snapshot, Store};
pub use text::Style;
pub use tree::render_trace;

/// What a command that receives says once, before anything else.
pub const BANNER: &str =
    "floe-telemetry receive is a development tool, not a Collector: it forwards nothing.";
