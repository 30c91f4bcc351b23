//! Operations: floe's units of work, named, described and judged by the policy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{
    FutureExt as _, SpanId, SpanKind as SdkSpanKind, Status as SdkStatus, TraceContextExt, Tracer,
};
use opentelemetry::{Context, Value};
use serde_json::{Map, Value as Json};

use crate::attribute;
use crate::bindings::exports::floe::telemetry::operations::{
    Beginning, Ending, OperationKind, Outcome, Status,
};
use crate::bindings::exports::floe::telemetry::types::{Exception, SpanKind};
use crate::exception::{self, EXCEPTION, OperationError};
use crate::failed::{Enclosing, OperationStart};
use crate::policy::Policy;
use crate::propagator::{continued, with_child_baggage};
use crate::provider::{Sdk, TelemetryProvider};
use crate::warning;

/// An operation that is about to begin.
#[derive(Debug)]
pub struct OperationBuilder<'a> {
    provider: &'a TelemetryProvider,
    kind: OperationKind,
    name: String,
    facts: Map<String, Json>,
    parent: Context,
}

/// An operation that has begun. One that is dropped without an end counts as cancelled.
#[derive(Debug)]
pub struct Operation<'a> {
    provider: &'a TelemetryProvider,
    open: Arc<Open>,
}

/// What is known of an operation that has begun: to its owner, and to who watches over operations that take long.
#[derive(Debug)]
pub(crate) struct Open {
    kind: OperationKind,
    name: String,
    beginning: Beginning,
    parent: SpanId,
    /// What the policy is told at the end.
    facts: Mutex<Map<String, Json>>,
    context: Context,
    started: Instant,
    since: SystemTime,
    ended: AtomicBool,
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
            facts: Map::new(),
            parent,
        }
    }
}

impl<'a> OperationBuilder<'a> {
    /// States a fact. The policy gives it the attribute name that floe's conventions have for it.
    #[must_use]
    pub fn fact(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.facts
            .insert(key.to_owned(), attribute::to_json(&value.into()));
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
        let mut beginning = Beginning {
            name: name.clone(),
            kind: SpanKind::Internal,
            attributes: String::new(),
            recalls: Vec::new(),
        };
        let span = provider.tracer().map(|tracer| {
            match provider.policy().begin(kind, &name, &attribute::object(&facts)) {
                Ok(decided) => {
                    facts.retain(|fact, _| decided.recalls.contains(fact));
                    beginning = decided;
                }
                Err(problem) => warning::once(&problem, "operations have the application's names"),
            }
            let builder = tracer
                .span_builder(beginning.name.clone())
                .with_kind(sdk_kind(beginning.kind))
                .with_attributes(attribute::of_object(&beginning.attributes));
            // Only its own span starts in a context that says so, and not those of its children.
            tracer.build_with_context(builder, &parent.with_value(OperationStart::below(&parent)))
        });
        let above = parent.span().span_context().span_id();
        // Where telemetry is off there is no span: the children continue what came in.
        let spanned = span
            .map(|span| Enclosing::of(&parent.with_span(span)))
            .unwrap_or(parent);
        let open = Arc::new(Open {
            kind,
            name,
            beginning,
            parent: above,
            facts: Mutex::new(facts),
            context: with_child_baggage(provider.policy(), &spanned),
            started: Instant::now(),
            since: SystemTime::now(),
            ended: AtomicBool::new(false),
        });
        if let Some(sdk) = provider.sdk() {
            sdk.in_flight().began(&open);
        }
        Operation { provider, open }
    }

    /// Begins it, runs a function in its context and ends it by the result.
    pub fn run<T, E: OperationError<Kind>, Kind>(
        self,
        function: impl FnOnce(&mut Operation<'a>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut operation = self.begin();
        let attached = operation.context().clone().attach();
        let result = function(&mut operation);
        drop(attached);
        operation.end_by(&result);
        result
    }

    /// Begins it, runs an asynchronous function in its context and ends it by the result. A future that is dropped before was cancelled.
    pub async fn run_async<T, E: OperationError<Kind>, Kind>(
        self,
        function: impl AsyncFnOnce(&mut Operation<'a>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut operation = self.begin();
        let context = operation.context().clone();
        let result = function(&mut operation).with_context(context).await;
        operation.end_by(&result);
        result
    }
}

impl<'a> Operation<'a> {
    /// An operation below this one, whatever is current where it begins.
    pub fn child(&self, kind: OperationKind, name: impl Into<String>) -> OperationBuilder<'a> {
        self.provider.operation(kind, name).parent(self.context())
    }
    /// The context that its children and child processes continue.
    pub fn context(&self) -> &Context {
        &self.open.context
    }

    /// States what was learnt since it began.
    pub fn fact(&mut self, key: &str, value: impl Into<Value>) {
        // Whatever makes a value of it is not ours, and runs before anything is locked.
        let value = attribute::to_json(&value.into());
        self.open.facts().insert(key.to_owned(), value);
    }

    /// Ends it with the tool's own word, such as `success`, an exit code or a dbt status.
    pub fn end(self, status: &str) -> Outcome {
        self.finish(status, None)
    }

    /// Ends it with the tool's own word and an error.
    pub fn fail<E: OperationError<Kind> + ?Sized, Kind>(self, status: &str, error: &E) -> Outcome {
        self.finish(status, Some(&error.exception()))
    }

    fn end_by<T, E: OperationError<Kind>, Kind>(self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.end("success"),
            Err(error) => self.fail("error", error),
        };
    }

