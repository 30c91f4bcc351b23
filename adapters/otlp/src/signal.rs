//! OpenTelemetry's three signals as OTLP has them.

use std::fmt::Debug;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;

use crate::failure::Accepted;
use crate::split;
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

    /// Leaves so many items in a request and answers one with the rest.
    fn split_off(request: &mut Self::Request, at: u64) -> Self::Request;

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
        split::items(&request.resource_spans)
    }

    fn split_off(request: &mut Self::Request, at: u64) -> Self::Request {
        ExportTraceServiceRequest {
            resource_spans: split::split_off(&mut request.resource_spans, at),
        }
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
        split::items(&request.resource_metrics)
    }

    fn split_off(request: &mut Self::Request, at: u64) -> Self::Request {
        ExportMetricsServiceRequest {
            resource_metrics: split::split_off(&mut request.resource_metrics, at),
        }
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
        split::items(&request.resource_logs)
    }

    fn split_off(request: &mut Self::Request, at: u64) -> Self::Request {
        ExportLogsServiceRequest {
            resource_logs: split::split_off(&mut request.resource_logs, at),
        }
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
