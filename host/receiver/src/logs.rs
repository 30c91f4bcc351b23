//! Log records as lines.

use std::sync::Arc;

use anstyle::Style as Paint;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use crate::model::{LogEntry, attribute, pairs, text};
use crate::text::{BOLD, DIM, Line, RED, Style, YELLOW};

/// The least severity of an error, by OpenTelemetry's numbers.
const ERROR: i32 = 17;

/// Log records that belong to no trace, one line each; nothing if there are none.
pub fn render_logs(entries: &[Arc<LogEntry>], style: &Style) -> String {
    let mut out = String::new();
    if entries.is_empty() || !style.logs {
        return out;
    }
    let mut header = Line::default();
    header
        .push(BOLD, "logs without a trace")
        .push(DIM, &format!(" · {}", counted(entries.len(), "record")));
    header.render(style, &mut out);
    for entry in entries {
        let mut start = Line::default();
        start.push(DIM, &time_of_day(entry.time())).push(DIM, "  ");
        let hint = entry.origin.process.hint(None);
        for line in record_lines(&entry.record, start, &hint, style) {
            line.render(style, &mut out);
        }
    }
    out
}

/// A record, on one line unless it is to be shown in full. `start` comes before it, and `hint` after.
pub(crate) fn record_lines(record: &LogRecord, start: Line, hint: &str, style: &Style) -> Vec<Line> {
    let column = start.width();
    let (severity, paint) = severity(record);
    let body = record.body.as_ref().map(text).unwrap_or_default();
    let body = if body.is_empty() {
        record.event_name.clone()
    } else {
        body
    };
    let said: Vec<_> = body.lines().collect();
    let (shown, hidden) = if style.verbose {
        (said.first().copied().unwrap_or_default().to_owned(), 0)
    } else {
        shortened(&said, record.severity_number >= ERROR)
    };

    let mut first = start;
    first
        .push(paint, &format!("{severity:<5}"))
        .push(DIM, "  ")
        .push(DIM, &shown);
    if let Some(exception) = exception(record).filter(|exception| !body.contains(exception.as_str())) {
        first.push(DIM, "  ").push(RED.dimmed(), &exception);
    }
    if hidden > 0 {
        first.push(DIM, &format!("  (+{})", counted(hidden, "line")));
    }
    if !hint.is_empty() {
        first.push(DIM, "  ").push(DIM, hint);
    }

    let mut lines = vec![first];
    if style.verbose {
        let attributes = Some(pairs(&record.attributes)).filter(|pairs| !pairs.is_empty());
        let rest = said.iter().skip(1).map(|line| (*line).to_owned());
        lines.extend(rest.chain(attributes).map(|text| {
            let mut line = Line::default();
            line.pad(column).append(Line::quote(DIM, &text));
            line
        }));
    }
    lines
}

/// A body in one line, and how many of its lines are hidden. The last line of an error says what it is: those before it say how
/// it came about.
fn shortened(lines: &[&str], is_error: bool) -> (String, usize) {
    let Some((first, rest)) = lines.split_first() else {
        return (String::new(), 0);
    };
    let last = rest.iter().rev().find(|line| !line.trim().is_empty());
    match last.filter(|_| is_error) {
        Some(last) => (format!("{first} … {}", last.trim_start()), rest.len() - 1),
        None => ((*first).to_owned(), rest.len()),
    }
}

/// The exception that a record tells of: `type: message`.
fn exception(record: &LogRecord) -> Option<String> {
    let kind = attribute(&record.attributes, "exception.type").map(text);
    let message = attribute(&record.attributes, "exception.message").map(text);
    match (kind, message) {
        (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
        (kind, message) => kind.or(message),
    }
}

fn severity(record: &LogRecord) -> (&str, Paint) {
    let (name, paint) = match record.severity_number {
        1..=4 => ("TRACE", DIM),
        5..=8 => ("DEBUG", DIM),
        9..=12 => ("INFO", DIM),
        13..=16 => ("WARN", YELLOW),
        17..=20 => ("ERROR", RED),
        21..=24 => ("FATAL", RED),
        _ => ("-", DIM),
    };
    (
        if record.severity_text.is_empty() {
            name
        } else {
            &record.severity_text
        },
        paint,
    )
}

/// In UTC, which is how the time was sent; a dash if it was not.
fn time_of_day(unix_nanos: u64) -> String {
    if unix_nanos == 0 {
        return format!("{:<13}", "-");
    }
    let millis = unix_nanos / 1_000_000;
    let (hours, minutes) = (millis / 3_600_000 % 24, millis / 60_000 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{:03}Z",
        millis / 1_000 % 60,
        millis % 1_000
    )
}

/// `1 span`, `2 spans`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = match (count, noun.ends_with("ss")) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {noun}{plural}")
}
