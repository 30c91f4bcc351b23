//! What happens to telemetry on its way out, on the export thread: spans say what they left unsaid.

use std::fmt::Debug;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::attribute;
use crate::bindings::exports::floe::telemetry::configuration::Plan;
use crate::span_context::Unsaid;

/// An exporter of spans that says what they left unsaid: the policy's attributes of every span, which would cost every span as it
/// starts, and the public side of its context.
#[derive(Debug)]
pub(crate) struct Described<T> {
    inner: T,
    attributes: Vec<KeyValue>,
    unsaid: Unsaid,
}

impl<T> Described<T> {
    pub(crate) fn new(inner: T, plan: &Plan) -> Self {
        Self {
            inner,
            attributes: attribute::to_static(&plan.attributes),
            unsaid: Unsaid::new(&plan.sampler.tracestate),
        }
    }

    fn describe(&self, span: &mut SpanData) {
        span.span_context = self.unsaid.public(&span.span_context);
        for link in &mut span.links.links {
            link.span_context = self.unsaid.public(&link.span_context);
        }
        let own = span.attributes.len();
        for attribute in &self.attributes {
            // The span's own wins.
            if span
                .attributes
                .iter()
                .take(own)
                .all(|known| known.key != attribute.key)
            {
                span.attributes.push(attribute.clone());
            }
        }
    }
}

impl<T: SpanExporter> SpanExporter for Described<T> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            self.describe(span);
        }
        self.inner.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
