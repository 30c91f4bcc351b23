//! OTLP export to a Collector, for all three signals, over gRPC or HTTP with protobuf.
//!
//! The exporters run on a Tokio runtime of their own: a caller may have no runtime, or one with a single worker that is blocked in a flush, and
//! export goes on all the same. The SDK's batch processors call them on threads of their own, never on the caller's.

mod runtime;

use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig, WithTonicConfig};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use tonic::transport::ClientTlsConfig;

pub use runtime::{OnRuntime, Runtime};

/// OTLP transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf payloads.
    HttpProtobuf,
}

/// Where telemetry goes.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Base URL, for example `http://localhost:4318`.
    pub endpoint: String,
    /// Transport.
    pub transport: Transport,
    /// Longest time for one export, retries included.
    pub timeout: Duration,
}

/// The exporters of the three signals.
#[derive(Debug)]
pub struct Exporters {
    /// Spans.
    pub spans: OnRuntime<SpanExporter>,
    /// Metrics.
    pub metrics: OnRuntime<MetricExporter>,
    /// Log records.
    pub logs: OnRuntime<LogExporter>,
}

/// Why there are no exporters.
#[derive(Debug, thiserror::Error)]
pub enum ExportersError {
    /// The runtime's threads could not be started.
    #[error("the export threads cannot be started: {0}")]
    Runtime(#[from] std::io::Error),
    /// An exporter refused its settings.
    #[error("the OTLP exporter cannot be built: {0}")]
    Build(#[from] ExporterBuildError),
}

impl Collector {
    /// Builds the exporters. Nothing is connected yet: a Collector that is down is no error here.
    pub fn exporters(&self) -> Result<Exporters, ExportersError> {
        let runtime = Runtime::start()?;
        // Clients register with the runtime that is entered while they are built.
        let _entered = runtime.enter();
        let (spans, metrics, logs) = match self.transport {
            Transport::Grpc => (
                self.grpc(SpanExporter::builder().with_tonic()).build()?,
                self.grpc(MetricExporter::builder().with_tonic()).build()?,
                self.grpc(LogExporter::builder().with_tonic()).build()?,
            ),
            Transport::HttpProtobuf => (
                self.http(SpanExporter::builder().with_http(), "traces").build()?,
                self.http(MetricExporter::builder().with_http(), "metrics")
                    .build()?,
                self.http(LogExporter::builder().with_http(), "logs").build()?,
            ),
        };
        Ok(Exporters {
            spans: OnRuntime::new(spans, &runtime),
            metrics: OnRuntime::new(metrics, &runtime),
            logs: OnRuntime::new(logs, &runtime),
        })
    }

    fn grpc<B: WithExportConfig + WithTonicConfig>(&self, builder: B) -> B {
        let builder = builder.with_endpoint(&self.endpoint).with_timeout(self.timeout);
        match self.endpoint.starts_with("https://") {
            true => builder.with_tls_config(ClientTlsConfig::new().with_native_roots()),
            false => builder,
        }
    }

    /// A base URL gets the signal's path (OTLP specification, "OTLP/HTTP Request").
    fn http<B: WithExportConfig>(&self, builder: B, signal: &str) -> B {
        builder
            .with_endpoint(format!("{}/v1/{signal}", self.endpoint.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(self.timeout)
    }
}
