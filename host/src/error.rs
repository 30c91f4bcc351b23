//! What can go wrong on the host's side. Every message has a stable code and says what to do.

use std::fmt;

use crate::account::Dropped;
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, Severity};

/// Something that is wrong outside any manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error[{code}]: {message}\n  help: {help}")]
pub struct Problem {
    /// Stable code, for example `FLOE-C003`.
    pub code: &'static str,
    /// What is wrong, with what was found.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Problem {
    /// A problem.
    pub fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: help.into(),
        }
    }

    /// The same, saying which file it is about unless it says so.
    #[cfg(feature = "backends")]
    #[must_use]
    pub(crate) fn about(mut self, file: &str) -> Self {
        if !self.message.contains(file) {
            self.message = format!("{file}: {}", self.message);
        }
        self
    }
}

/// Why there is no telemetry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest was refused.
    #[error("{}", render(file, diagnostics))]
    Manifest {
        /// The file.
        file: String,
        /// All that is wrong with it.
        diagnostics: Vec<Diagnostic>,
    },
    /// What the plan refers to is not there, or is not what it should be.
    #[error("{}", paragraphs(.0))]
    Unresolved(Vec<Problem>),
    /// Anything else: a file, a component, an exporter.
    #[error(transparent)]
    Problem(#[from] Problem),
}

fn paragraphs(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Diagnostics for people: one paragraph each.
pub fn render(file: &str, diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(|found| Rendered { file, found }.to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

struct Rendered<'a> {
    file: &'a str,
    found: &'a Diagnostic,
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, found } = self;
        let severity = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}[{}]: {}", found.code, found.message)?;
        write!(f, "  --> ")?;
        match (found.line, found.path.is_empty()) {
            (0, true) => writeln!(f, "{file}")?,
            (0, false) if is_variable(&found.path) => writeln!(f, "variable {}", found.path)?,
            (0, false) => writeln!(f, "{file} ({})", found.path)?,
            (line, true) => writeln!(f, "{file}:{line}:{}", found.column)?,
            (line, false) => writeln!(f, "{file}:{line}:{} ({})", found.column, found.path)?,
        }
        write!(f, "  help: {}", found.help)
    }
}

/// Whether what a finding is about is a variable of the process environment, not a place in the manifest.
fn is_variable(path: &str) -> bool {
    path.contains('_')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// `1 span`, `2 spans`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Telemetry that was not delivered when it ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "warning[FLOE-X001]: {} and {} were not delivered to {}{} ({}){}\n  help: `floe-telemetry doctor MANIFEST` finds out why; OTEL_SDK_DISABLED=true sends nothing",
    counted(*.spans, "span"),
    counted(*.logs, "log record"),
    .endpoints.join(" and "),
    if *.points > 0 { format!(", nor were {}", counted(*.points, "data point")) } else { String::new() },
    by_reason(.dropped),
    .reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
)]
pub struct Undelivered {
    /// The endpoints of the signals that were not delivered.
    pub endpoints: Vec<String>,
    /// Spans.
    pub spans: u64,
    /// Log records.
    pub logs: u64,
    /// Data points, each time that they were collected for an export which failed.
    pub points: u64,
    /// All of them by reason.
    pub dropped: Dropped,
    /// Why the last export failed that did.
    pub reason: Option<String>,
}

fn by_reason(dropped: &Dropped) -> String {
    let reasons = dropped.iter().map(|(reason, count)| format!("{reason}: {count}"));
    reasons.collect::<Vec<_>>().join(", ")
}
