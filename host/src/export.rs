//! What happens to telemetry on its way out, on the export thread: text is redacted and everything is counted.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord};
use opentelemetry::trace::Status;
use opentelemetry::{Context, InstrumentationScope, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::policy::Policy;

/// What became of one signal's items. What was produced and is neither delivered nor failed waits, or was dropped by a full queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Given to the export queue.
    pub produced: u64,
    /// Accepted by the Collector.
    pub delivered: u64,
    /// In an export that failed for good.
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
    /// Whether the last export failed.
    failing: AtomicBool,
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

    fn exported(&self, items: usize, result: OTelSdkResult) -> OTelSdkResult {
        let counter = if result.is_ok() {
            &self.delivered
        } else {
            &self.failed
        };
        counter.fetch_add(items as u64, Ordering::Relaxed);
        self.failing.store(result.is_err(), Ordering::Relaxed);
        result
    }
}

/// Counts what enters a processor, or what leaves an exporter; exporters of spans and log records redact as well.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    pub(crate) inner: T,
    pub(crate) counter: Arc<Counter>,
}

/// An exporter that redacts before it counts.
#[derive(Debug)]
pub(crate) struct Redacted<T> {
    pub(crate) counted: Counted<T>,
    pub(crate) policy: Policy,
}

impl<T: SpanProcessor> SpanProcessor for Counted<T> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.counter.produced.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<T: LogProcessor> LogProcessor for Counted<T> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.counter.produced.fetch_add(1, Ordering::Relaxed);
        self.inner.emit(record, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<T: SpanExporter> SpanExporter for Redacted<T> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        let items = batch.len();
        let redacted = redact_all(&self.policy, |texts| spans(&mut batch, texts));
        let result = match redacted {
            Ok(()) => self.counted.inner.export(batch).await,
            Err(error) => Err(error),
        };
        self.counted.counter.exported(items, result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.counted.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.counted.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.counted.inner.set_resource(resource);
    }
}

impl<T: LogExporter> LogExporter for Redacted<T> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let mut records: Vec<(SdkLogRecord, &InstrumentationScope)> = batch
            .iter()
            .map(|(record, scope)| (record.clone(), scope))
            .collect();
        let redacted = redact_all(&self.policy, |texts| logs(&mut records, texts));
        let result = match redacted {
            Ok(()) => {
                let borrowed: Vec<_> = records.iter().map(|(record, scope)| (record, *scope)).collect();
                self.counted.inner.export(LogBatch::new(&borrowed)).await
            }
            Err(error) => Err(error),
        };
        self.counted.counter.exported(records.len(), result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.counted.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.counted.inner.set_resource(resource);
    }
}

impl<T: PushMetricExporter> PushMetricExporter for Counted<T> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.inner.export(metrics).await;
        self.counter.exported(1, result)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

/// A text that may hold a secret: read in a first visit, replaced in a second one.
enum Visit<'a> {
    Read(&'a mut Vec<String>),
    Replace(&'a mut std::vec::IntoIter<String>),
}

impl Visit<'_> {
    fn text(&mut self, text: &str, replace: impl FnOnce(String)) {
        match self {
            Self::Read(texts) => texts.push(text.to_owned()),
            Self::Replace(texts) => {
                if let Some(redacted) = texts.next().filter(|redacted| redacted != text) {
                    replace(redacted);
                }
            }
        }
    }
}

/// Redacts all texts of a batch by one call. Where the policy fails, nothing goes out: a secret that left cannot be called back.
fn redact_all(policy: &Policy, mut visit: impl FnMut(&mut Visit<'_>)) -> OTelSdkResult {
    let mut texts = Vec::new();
    visit(&mut Visit::Read(&mut texts));
    if texts.is_empty() {
        return Ok(());
    }
    let redacted = policy
        .redact(&texts)
        .map_err(|problem| OTelSdkError::InternalFailure(problem.message))?;
    visit(&mut Visit::Replace(&mut redacted.into_iter()));
    Ok(())
}

fn spans(batch: &mut [SpanData], texts: &mut Visit<'_>) {
    for span in batch {
        if let Status::Error { description } = &mut span.status {
            texts.text(&description.clone(), |redacted| *description = redacted.into());
        }
        for event in &mut span.events.events {
            for pair in &mut event.attributes {
                if let Value::String(text) = &pair.value {
                    let text = text.as_str().to_owned();
                    texts.text(&text, |redacted| {
                        pair.value = Value::String(StringValue::from(redacted))
                    });
                }
            }
        }
    }
}

fn logs(records: &mut [(SdkLogRecord, &InstrumentationScope)], texts: &mut Visit<'_>) {
    for (record, _) in records {
        if let Some(AnyValue::String(body)) = record.body().cloned() {
            texts.text(body.as_str(), |redacted| {
                record.set_body(AnyValue::from(redacted))
            });
        }
        let attributes: Vec<_> = record.attributes_iter().cloned().collect();
        for (key, value) in attributes {
            if let AnyValue::String(text) = value {
                texts.text(text.as_str(), |redacted| record.add_attribute(key, redacted));
            }
        }
    }
}
