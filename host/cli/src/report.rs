//! Diagnostics of a manifest: for people in the terminal, and as JSON and SARIF for machines.

mod excerpt;
mod sarif;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use clap::ValueEnum;
use floe_telemetry::{Diagnostic, Severity};
use serde_json::{Value, json};

use excerpt::Excerpt;

/// How a command says what it found.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, which code hosts and editors show in place.
    Sarif,
}

/// What was found in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    /// The file.
    pub(crate) file: &'a str,
    /// Its text, if it is at hand.
    pub(crate) text: Option<&'a str>,
    /// What was found.
    pub(crate) diagnostics: &'a [Diagnostic],
}

/// Where the value that a diagnostic is about was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source<'a> {
    /// In the manifest.
    Manifest,
    /// In a variable of the process environment.
    Variable(&'a str),
    /// In a setting of the code that calls.
    Code(&'a str),
}

impl<'a> Source<'a> {
    /// What is written in a manifest has a line there, or a path that begins with a key of its own.
    fn of(found: &'a Diagnostic) -> Self {
        let path = found.path.as_str();
        let is_variable = ["OTEL_", "FLOE_"].iter().any(|start| path.starts_with(start));
        match path.strip_prefix("settings.") {
            _ if found.line != 0 => Self::Manifest,
            Some(setting) => Self::Code(setting),
            None if is_variable => Self::Variable(path),
            None => Self::Manifest,
        }
    }
}

impl Report<'_> {
    /// In the way of a compiler: what, where with the line in question, what to do. No line shows a value that its message does not show.
    pub(crate) fn human(&self) -> String {
        let renderer = Renderer::styled();
        self.diagnostics
            .iter()
            .map(|found| renderer.render(&[self.group(found)]))
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    fn group<'b>(&'b self, found: &'b Diagnostic) -> Group<'b> {
        let level = match found.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level
            .primary_title(found.message.as_str())
            .id(found.code.as_str());
        let excerpt = self.text.and_then(|text| Excerpt::of(text, found));
        let group = match (Source::of(found), excerpt) {
            (Source::Variable(name), _) => title.element(Origin::path(format!("variable {name}"))),
            (Source::Code(setting), _) => {
                title.element(Origin::path(format!("setting {setting} of the code")))
            }
            (Source::Manifest, Some(Excerpt { line, span })) => title.element(
                Snippet::source(line)
                    .line_start(found.line as usize)
                    .path(self.file)
                    .annotation(AnnotationKind::Primary.span(span).label(found.path.as_str())),
            ),
            (Source::Manifest, None) => {
                let group = title.element(Origin::path(self.file));
                match found.path.as_str() {
                    "" => group,
                    path => group.element(Level::NOTE.message(format!("at {path}"))),
                }
            }
        };
        group.element(Level::HELP.message(found.help.as_str()))
    }

    /// `{"file", "valid", "diagnostics": [{"code", "severity", "path", "line", "column", "message", "help"}]}`.
    pub(crate) fn json(&self) -> Value {
        json!({
            "file": self.file,
            "valid": self.diagnostics.iter().all(|found| found.severity == Severity::Warning),
            "diagnostics": self.diagnostics.iter().map(|found| json!({
                "code": found.code,
                "severity": match found.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "path": found.path,
                "line": found.line,
                "column": found.column,
                "message": found.message,
                "help": found.help,
            })).collect::<Vec<_>>(),
        })
    }

    /// As a SARIF log.
    pub(crate) fn sarif(&self) -> Value {
        sarif::log(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_is_where_its_value_was_written() {
        let found = |path: &str, line| Diagnostic {
            code: "FLOE-M006".to_owned(),
            severity: Severity::Error,
            path: path.to_owned(),
            line,
            column: line,
            message: "m".to_owned(),
            help: "h".to_owned(),
        };
        for (found, place, at) in [
            (
                found("OTEL_EXPORTER_OTLP_HEADERS", 0),
                "variable OTEL_EXPORTER_OTLP_HEADERS",
                None,
            ),
            (
                found("settings.traces.otlp_endpoint", 0),
                "setting traces.otlp_endpoint of the code",
                None,
            ),
            (
                found("observability.telemetry", 0),
                "m.yaml",
                Some("observability.telemetry"),
            ),
            // A key of the manifest may be called anything.
            (found("OTEL_X", 1), "m.yaml:1:1", Some("OTEL_X")),
            (found("settings.x", 1), "m.yaml:1:1", Some("settings.x")),
        ] {
            let report = Report {
                file: "m.yaml",
                text: Some("OTEL_X: 1"),
                diagnostics: &[found],
            };
            let text = anstream::adapter::strip_str(&report.human()).to_string();
            assert!(text.contains(&format!("--> {place}\n")), "{text}");
            assert!(at.is_none_or(|at| text.contains(at)), "{text}");
            assert!(at.is_some() || !text.contains("m.yaml"), "{text}");
        }
    }
}
