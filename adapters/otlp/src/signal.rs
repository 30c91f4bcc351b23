//! OpenTelemetry's three signals as OTLP has them.

use std::fmt::Debug;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

use crate::failure::Accepted;
use crate::texts::Texts;

/// One of OpenTelemetry's signals.
pub trait Signal: Debug + Default + Send + Sync + 'static {
    /// Path of the gRPC method.
    const METHOD: &'static str;
    /// Request.
    type Request: Message + Texts + Clone + 'static;
    /// Answer.
    type Response: Message + Default + 'static;

    /// How many spans, data points or log records a request holds.
    fn items(request: &Self::Request) -> u64;

    /// What an answer says.
    fn accepted(response: Self::Response) -> Accepted;
}

/// Spans.
#[derive(Debug, Default)]
pub struct Traces;

/// Metrics.
#[derive(Debug, Default)]
pub struct Metrics;

/// Log records.
#[derive(Debug, Default)]
pub struct Logs;

impl Signal for Traces {
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    type Request = ExportTraceServiceRequest;
    type Response = ExportTraceServiceResponse;

    fn items(request: &Self::Request) -> u64 {
        let scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
        scopes.map(|of| of.spans.len() as u64).sum()
    }

    fn accepted(response: Self::Response) -> Accepted {
        let partial = response.partial_success.unwrap_or_default();
        accepted(partial.rejected_spans, partial.error_message)
    }
}

impl Signal for Metrics {
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    type Request = ExportMetricsServiceRequest;
    type Response = ExportMetricsServiceResponse;

    fn items(request: &Self::Request) -> u64 {
        let scopes = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
        let metrics = scopes.flat_map(|of| &of.metrics);
        metrics
            .map(|metric| match &metric.data {
                Some(Data::Gauge(gauge)) => gauge.data_points.len(),
                Some(Data::Sum(sum)) => sum.data_points.len(),
                Some(Data::Histogram(histogram)) => histogram.data_points.len(),
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
                Some(Data::Summary(summary)) => summary.data_points.len(),
                None => 0,
            } as u64)
            .sum()
    }

    fn accepted(response: Self::Response) -> Accepted {
        let partial = response.partial_success.unwrap_or_default();
        accepted(partial.rejected_data_points, partial.error_message)
    }
}

impl Signal for Logs {
    const METHOD: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    type Request = ExportLogsServiceRequest;
    type Response = ExportLogsServiceResponse;

    fn items(request: &Self::Request) -> u64 {
        let scopes = request.resource_logs.iter().flat_map(|of| &of.scope_logs);
        scopes.map(|of| of.log_records.len() as u64).sum()
    }

    fn accepted(response: Self::Response) -> Accepted {
        let partial = response.partial_success.unwrap_or_default();
        accepted(partial.rejected_log_records, partial.error_message)
    }
}

fn accepted(rejected: i64, message: String) -> Accepted {
    Accepted {
        rejected: rejected.try_into().unwrap_or_default(),
        message,
    }
}