    fn finish(&self, status: &str, error: Option<&Exception>) -> Outcome {
        let Self { provider, open } = self;
        open.end(provider.policy(), provider.sdk(), status, error)
            .unwrap_or_else(|| plain_outcome(status, error))
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.finish(
            if std::thread::panicking() {
                "panicked"
            } else {
                "cancelled"
            },
            None,
        );
    }
}

impl Open {
    pub(crate) fn kind(&self) -> OperationKind {
        self.kind
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn span_name(&self) -> &str {
        &self.beginning.name
    }

    pub(crate) fn span_kind(&self) -> SpanKind {
        self.beginning.kind
    }

    /// The attributes that its span began with, as the text of a JSON object.
    pub(crate) fn attributes(&self) -> &str {
        &self.beginning.attributes
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The id of the span above; invalid if there is none.
    pub(crate) fn parent(&self) -> SpanId {
        self.parent
    }

    /// When it began.
    pub(crate) fn since(&self) -> SystemTime {
        self.since
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.context.span().is_recording()
    }

    fn facts(&self) -> MutexGuard<'_, Map<String, Json>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, unless it has ended: then there is no answer.
    pub(crate) fn end(
        &self,
        policy: &Policy,
        sdk: Option<&Sdk>,
        status: &str,
        error: Option<&Exception>,
    ) -> Option<Outcome> {
        if self.ended.swap(true, Ordering::SeqCst) {
            return None;
        }
        if let Some(sdk) = sdk {
            sdk.in_flight()
                .ended(self.context.span().span_context().span_id());
        }
        let seconds = self.elapsed().as_secs_f64();
        let facts = attribute::object(&self.facts().clone());
        match policy.end(self.kind, &self.name, status, seconds, &facts, error) {
            Ok(ending) => Some(conclude(&self.context, ending, sdk, SystemTime::now())),
            Err(problem) => {
                warning::once(&problem, "operations end as the application says");
                let ending = plain_ending(status, error);
                Some(conclude(&self.context, ending, sdk, SystemTime::now()))
            }
        }
    }
}

/// What the application's own word means where the policy cannot say it.
fn plain_outcome(status: &str, error: Option<&Exception>) -> Outcome {
    match status {
        "warning" | "warn" => Outcome::Warning,
        "failure" | "failed" | "fail" => Outcome::Failure,
        "skipped" | "skip" => Outcome::Skipped,
        "cancelled" | "canceled" => Outcome::Cancelled,
        "success" | "pass" | "ok" | "0" if error.is_none() => Outcome::Success,
        code if code.parse::<i64>().is_ok() => Outcome::Failure,
        _ => Outcome::Error,
    }
}

/// How an operation ends where the policy cannot say it: as the application says, and with no text that nobody redacted.
fn plain_ending(status: &str, error: Option<&Exception>) -> Ending {
    let outcome = plain_outcome(status, error);
    let failed = matches!(outcome, Outcome::Failure | Outcome::Error);
    Ending {
        outcome,
        status: if failed { Status::Error } else { Status::Unset },
        description: error.map(|error| error.type_.clone()).unwrap_or_default(),
        attributes: String::new(),
        exception: None,
        measurements: Vec::new(),
    }
}

/// Ends the span of a context as the policy says.
pub(crate) fn conclude(context: &Context, ending: Ending, sdk: Option<&Sdk>, at: SystemTime) -> Outcome {
    // What is logged and recorded now belongs to the operation.
    let attached = context.clone().attach();
    let span = context.span();
    for pair in attribute::of_object(&ending.attributes) {
        span.set_attribute(pair);
    }
    if let Some(exception) = ending.exception {
        let attributes = exception::attributes(exception);
        if span.is_recording() {
            span.add_event_with_timestamp(EXCEPTION, at, attributes);
        } else if let Some(sdk) = sdk {
            sdk.log_exception(span.span_context(), at, &attributes);
        }
    }
    match ending.status {
        Status::Unset => {}
        Status::Ok => span.set_status(SdkStatus::Ok),
        Status::Error => span.set_status(SdkStatus::error(ending.description)),
    }
    if let Some(sdk) = sdk {
        for measurement in &ending.measurements {
            sdk.record(
                &measurement.instrument,
                measurement.value,
                &attribute::of_object(&measurement.attributes),
                span.span_context(),
                at,
            );
        }
    }
    span.end_with_timestamp(at);
    drop(attached);
    ending.outcome
}

pub(crate) fn sdk_kind(kind: SpanKind) -> SdkSpanKind {
    match kind {
        SpanKind::Internal => SdkSpanKind::Internal,
        SpanKind::Server => SdkSpanKind::Server,
        SpanKind::Client => SdkSpanKind::Client,
        SpanKind::Producer => SdkSpanKind::Producer,
        SpanKind::Consumer => SdkSpanKind::Consumer,
    }
}
