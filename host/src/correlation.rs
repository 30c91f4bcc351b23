//! The current span as text, for logs and carriers, and the current context for what runs elsewhere.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;

use crate::carrier::Environment;
use crate::propagator::continued;
use crate::provider::TelemetryProvider;
use crate::span_context::public_flags;

/// A span's context, as lower-case hexadecimal text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanContext {
    /// Trace id, 32 digits.
    pub trace_id: String,
    /// Span id, 16 digits.
    pub span_id: String,
    /// Trace flags, 2 digits.
    pub trace_flags: String,
}

impl SpanContext {
    /// That of the current span, if there is one.
    pub fn current() -> Option<Self> {
        Self::of(&Context::current())
    }

    /// That of the span of a context, if it has one.
    pub fn of(context: &Context) -> Option<Self> {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| Self {
            trace_id: span.trace_id().to_string(),
            span_id: span.span_id().to_string(),
            trace_flags: format!("{:02x}", public_flags(span)),
        })
    }
}

impl TelemetryProvider {
    /// The variables with which a child process continues the current context, or else the one that this process was started with.
    ///
    /// ```no_run
    /// # let telemetry = floe_telemetry::TelemetryProvider::init("manifest.yaml");
    /// let status = std::process::Command::new("dbt").envs(telemetry.environ().iter()).status();
    /// # drop(status);
    /// ```
    pub fn environ(&self) -> Environment {
        let current = Context::current();
        if current.span().span_context().is_valid() {
            self.environment(&current)
        } else {
            self.environment(&continued(&current, self.context()))
        }
    }

    /// The function as one that runs in the context in which this is called, on whatever thread. For a future there is
    /// [`FutureExt::with_context`](opentelemetry::trace::FutureExt::with_context).
    ///
    /// ```no_run
    /// # let telemetry = floe_telemetry::TelemetryProvider::init("manifest.yaml");
    /// std::thread::spawn(telemetry.wrap(|| tracing::info!("in the trace of whoever started the thread")));
    /// ```
    pub fn wrap<T, F: FnOnce() -> T>(&self, function: F) -> impl FnOnce() -> T + use<T, F> {
        let context = Context::current();
        move || {
            let _attached = context.attach();
            function()
        }
    }
}
