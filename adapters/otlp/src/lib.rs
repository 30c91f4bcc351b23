//! OTLP export to a Collector, for all three signals, over gRPC or HTTP with protobuf.
//!
//! The messages, their encoding and the transports are OpenTelemetry's, tonic's, hyper's and reqwest's. The exporters around them are this crate's,
//! since those of `opentelemetry-otlp` complete what they are given from the variables `OTEL_EXPORTER_OTLP_*`, and keep to themselves what the
//! Collector answered: here nothing is read from the environment, nothing leaves that a [`Redactor`] has not seen, and an [`Observer`] learns what
//! became of every export.
//!
//! The exporters run on a Tokio runtime of their own: a caller may have no runtime, or one with a single worker that is blocked in a flush, and
//! export goes on all the same. The SDK's batch processors call them on threads of their own, never on the caller's.

mod client;
mod collector;
mod exemplars;
mod exporter;
mod failure;
mod reach;
mod runtime;
mod signal;
mod split;
mod texts;
mod tls;

pub use collector::{Collector, Headers, TlsSource, Transport};
pub use exemplars::Exemplars;
pub use exporter::{Exporter, Observer};
pub use failure::{Accepted, BuildError, Failure};
pub use reach::{Reach, Reached, Secured, Speech, Unreached};
pub use runtime::Runtime;
pub use signal::{Logs, Metrics, Signal, Traces};
pub use texts::{Redactor, Texts, Visitor};
pub use tls::{Tls, TlsError};
