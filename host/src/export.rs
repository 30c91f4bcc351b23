//! What happens to telemetry on its way out, on the export thread: text is redacted and everything is counted.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use floe_telemetry_otlp::{Accepted, Failure, Observer};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::trace::Status;
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::attribute;
use crate::bindings::exports::floe::telemetry::configuration::Plan;
use crate::policy::Policy;
use crate::span_context::{KNOWN, Unsaid};

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

/// An exporter that redacts.
#[derive(Debug)]
pub(crate) struct Redacted<T> {
    pub(crate) inner: T,
    pub(crate) policy: Policy,
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

impl<T: SpanExporter> SpanExporter for Redacted<T> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        let mut texts = Vec::new();
        visit(&mut batch, &mut |text| {
            texts.push(text.to_owned());
            None
        });
        let mut redacted = redact(&self.policy, texts).into_iter();
        visit(&mut batch, &mut |text| {
            redacted.next().filter(|redacted| redacted != text)
        });
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

impl<T: LogExporter> LogExporter for Redacted<T> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let mut texts = Vec::new();
        for (record, _) in batch.iter() {
            copied(record, &mut |text| {
                texts.push(text.to_owned());
                text.to_owned()
            });
        }
        let mut redacted = redact(&self.policy, texts).into_iter();
        let records: Vec<(SdkLogRecord, &InstrumentationScope)> = batch
            .iter()
            .map(|(record, scope)| {
                (
                    copied(record, &mut |_| redacted.next().unwrap_or_default()),
                    scope,
                )
            })
            .collect();
        let borrowed: Vec<_> = records.iter().map(|(record, scope)| (record, *scope)).collect();
        self.inner.export(LogBatch::new(&borrowed)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Longest text that leaves a process, and most text in one call of the policy, in bytes.
const LONGEST: usize = 256 * 1024;
const CALL: usize = 1024 * 1024;
const MASK: &str = "***";

/// Redacts texts by few calls of bounded size. Where the policy fails, a mask goes out: a secret that left cannot be called back.
fn redact(policy: &Policy, mut texts: Vec<String>) -> Vec<String> {
    for text in &mut texts {
        text.truncate(text.floor_char_boundary(LONGEST));
    }
    let mut redacted = Vec::with_capacity(texts.len());
    let mut rest = texts.as_slice();
    while !rest.is_empty() {
        let mut size = 0;
        let fits = rest.iter().take_while(|text| {
            size += text.len();
            size <= CALL
        });
        let (chunk, after) = rest.split_at(fits.count().max(1));
        rest = after;
        match policy.redact(chunk) {
            Ok(texts) => redacted.extend(texts),
            Err(problem) => {
                tracing::warn!(
                    code = problem.code,
                    "{}; {} texts are masked",
                    problem.message,
                    chunk.len()
                );
                redacted.extend(chunk.iter().map(|_| MASK.to_owned()));
            }
        }
    }
    redacted
}

/// Visits each text of spans; what comes back replaces it.
fn visit(batch: &mut [SpanData], text: &mut impl FnMut(&str) -> Option<String>) {
    for span in batch {
        if let Status::Error { description } = &mut span.status
            && let Some(redacted) = text(description)
        {
            *description = redacted.into();
        }
        let of_events = span
            .events
            .events
            .iter_mut()
            .flat_map(|event| &mut event.attributes);
        let of_links = span.links.links.iter_mut().flat_map(|link| &mut link.attributes);
        for pair in span.attributes.iter_mut().chain(of_events).chain(of_links) {
            match &mut pair.value {
                Value::String(value) => {
                    if let Some(redacted) = text(value.as_str()) {
                        *value = redacted.into();
                    }
                }
                Value::Array(Array::String(values)) => {
                    for value in values {
                        if let Some(redacted) = text(value.as_str()) {
                            *value = redacted.into();
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// A copy of a log record with each of its texts replaced: the SDK lets nobody change an attribute.
fn copied(record: &SdkLogRecord, text: &mut impl FnMut(&str) -> String) -> SdkLogRecord {
    static LOGGER: LazyLock<SdkLogger> = LazyLock::new(|| SdkLoggerProvider::builder().build().logger(""));
    let mut copy = LOGGER.create_log_record();
    if let Some(name) = record.event_name() {
        copy.set_event_name(name);
    }
    if let Some(target) = record.target() {
        copy.set_target(target.clone());
    }
    if let Some(time) = record.timestamp() {
        copy.set_timestamp(time);
    }
    if let Some(time) = record.observed_timestamp() {
        copy.set_observed_timestamp(time);
    }
    if let Some(context) = record.trace_context() {
        let flags = context.trace_flags.map(|flags| flags & KNOWN);
        copy.set_trace_context(context.trace_id, context.span_id, flags);
    }
    if let Some(severity) = record.severity_text() {
        copy.set_severity_text(severity);
    }
    if let Some(severity) = record.severity_number() {
        copy.set_severity_number(severity);
    }
    if let Some(body) = record.body() {
        copy.set_body(replaced(body, text));
    }
    for (key, value) in record.attributes_iter() {
        copy.add_attribute(key.clone(), replaced(value, text));
    }
    copy
}

fn replaced(value: &AnyValue, text: &mut impl FnMut(&str) -> String) -> AnyValue {
    match value {
        AnyValue::String(value) => AnyValue::from(text(value.as_str())),
        AnyValue::ListAny(items) => {
            AnyValue::ListAny(Box::new(items.iter().map(|item| replaced(item, text)).collect()))
        }
        AnyValue::Map(fields) => AnyValue::Map(Box::new(
            fields
                .iter()
                .map(|(key, value)| (key.clone(), replaced(value, text)))
                .collect(),
        )),
        other => other.clone(),
    }
}
