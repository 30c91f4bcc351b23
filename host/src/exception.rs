//! Exceptions: what an error says of itself, and how it is told: by an event of the span, by a log record, or by both.

use std::any::type_name;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::error::Error;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::{Event, SpanContext, Status};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SpanData;

use crate::bindings::exports::floe::telemetry::configuration::Plan;
use crate::bindings::exports::floe::telemetry::types::Exception;
use crate::policy::Policy;

/// Name of the event, of a span or by itself (OpenTelemetry semantic conventions, exceptions).
pub(crate) const EXCEPTION: &str = "exception";
const TYPE: &str = "exception.type";
const ERROR_TYPE: &str = "error.type";
/// Most causes that are followed: an error may be its own cause.
const MOST_CAUSES: usize = 32;

/// How exceptions are told.
#[derive(Debug, Clone)]
pub(crate) struct Exceptions {
    event: bool,
    logs: Option<SdkLoggerProvider>,
    policy: Policy,
}

impl Exceptions {
    /// As a plan says; log records go to this provider.
    pub(crate) fn new(plan: &Plan, policy: &Policy, logs: &SdkLoggerProvider) -> Self {
        Self {
            event: plan.exceptions.event,
            logs: plan.exceptions.log.then(|| logs.clone()),
            policy: policy.clone(),
        }
    }

    /// Tells the exceptions of a span that ended, whoever recorded them, and what it failed with.
    pub(crate) fn of_span(&self, span: &mut SpanData) {
        let mut error_type = None;
        for event in span.events.iter().filter(|event| event.name == EXCEPTION) {
            if !is_logged(event) {
                let scope = &span.instrumentation_scope;
                self.log(scope, &span.span_context, event.timestamp, &event.attributes);
            }
            let found = event.attributes.iter().find(|pair| pair.key.as_str() == TYPE);
            error_type = found.map(|pair| pair.value.clone()).or(error_type);
        }
        if !self.event {
            span.events.events.retain(|event| event.name != EXCEPTION);
        }
        if let Some(value) = error_type
            && matches!(span.status, Status::Error { .. })
            && span.attributes.iter().all(|pair| pair.key.as_str() != ERROR_TYPE)
        {
            span.attributes
                .push(KeyValue::new(ERROR_TYPE, self.classified(&value)));
        }
    }

    /// The `error.type` of an exception's type.
    fn classified(&self, recorded: &Value) -> String {
        let exception = Exception {
            type_: recorded.as_str().into_owned(),
            message: String::new(),
            stacktrace: String::new(),
            causes: Vec::new(),
        };
        let classified = self.policy.classify(&exception);
        classified.map_or_else(|_| "_OTHER".to_owned(), |exception| exception.type_)
    }

    /// Tells an exception by a log record, if exceptions are told so. A span that nobody records has no other way.
    pub(crate) fn log(
        &self,
        scope: &InstrumentationScope,
        span: &SpanContext,
        time: SystemTime,
        attributes: &[KeyValue],
    ) {
        let Some(logs) = &self.logs else { return };
        let logger = logs.logger_with_scope(scope.clone());
        let mut record = logger.create_log_record();
        record.set_event_name(EXCEPTION);
        record.set_timestamp(time);
        record.set_severity_number(Severity::Error);
        record.set_severity_text("ERROR");
        record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        record.add_attributes(
            attributes
                .iter()
                .map(|pair| (pair.key.clone(), any(&pair.value)))
                .collect::<Vec<(Key, AnyValue)>>(),
        );
        logger.emit(record);
    }
}

/// Whether the event is one of `tracing`, with an error as a field: the bridge makes a log record of each of those itself.
fn is_logged(event: &Event) -> bool {
    event.attributes.iter().any(|pair| pair.key.as_str() == "level")
}

fn any(value: &Value) -> AnyValue {
    match value {
        Value::Bool(truth) => AnyValue::Boolean(*truth),
        Value::I64(integer) => AnyValue::Int(*integer),
        Value::F64(number) => AnyValue::Double(*number),
        Value::Array(Array::String(texts)) => {
            AnyValue::ListAny(Box::new(texts.iter().cloned().map(AnyValue::String).collect()))
        }
        other => AnyValue::String(StringValue::from(other.as_str().into_owned())),
    }
}

/// The attributes of an exception; one without text has none.
pub(crate) fn attributes(exception: Exception) -> Vec<KeyValue> {
    [
        (TYPE, exception.type_),
        ("exception.message", exception.message),
        ("exception.stacktrace", exception.stacktrace),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .map(|(key, text)| KeyValue::new(key, text))
    .collect()
}

/// Whatever a function fails with: an error, a boxed one, one of `anyhow` or `eyre`, or a text. `Kind` says which of these it is and is always
/// inferred.
///
/// ```
/// # use floe_telemetry::OperationError;
/// fn takes<E: OperationError<Kind>, Kind>(_: &E) {}
///
/// takes(&std::fmt::Error);
/// takes(&Box::<dyn std::error::Error + Send + Sync>::from("broken"));
/// takes(&"broken".to_owned());
/// takes(&"broken");
/// ```
#[diagnostic::on_unimplemented(
    message = "an operation cannot describe an error of type `{Self}`",
    note = "it takes errors, boxed errors, errors of `anyhow` and `eyre`, and texts"
)]
pub trait OperationError<Kind> {
    /// The error as OpenTelemetry describes it: its type, its message and those of its causes, and the stack where `RUST_BACKTRACE` asks for one.
    fn exception(&self) -> Exception;
}

