//! What was found, for people and for machines.

use anstyle::{AnsiColor, Style};
use floe_telemetry::{Diagnostic, Problem, Severity};
use floe_telemetry_receiver::escape;
use serde_json::{Value, json};

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Reading and checking the manifest.
    Manifest,
    /// Resolving a header's value.
    Header,
    /// Reading a file of TLS.
    File,
    /// Resolving the endpoint's name.
    Name,
    /// Connecting.
    Connection,
    /// The TLS handshake.
    Tls,
    /// Sending one item of a signal.
    Export,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Header => "header",
            Self::File => "file",
            Self::Name => "name",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Export => "export",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Failed,
    Skipped,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    fn sign(self) -> (&'static str, Style) {
        match self {
            Self::Ok => ("✓", AnsiColor::Green.on_default()),
            Self::Warning => ("!", AnsiColor::Yellow.on_default()),
            Self::Failed => ("✗", AnsiColor::Red.on_default()),
            Self::Skipped => ("-", Style::new().dimmed()),
        }
    }
}

/// One thing that was tried, and what came of it.
#[derive(Debug)]
pub(super) struct Finding {
    step: Step,
    /// What of the step: a header, a file or a signal.
    subject: String,
    state: State,
    code: &'static str,
    message: String,
    help: String,
}

impl Finding {
    fn new(step: Step, subject: &str, state: State, message: impl Into<String>) -> Self {
        Self {
            step,
            subject: subject.to_owned(),
            state,
            code: "",
            message: message.into(),
            help: String::new(),
        }
    }

    pub(super) fn good(step: Step, subject: &str, message: impl Into<String>) -> Self {
        Self::new(step, subject, State::Ok, message)
    }

    pub(super) fn skipped(step: Step, subject: &str, message: impl Into<String>) -> Self {
        Self::new(step, subject, State::Skipped, message)
    }

    pub(super) fn bad(
        step: Step,
        subject: &str,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            code,
            help: help.into(),
            ..Self::new(step, subject, State::Failed, message)
        }
    }

    pub(super) fn warning(
        step: Step,
        subject: &str,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Warning,
            ..Self::bad(step, subject, code, message, help)
        }
    }

    pub(super) fn problem(step: Step, subject: &str, problem: &Problem) -> Self {
        Self::bad(step, subject, problem.code, &problem.message, &problem.help)
    }

    /// The same with another message.
    pub(super) fn with_message(self, change: impl FnOnce(String) -> String) -> Self {
        Self {
            message: change(self.message),
            ..self
        }
    }

    fn shown(&self) -> String {
        let (sign, style) = self.state.sign();
        let mut what = self.step.name().to_owned();
        if !self.subject.is_empty() {
            what = format!("{what} {}", self.subject);
        }
        let severity = match self.state {
            State::Failed => format!("error[{}]: ", self.code),
            State::Warning => format!("warning[{}]: ", self.code),
            State::Ok | State::Skipped => String::new(),
        };
        let help = match self.help.as_str() {
            "" => String::new(),
            help => format!("\n    help: {help}"),
        };
        // Servers and certificates say what they like, and act on no terminal.
        format!(
            "{style}{sign}{style:#} {what}: {severity}{}{help}",
            escape(&self.message)
        )
    }

    fn value(&self, part: &str) -> Value {
        json!({
            "part": part,
            "step": self.step.name(),
            "subject": self.subject,
            "state": self.state.name(),
            "code": self.code,
            "message": self.message,
            "help": self.help,
        })
    }
}

/// All findings. For people each is printed when it is there, for machines all of them at the end.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    part: String,
    values: Vec<Value>,
    failed: usize,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            part: String::new(),
            values: Vec::new(),
            failed: 0,
        }
    }

    pub(super) fn is_well(&self) -> bool {
        self.failed == 0
    }

    /// What the next findings are about.
    pub(super) fn part(&mut self, title: &str) {
        title.clone_into(&mut self.part);
        if !self.json {
            let bold = Style::new().bold();
            crate::say(format_args!("{bold}{title}{bold:#}"));
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.failed += usize::from(finding.state == State::Failed);
        if self.json {
            self.values.push(finding.value(&self.part));
        } else {
            crate::say(format_args!("  {}", finding.shown()));
        }
    }

    /// Adds the policy's diagnostics; people see them as `validate` shows them.
    pub(super) fn diagnostics(&mut self, diagnostics: &[Diagnostic], shown: &str) {
        for found in diagnostics {
            let failed = found.severity == Severity::Error;
            self.failed += usize::from(failed);
            self.values.push(json!({
                "part": self.part,
                "step": Step::Manifest.name(),
                "subject": found.path,
                "state": if failed { State::Failed } else { State::Warning }.name(),
                "code": found.code,
                "message": found.message,
                "help": found.help,
                "line": found.line,
                "column": found.column,
            }));
        }
        if !self.json && !diagnostics.is_empty() {
            crate::say(shown);
        }
    }

    /// Says how it ended.
    pub(super) fn finish(&self) {
        if self.json {
            let whole = json!({ "ok": self.is_well(), "findings": self.values });
            crate::say(format_args!("{whole:#}"));
        } else if self.is_well() {
            crate::say("all is well");
        } else {
            crate::say(format_args!(
                "{} {} wrong",
                self.failed,
                if self.failed == 1 {
                    "thing is"
                } else {
                    "things are"
                }
            ));
        }
    }
}
