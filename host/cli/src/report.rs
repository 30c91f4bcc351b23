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
        let group = match excerpt {
            Some(Excerpt { line, span }) => title.element(
                Snippet::source(line)
                    .line_start(found.line as usize)
                    .path(self.file)
                    .annotation(AnnotationKind::Primary.span(span).label(found.path.as_str())),
            ),
            None => {
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
