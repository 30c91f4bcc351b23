//! The exporters, as the SDK calls them.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message as _;

use crate::client::Client;
use crate::collector::Collector;
use crate::exemplars::Exemplars;
use crate::failure::{Accepted, BuildError, Failure};
use crate::runtime::Runtime;
use crate::signal::{Logs, Metrics, Signal, Traces};
use crate::texts::{Redactor, Texts, Visitor};

/// Who learns what became of exports.
pub trait Observer: Debug + Send + Sync {
    /// An export of so many spans, data points or log records begins.
    fn exporting(&self, _items: u64) {}

    /// So many items of an export have their result, after all retries. What is too large for one request has several.
    fn exported(&self, items: u64, result: &Result<Accepted, Failure>);
}

/// The exporter of one signal. Clones are not made: the SDK owns it.
#[derive(Debug)]
pub struct Exporter<S> {
    client: Client,
    runtime: Runtime,
    observer: Arc<dyn Observer>,
    redactor: Arc<dyn Redactor>,
    resource: ResourceAttributesWithSchema,
    exemplars: Exemplars,
    signal: PhantomData<S>,
}

impl<S: Signal> Exporter<S> {
    /// An exporter to a Collector. Nothing is connected yet: a Collector that is down is no error here.
    pub fn new(
        collector: &Collector,
        runtime: &Runtime,
        observer: Arc<dyn Observer>,
        redactor: Arc<dyn Redactor>,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            client: Client::new(collector)?,
            runtime: runtime.clone(),
            observer,
            redactor,
            resource: ResourceAttributesWithSchema::default(),
            exemplars: Exemplars::default(),
            signal: PhantomData,
        })
    }

    async fn send(&self, mut request: S::Request) -> OTelSdkResult {
        let items = S::items(&request);
        if items == 0 {
            return Ok(());
        }
        self.observer.exporting(items);
        self.redactor.redact(&mut request);
        self.runtime.run(self.send_parts(request)).await
    }

    /// Sends a request, in parts if it is too large for one. What is too large by itself costs nothing else.
    async fn send_parts(&self, request: S::Request) -> OTelSdkResult {
        let deadline = self.client.deadline();
        let mut parts = vec![request];
        let mut last = Ok(());
        while let Some(mut part) = parts.pop() {
            let items = S::items(&part);
            let mut result = if items > 1 && self.client.is_too_large::<S>(&part) {
                Err(Failure::TooLarge(part.encoded_len()))
            } else {
                self.client.send::<S>(&part, deadline).await
            };
            if items > 1 && matches!(result, Err(Failure::TooLarge(_))) {
                let rest = S::split_off(&mut part, items / 2);
                parts.extend([rest, part]);
                continue;
            }
            self.redactor.redact(&mut Said(&mut result));
            self.observer.exported(items, &result);
            if let Err(failure) = result {
                last = Err(match failure {
                    Failure::Timeout(timeout) => OTelSdkError::Timeout(timeout),
                    failure => OTelSdkError::InternalFailure(failure.to_string()),
                });
            }
        }
        last
    }
}

/// What a server said: it may quote what it was sent.
struct Said<'a>(&'a mut Result<Accepted, Failure>);

impl Texts for Said<'_> {
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        match &mut self.0 {
            Ok(Accepted { message, .. })
            | Err(
                Failure::Http { message, .. } | Failure::Grpc { message, .. } | Failure::Foreign(message),
            ) => {
                visitor.text(message);
            }
            Err(Failure::Connection { .. } | Failure::Timeout(_) | Failure::TooLarge(_)) => {}
        }
    }
}

impl Exporter<Metrics> {
    /// Puts these exemplars on the points that they belong to.
    #[must_use]
    pub fn with_exemplars(mut self, exemplars: Exemplars) -> Self {
        self.exemplars = exemplars;
        self
    }
}

impl SpanExporter for Exporter<Traces> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        self.send(ExportTraceServiceRequest { resource_spans }).await
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl LogExporter for Exporter<Logs> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let resource_logs = group_logs_by_resource_and_scope(&batch, &self.resource);
        self.send(ExportLogsServiceRequest { resource_logs }).await
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl PushMetricExporter for Exporter<Metrics> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut request = metrics.into();
        self.exemplars.fill(&mut request);
        self.send(request).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
