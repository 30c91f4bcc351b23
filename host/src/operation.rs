//! Operations: floe's units of work, named, described and judged by the policy.

use std::any::type_name;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::time::Instant;

use opentelemetry::trace::{SpanKind as SdkSpanKind, Status as SdkStatus, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};

use crate::attribute;
use crate::bindings::exports::floe::telemetry::operations::{OperationKind, Outcome, Status};
use crate::bindings::exports::floe::telemetry::types::{Exception, KeyValue as Attribute, SpanKind};
use crate::failed::{Enclosing, OperationStart};
use crate::propagator::{continued, with_child_baggage};
use crate::provider::TelemetryProvider;

/// An operation that is about to begin.
#[derive(Debug)]
pub struct OperationBuilder<'a> {
    provider: &'a TelemetryProvider,
    kind: OperationKind,
    name: String,
    facts: Vec<Attribute>,
    parent: Context,
}

/// An operation that has begun. One that is dropped without an end counts as cancelled.
#[derive(Debug)]
pub struct Operation<'a> {
    provider: &'a TelemetryProvider,
    kind: OperationKind,
    name: String,
    /// What the policy is told at the end.
    facts: Vec<Attribute>,
    context: Context,
    started: Instant,
    ended: bool,
}

impl TelemetryProvider {
    /// An operation, a child of the current context or else of the context that this process was started with.
    pub fn operation(&self, kind: OperationKind, name: impl Into<String>) -> OperationBuilder<'_> {
        let current = Context::current();
        let parent = if current.span().span_context().is_valid() {
            current
        } else {
            continued(&current, self.context())
        };
        OperationBuilder {
            provider: self,
            kind,
            name: name.into(),
            facts: Vec::new(),
            parent,
        }
    }
}

impl<'a> OperationBuilder<'a> {
    /// States a fact. The policy gives it the attribute name that floe's conventions have for it.
    #[must_use]
    pub fn fact(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.facts.push(attribute::from_sdk(key, &value.into()));
        self
    }

    /// Makes it a child of this context.
    #[must_use]
    pub fn parent(mut self, parent: &Context) -> Self {
        self.parent = parent.clone();
        self
    }

    /// Begins it.
    pub fn begin(self) -> Operation<'a> {
        let Self {
            provider,
            kind,
            name,
            mut facts,
            parent,
        } = self;
        let span = provider.tracer().map(|tracer| {
            let (span_name, span_kind, attributes) = match provider.policy().begin(kind, &name, &facts) {
                Ok(beginning) => {
                    facts.retain(|fact| beginning.recalls.contains(&fact.key));
                    (
                        beginning.name,
                        sdk_kind(beginning.kind),
                        attribute::to_sdk(&beginning.attributes),
                    )
                }
                Err(problem) => {
                    tracing::warn!(code = problem.code, "{}", problem.message);
                    (name.clone(), SdkSpanKind::Internal, Vec::new())
                }
            };
            let builder = tracer
                .span_builder(span_name)
                .with_kind(span_kind)
                .with_attributes(attributes);
            // Only its own span starts in a context that says so, and not those of its children.
            tracer.build_with_context(builder, &parent.with_value(OperationStart::below(&parent)))
        });
        // Where telemetry is off there is no span: the children continue what came in.
        let spanned = span
            .map(|span| Enclosing::of(&parent.with_span(span)))
            .unwrap_or(parent);
        let context = with_child_baggage(provider.policy(), &spanned);
        Operation {
            provider,
            kind,
            name,
            facts,
            context,
            started: Instant::now(),
            ended: false,
        }
    }

    /// Begins it, runs a function in its context and ends it by the result.
    pub fn run<T, E: Error>(self, function: impl FnOnce(&mut Operation<'a>) -> Result<T, E>) -> Result<T, E> {
        let mut operation = self.begin();
        let attached = operation.context.clone().attach();
        let result = function(&mut operation);
        drop(attached);
        match &result {
            Ok(_) => operation.end("success"),
            Err(error) => operation.fail("error", error),
        };
        result
    }
}

impl Operation<'_> {
    /// The context that its children and child processes continue.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// States what was learnt since it began.
    pub fn fact(&mut self, key: &str, value: impl Into<Value>) {
        self.facts.push(attribute::from_sdk(key, &value.into()));
    }

    /// Ends it with the tool's own word, such as `success`, an exit code or a dbt status.
    pub fn end(self, status: &str) -> Outcome {
        self.finish(status, None)
    }

    /// Ends it with the tool's own word and an error.
    pub fn fail<E: Error>(self, status: &str, error: &E) -> Outcome {
        let backtrace = Backtrace::capture();
        let stacktrace = match backtrace.status() {
            BacktraceStatus::Captured => backtrace.to_string(),
            _ => String::new(),
        };
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        self.finish(
            status,
            Some(&Exception {
                type_: type_name::<E>().to_owned(),
                message,
                stacktrace,
                causes: Vec::new(),
            }),
        )
    }

    fn finish(mut self, status: &str, error: Option<&Exception>) -> Outcome {
        self.ended = true;
        self.end_span(status, error)
    }

    fn end_span(&self, status: &str, error: Option<&Exception>) -> Outcome {
        let seconds = self.started.elapsed().as_secs_f64();
        let span = self.context.span();
        let ending =
            match self
                .provider
                .policy()
                .end(self.kind, &self.name, status, seconds, &self.facts, error)
            {
                Ok(ending) => ending,
                Err(problem) => {
                    tracing::warn!(code = problem.code, "{}", problem.message);
                    span.end();
                    return Outcome::Error;
                }
            };
        for pair in attribute::to_sdk(&ending.attributes) {
            span.set_attribute(pair);
        }
        if let Some(exception) = ending.exception {
            let attributes = [
                ("exception.type", exception.type_),
                ("exception.message", exception.message),
                ("exception.stacktrace", exception.stacktrace),
            ];
            let attributes = attributes.into_iter().filter(|(_, text)| !text.is_empty());
            span.add_event(
                "exception",
                attributes.map(|(key, text)| KeyValue::new(key, text)).collect(),
            );
        }
        match ending.status {
            Status::Unset => {}
            Status::Ok => span.set_status(SdkStatus::Ok),
            Status::Error => span.set_status(SdkStatus::error(ending.description)),
        }
        // Recorded in the operation's context, for exemplars.
        let attached = self.context.clone().attach();
        for measurement in &ending.measurements {
            self.provider.record(
                &measurement.instrument,
                measurement.value,
                &attribute::to_sdk(&measurement.attributes),
            );
        }
        drop(attached);
        span.end();
        ending.outcome
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end_span(
                if std::thread::panicking() {
                    "panicked"
                } else {
                    "cancelled"
                },
                None,
            );
        }
    }
}

fn sdk_kind(kind: SpanKind) -> SdkSpanKind {
    match kind {
        SpanKind::Internal => SdkSpanKind::Internal,
        SpanKind::Server => SdkSpanKind::Server,
        SpanKind::Client => SdkSpanKind::Client,
        SpanKind::Producer => SdkSpanKind::Producer,
        SpanKind::Consumer => SdkSpanKind::Consumer,
    }
}
