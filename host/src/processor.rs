//! What happens to spans and log records on their way to the exporter's queue: exceptions are told, failed operations are kept, and baggage becomes
//! attributes of log records.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord};
use opentelemetry::trace::Span as _;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::account::Account;
use crate::baggage::AllowList;
use crate::bindings::exports::floe::telemetry::configuration::Plan;
use crate::clock::Clock;
use crate::exception::Exceptions;
use crate::failed::{FailedOperations, OperationStart};
use crate::span_context::KNOWN;

/// A span processor in front of the one that exports.
#[derive(Debug)]
pub struct FloeSpanProcessor<P> {
    inner: P,
    account: Arc<Account>,
    failed: Option<FailedOperations>,
    exceptions: Option<Exceptions>,
}

impl<P> FloeSpanProcessor<P> {
    /// A processor for a plan. Operations that may fail yet wait by this clock. Exceptions stay the events of their spans.
    pub fn new(inner: P, plan: &Plan, clock: Arc<dyn Clock>) -> Self {
        Self::telling(inner, plan, clock, Arc::new(Account::unread()), None)
    }

    /// The same, counting what goes on to the exporter, and telling exceptions as the plan says.
    pub(crate) fn telling(
        inner: P,
        plan: &Plan,
        clock: Arc<dyn Clock>,
        account: Arc<Account>,
        exceptions: Option<Exceptions>,
    ) -> Self {
        Self {
            inner,
            account,
            failed: FailedOperations::new(&plan.sampler.failed, clock),
            exceptions,
        }
    }
}

impl<P: SpanProcessor> FloeSpanProcessor<P> {
    fn pass(&self, span: SpanData) {
        if self.account.admit() {
            self.inner.on_end(span);
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for FloeSpanProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if let Some(failed) = &self.failed
            && !span.span_context().is_sampled()
            && let Some(start) = context.get::<OperationStart>()
        {
            failed.started(span.span_context(), start);
        }
        self.inner.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if let Some(exceptions) = &self.exceptions
            && !span.events.is_empty()
        {
            exceptions.of_span(&mut span);
        }
        if span.span_context.is_sampled() {
            self.pass(span);
        } else if let Some(failed) = &self.failed {
            for span in failed.ended(span) {
                self.pass(span);
            }
        }
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

/// Where an event of `tracing` stands in the code, of the name that it has where the application gives it none: such a name is of no event.
fn place(name: &str) -> Option<(String, i64)> {
    let (file, line) = name.strip_prefix("event ")?.rsplit_once(':')?;
    Some((file.to_owned(), line.parse().ok()?))
}

/// A log processor in front of the one that exports. It counts what goes on to it.
#[derive(Debug)]
pub(crate) struct FloeLogProcessor<P> {
    pub(crate) inner: P,
    pub(crate) account: Arc<Account>,
    pub(crate) baggage: AllowList,
}

impl<P: LogProcessor> LogProcessor for FloeLogProcessor<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if !self.baggage.is_empty() {
            for attribute in self.baggage.attributes(&Context::current()) {
                // What the application says of itself wins.
                if record.attributes_iter().all(|(key, _)| *key != attribute.key) {
                    let value = AnyValue::from(attribute.value.as_str().into_owned());
                    record.add_attribute(attribute.key, value);
                }
            }
        }
        if let Some((file, line)) = record.event_name().and_then(place) {
            record.set_event_name("");
            record.add_attribute("code.file.path", file);
            record.add_attribute("code.line.number", line);
        }
        if let Some(context) = record.trace_context().cloned() {
            let flags = context.trace_flags.map(|flags| flags & KNOWN);
            record.set_trace_context(context.trace_id, context.span_id, flags);
        }
        if self.account.admit() {
            self.inner.emit(record, scope);
        }
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
