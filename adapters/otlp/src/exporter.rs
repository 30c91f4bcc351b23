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

use crate::client::Client;
use crate::collector::Collector;
use crate::exemplars::Exemplars;
use crate::failure::{Accepted, BuildError, Failure};
use crate::runtime::Runtime;
use crate::signal::{Logs, Metrics, Signal, Traces};
use crate::texts::Redactor;

/// Who learns what became of exports.
pub trait Observer: Debug + Send + Sync {
    /// An export of so many spans, data points or log records ended, after all its retries.
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
        self.redactor.redact(&mut request);
        let result = self.runtime.run(self.client.send::<S>(&request)).await;
        self.observer.exported(items, &result);
        match result {
            Ok(_) => Ok(()),
            Err(Failure::Timeout(timeout)) => Err(OTelSdkError::Timeout(timeout)),
            Err(failure) => Err(OTelSdkError::InternalFailure(failure.to_string())),
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
