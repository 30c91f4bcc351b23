//! Console lines of `tracing`: JSON or text for people, with the trace's ids as fields, redacted.

use std::fmt::{self, Debug};

use floe_telemetry_otlp::{Redactor as _, Texts, Visitor};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::exception;
use crate::redaction::Redaction;
use crate::span_context::public_flags;

/// How events become lines.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) json: bool,
    /// `floe.namespace`; empty if there is none.
    pub(crate) namespace: String,
    pub(crate) redaction: Redaction,
}

/// An event on its way to a line.
#[derive(Debug, Default)]
struct Line {
    time: String,
    /// In the manifest's words.
    level: &'static str,
    logger: String,
    message: String,
    /// The event's own, in its order.
    fields: Vec<(String, Value)>,
    /// `trace_id`, `span_id`, `trace_flags` and `floe.namespace`, as far as there are any.
    correlation: Vec<(&'static str, String)>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line {
            level: word(*event.metadata().level()),
            logger: event.metadata().target().to_owned(),
            correlation: self.correlation(),
            ..Line::default()
        };
        SystemTime.format_time(&mut Writer::new(&mut line.time))?;
        event.record(&mut line);
        self.redaction.redact(&mut line);
        if self.json {
            writeln!(
                writer,
                "{}",
                serde_json::to_string(&line).map_err(|_| fmt::Error)?
            )
        } else {
            let ansi = writer.has_ansi_escapes();
            line.write_text(&mut writer, ansi)
        }
    }
}

impl Lines {
    fn correlation(&self) -> Vec<(&'static str, String)> {
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        let mut found = Vec::new();
        if span.is_valid() {
            found.push(("trace_id", span.trace_id().to_string()));
            found.push(("span_id", span.span_id().to_string()));
            found.push(("trace_flags", format!("{:02x}", public_flags(span))));
        }
        if !self.namespace.is_empty() {
            found.push(("floe.namespace", self.namespace.clone()));
        }
        found
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

impl Line {
    fn write_text(&self, writer: &mut Writer<'_>, ansi: bool) -> fmt::Result {
        let (colour, plain) = match (ansi, self.level) {
            (false, _) => ("", ""),
            (true, "ERROR") => ("\x1b[31m", "\x1b[0m"),
            (true, "WARNING") => ("\x1b[33m", "\x1b[0m"),
            (true, "INFO") => ("\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[0m"),
        };
        let Self {
            time,
            level,
            logger,
            message,
            ..
        } = self;
        write!(writer, "{time} {colour}{level:<8}{plain} {logger}: {message}")?;
        for (key, value) in &self.fields {
            match value {
                Value::String(text) => write!(writer, " {key}={text}")?,
                other => write!(writer, " {key}={other}")?,
            }
        }
        // The namespace is the same on every line, and the flags say nothing to people.
        for (key, value) in self.correlation.iter().filter(|(key, _)| key.ends_with("_id")) {
            write!(writer, " {key}={value}")?;
        }
        writeln!(writer)
    }

    fn add(&mut self, field: &Field, value: Value) {
        self.fields.push((field.name().to_owned(), value));
    }
}

/// One object a line, with the names of the Python package's lines.
impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        let own = ["timestamp", "level", "logger", "message"];
        for (name, value) in own.into_iter().zip([
            self.time.as_str(),
            self.level,
            self.logger.as_str(),
            self.message.as_str(),
        ]) {
            line.serialize_entry(name, value)?;
        }
        for (name, value) in &self.correlation {
            line.serialize_entry(name, value)?;
        }
        let is_own = |name: &str| own.contains(&name) || self.correlation.iter().any(|(key, _)| *key == name);
        for (name, value) in self.fields.iter().filter(|(name, _)| !is_own(name)) {
            line.serialize_entry(name, value)?;
        }
        line.end()
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_text(field, exception::message(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_text(field, format!("{value:?}"));
    }
}

impl Line {
    fn record_text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            _ => self.add(field, Value::String(text)),
        }
    }
}

impl Texts for Line {
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        visitor.text(&mut self.logger);
        visitor.text(&mut self.message);
        for (key, value) in &mut self.fields {
            if let Value::String(text) = value {
                if visitor.is_secret(key) {
                    visitor.secret(text);
                } else {
                    visitor.text(text);
                }
            }
            visitor.text(key);
        }
    }
}
