//! OTLP/gRPC.

use axum::Router;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
    logs_service_server::{LogsService, LogsServiceServer},
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    metrics_service_server::{MetricsService, MetricsServiceServer},
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::batch::{Intake, Refusal};
use crate::server::MAX_REQUEST;

pub(crate) fn router(intake: &Intake) -> Router {
    let service = Service(intake.clone());
    let traces = TraceServiceServer::new(service.clone());
    let metrics = MetricsServiceServer::new(service.clone());
    let logs = LogsServiceServer::new(service);
    // tonic holds a message to its limit before and after decompression.
    Routes::new(
        traces
            .accept_compressed(Gzip)
            .max_decoding_message_size(MAX_REQUEST),
    )
    .add_service(
        metrics
            .accept_compressed(Gzip)
            .max_decoding_message_size(MAX_REQUEST),
    )
    .add_service(
        logs.accept_compressed(Gzip)
            .max_decoding_message_size(MAX_REQUEST),
    )
    .prepare()
    .into_axum_router()
}

#[derive(Clone)]
struct Service(Intake);

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(fault) => Status::invalid_argument(fault),
            Refusal::Unavailable => Status::unavailable("the receiver is stopping"),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(self.0.take(request.into_inner())?))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(self.0.take(request.into_inner())?))
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        Ok(Response::new(self.0.take(request.into_inner())?))
    }
}
