//! One export request, and who takes it.

use std::io;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::model::{span_id, trace_id};

/// One export request of one signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Batch {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Metric data points.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

impl Batch {
    /// What makes it malformed, if anything does: ids of the wrong length, and spans without ids.
    fn fault(&self) -> Option<String> {
        match self {
            Self::Traces(request) => {
                let scopes = request
                    .resource_spans
                    .iter()
                    .flat_map(|resource| &resource.scope_spans);
                let mut spans = scopes.flat_map(|scope| &scope.spans);
                spans.find_map(|span| {
                    let fault = trace_fault(&span.trace_id).or_else(|| span_fault(&span.span_id))?;
                    Some(format!("span {:?}: {fault}", span.name))
                })
            }
            Self::Logs(request) => {
                let scopes = request
                    .resource_logs
                    .iter()
                    .flat_map(|resource| &resource.scope_logs);
                // A log record need not belong to a trace or a span.
                let mut traced = scopes
                    .flat_map(|scope| &scope.log_records)
                    .filter(|record| !blank(&record.trace_id));
                traced.find_map(|record| {
                    let span = Some(&record.span_id).filter(|id| !blank(id));
                    let fault = trace_fault(&record.trace_id).or_else(|| span_fault(span?))?;
                    Some(format!("log record: {fault}"))
                })
            }
            Self::Metrics(_) => None,
        }
    }
}

fn blank(id: &[u8]) -> bool {
    id.iter().all(|byte| *byte == 0)
}

fn trace_fault(id: &[u8]) -> Option<String> {
    let fault = || format!("a trace id is 16 bytes, not all zero; this one has {}", id.len());
    trace_id(id).is_none().then(fault)
}

fn span_fault(id: &[u8]) -> Option<String> {
    let fault = || format!("a span id is 8 bytes, not all zero; this one has {}", id.len());
    (span_id(id).is_none() || blank(id)).then(fault)
}

/// Takes what a [`Receiver`](crate::Receiver) accepts.
pub trait Sink: Send + Sync {
    /// Takes one request. An error ends the receiver: what it was asked to do cannot be done.
    fn accept(&self, batch: &Batch) -> io::Result<()>;
}

/// Every one of them takes every request.
impl Sink for Vec<Arc<dyn Sink>> {
    fn accept(&self, batch: &Batch) -> io::Result<()> {
        self.iter().try_for_each(|sink| sink.accept(batch))
    }
}

/// An export request's message and the answer to it.
pub(crate) trait Request: Message + Default + DeserializeOwned + Send + 'static {
    type Response: Message + Default;

    fn into_batch(self) -> Batch;
}

impl Request for ExportTraceServiceRequest {
    type Response = ExportTraceServiceResponse;

    fn into_batch(self) -> Batch {
        Batch::Traces(self)
    }
}

impl Request for ExportMetricsServiceRequest {
    type Response = ExportMetricsServiceResponse;

    fn into_batch(self) -> Batch {
        Batch::Metrics(self)
    }
}

impl Request for ExportLogsServiceRequest {
    type Response = ExportLogsServiceResponse;

    fn into_batch(self) -> Batch {
        Batch::Logs(self)
    }
}

/// Why a request was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is wrong, and will be when it is sent again.
    Malformed(String),
    /// The sink failed, and the receiver is about to end.
    Unavailable,
}

/// The door between the servers and the sink.
#[derive(Clone)]
pub(crate) struct Intake {
    sink: Arc<dyn Sink>,
    failure: mpsc::Sender<io::Error>,
}

impl Intake {
    /// An intake, and where the sink's first failure is told.
    pub(crate) fn new(sink: Arc<dyn Sink>) -> (Self, mpsc::Receiver<io::Error>) {
        let (failure, failed) = mpsc::channel(1);
        (Self { sink, failure }, failed)
    }

    pub(crate) fn take<R: Request>(&self, request: R) -> Result<R::Response, Refusal> {
        let batch = request.into_batch();
        if let Some(fault) = batch.fault() {
            return Err(Refusal::Malformed(fault));
        }
        self.sink
            .accept(&batch)
            .map(|()| R::Response::default())
            .map_err(|error| {
                // The first failure is enough to end the receiver; a full channel already holds it.
                let _ = self.failure.try_send(error);
                Refusal::Unavailable
            })
    }
}
