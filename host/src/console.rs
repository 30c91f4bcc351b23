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
            let json = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
            writeln!(writer, "{}", visible_in_json(&json))
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
        let (logger, message) = (visible(logger), lines(message));
        write!(writer, "{time} {colour}{level:<8}{plain} {logger}: {message}")?;
        for (key, value) in &self.fields {
            write!(writer, " {}={}", visible(key), visible(&shown(value)))?;
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

/// Whether a character ends a line, moves the cursor or turns the direction of text: it could make a line look like another record.
fn is_deceptive(letter: char) -> bool {
    (letter.is_control() && letter != '\t')
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of several lines, of which only the first begins where a record does.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n    ")
}

/// A text on one line.
fn visible(text: &str) -> String {
    escaped(text, |letter| match letter {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        letter if u32::from(letter) < 0x100 => format!("\\x{:02x}", u32::from(letter)),
        letter => format!("\\u{:04x}", u32::from(letter)),
    })
}

/// JSON whose texts hold no mark that JSON leaves as it is.
fn visible_in_json(json: &str) -> String {
    escaped(json, |letter| format!("\\u{:04x}", u32::from(letter)))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_deceptive(letter) {
            shown.push_str(&escape(letter));
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// A value without white space, or quoted.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if !is_plain(text) => visible_in_json(&value.to_string()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '='))
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// As Python's `test_console.py` reads them.
    const CASES: &str = include_str!("../../tests/console/lines.json");

    #[derive(Deserialize)]
    struct Case {
        name: String,
        logger: String,
        message: String,
        detail: String,
        line: String,
    }

    fn line(case: &Case) -> Line {
        // The policy takes escape sequences out before.
        let without_escapes = case.message.replace("\u{1b}[2K", "").replace("\u{1b}[1A", "");
        Line {
            time: "2026-03-02T06:00:10Z".to_owned(),
            level: "WARNING",
            logger: case.logger.clone(),
            message: without_escapes,
            fields: vec![("detail".to_owned(), Value::String(case.detail.clone()))],
            correlation: Vec::new(),
        }
    }

    #[test]
    fn no_line_looks_like_another_record() {
        let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
        for case in &cases {
            let mut text = String::new();
            line(case).write_text(&mut Writer::new(&mut text), false).unwrap();
            assert_eq!(
                text,
                format!("2026-03-02T06:00:10Z WARNING  {}\n", case.line),
                "{}",
                case.name
            );
            let further = text.trim_end_matches('\n').split('\n').skip(1);
            assert!(
                further.into_iter().all(|line| line.starts_with("    ")),
                "{}",
                case.name
            );
        }
    }

    #[test]
    fn json_is_one_line_without_deceptive_marks() {
        let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
        for case in &cases {
            let json = visible_in_json(&serde_json::to_string(&line(case)).unwrap());
            assert!(!json.contains(is_deceptive), "{json}");
            let read: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read["logger"], case.logger.as_str(), "{}", case.name);
            assert_eq!(read["detail"], case.detail.as_str(), "{}", case.name);
        }
    }
}