/// The kind of [`OperationError`] that is an error of a type of its own.
#[derive(Debug)]
pub enum Concrete {}
/// The kind of [`OperationError`] that holds an error which threads may share.
#[derive(Debug)]
pub enum Boxed {}
/// The kind of [`OperationError`] that holds an error which threads may not share.
#[derive(Debug)]
pub enum Local {}
/// The kind of [`OperationError`] that is a text.
#[derive(Debug)]
pub enum Text {}

impl<E: Error + ?Sized> OperationError<Concrete> for E {
    fn exception(&self) -> Exception {
        let cause = self.source();
        let message = cause.map_or_else(|| self.to_string(), |cause| format!("{self}: {}", message(cause)));
        described(type_name::<E>(), message, cause)
    }
}

/// `Box<dyn Error + Send + Sync>`, `anyhow::Error` and `eyre::Report`.
impl<E: AsRef<dyn Error + Send + Sync>> OperationError<Boxed> for E {
    fn exception(&self) -> Exception {
        let error: &(dyn Error + Send + Sync + 'static) = self.as_ref();
        opaque(error)
    }
}

impl OperationError<Local> for Box<dyn Error> {
    fn exception(&self) -> Exception {
        opaque(self.as_ref())
    }
}

impl OperationError<Local> for Box<dyn Error + Send> {
    fn exception(&self) -> Exception {
        opaque(self.as_ref())
    }
}

impl OperationError<Text> for str {
    fn exception(&self) -> Exception {
        described("", self.to_owned(), None)
    }
}

impl OperationError<Text> for &str {
    fn exception(&self) -> Exception {
        described("", (*self).to_owned(), None)
    }
}

impl OperationError<Text> for String {
    fn exception(&self) -> Exception {
        described("", self.clone(), None)
    }
}

impl OperationError<Text> for Cow<'_, str> {
    fn exception(&self) -> Exception {
        described("", self.to_string(), None)
    }
}

/// Nothing but that it failed.
impl OperationError<Text> for () {
    fn exception(&self) -> Exception {
        described("", String::new(), None)
    }
}

/// An error of which the type is only known if it is one that is asked for.
fn opaque(error: &(dyn Error + 'static)) -> Exception {
    described(
        known_type(error).unwrap_or_default(),
        message(error),
        error.source(),
    )
}

fn described(kind: &str, message: String, cause: Option<&(dyn Error + 'static)>) -> Exception {
    let backtrace = Backtrace::capture();
    Exception {
        type_: kind.to_owned(),
        message,
        stacktrace: match backtrace.status() {
            BacktraceStatus::Captured => backtrace.to_string(),
            _ => String::new(),
        },
        causes: causes(cause).filter_map(known_type).map(str::to_owned).collect(),
    }
}

/// What an error says, and what each of its causes says.
pub(crate) fn message(error: &(dyn Error + 'static)) -> String {
    let messages: Vec<String> = causes(Some(error)).map(ToString::to_string).collect();
    messages.join(": ")
}

/// An error and its causes, from the nearest to the root.
fn causes<'a>(error: Option<&'a (dyn Error + 'static)>) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error, |&error| error.source()).take(MOST_CAUSES)
}

/// The type of a cause. Rust keeps none of a `dyn Error`: only a type that it is asked for can be told. So causes of other types are told by their
/// message alone.
fn known_type(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    macro_rules! first_of {
        ($($kind:ty),* $(,)?) => { $(if cause.is::<$kind>() { return Some(type_name::<$kind>()); })* };
    }
    first_of!(
        std::io::Error,
        std::fmt::Error,
        std::env::VarError,
        std::net::AddrParseError,
        std::num::ParseIntError,
        std::num::ParseFloatError,
        std::num::TryFromIntError,
        std::str::Utf8Error,
        std::string::FromUtf8Error,
        std::sync::mpsc::RecvTimeoutError,
        std::time::SystemTimeError,
        serde_json::Error,
        http::Error,
        tonic::Status,
        crate::error::Error,
        crate::error::Problem,
        floe_telemetry_otlp::Failure,
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("middle")]
    struct Middle(#[source] std::num::ParseIntError);

    #[derive(Debug)]
    struct Endless;

    impl std::fmt::Display for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("again")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Endless)
        }
    }

    #[test]
    fn messages_of_all_causes_and_types_of_those_that_are_known() {
        let root = "x".parse::<u8>().err();
        let found = root.map(|root| Outer(Middle(root)).exception());
        let found = found.as_ref();
        assert_eq!(
            found.map(|found| found.message.as_str()),
            Some("outer: middle: invalid digit found in string")
        );
        assert_eq!(
            found.map(|found| found.causes.as_slice()),
            Some(["core::num::error::ParseIntError".to_owned()].as_slice())
        );
        assert!(found.is_some_and(|found| found.type_.ends_with("::Outer")));
        assert_eq!(
            Endless.exception().message.matches("again").count(),
            MOST_CAUSES + 1
        );
    }
}
