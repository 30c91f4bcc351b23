//! What happens to telemetry on its way out, on the export thread: spans say what they left unsaid, and everything is counted.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use floe_telemetry_otlp::{Accepted, Failure, Observer};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::attribute;
use crate::bindings::exports::floe::telemetry::configuration::Plan;
use crate::span_context::Unsaid;

/// What became of one signal's items. What was produced and is neither delivered nor failed waits, or was dropped by a full queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Given to the export queue.
    pub produced: u64,
    /// Accepted by the Collector.
    pub delivered: u64,
    /// In an export that failed for good, or rejected by the Collector.
    pub failed: u64,
}

impl Counts {
    /// Items that no Collector has.
    pub fn undelivered(&self) -> u64 {
        self.produced.saturating_sub(self.delivered)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter {
    produced: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    /// Whether the last export failed, or was rejected in part.
    failing: AtomicBool,
    /// Why an export failed or was rejected in part, the last time one was.
    reason: Mutex<Option<String>>,
}

impl Counter {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            produced: self.produced.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(crate) fn produced(&self) {
        self.produced.fetch_add(1, Ordering::Relaxed);
    }

    /// Why the last export failed, or what of it was rejected.
    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Counter {
    fn exported(&self, items: u64, result: &Result<Accepted, Failure>) {
        let (rejected, reason) = match result {
            Ok(accepted) if accepted.rejected == 0 => (0, None),
            Ok(accepted) => (
                accepted.rejected.min(items),
                Some(format!("the Collector rejected {} of {items}", accepted.rejected)),
            ),
            Err(failure) => (items, Some(failure.to_string())),
        };
        self.delivered.fetch_add(items - rejected, Ordering::Relaxed);
        self.failed.fetch_add(rejected, Ordering::Relaxed);
        self.failing.store(reason.is_some(), Ordering::Relaxed);
        if reason.is_some() {
            *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        }
    }
}

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
