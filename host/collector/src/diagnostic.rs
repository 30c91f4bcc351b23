//! The codes of what can be wrong with a Collector's configuration as a whole. What is wrong with a backend's settings has the backends' codes.

use floe_telemetry::{Diagnostic, Severity};

/// A backend that no component offers: the backends' own code.
pub(crate) const UNKNOWN_BACKEND: &str = "FLOE-B001";
/// A component of another version than the manifest asks for.
pub(crate) const OTHER_VERSION: &str = "FLOE-K001";
/// A signal is to be sent to a backend that does not take it.
pub(crate) const SIGNAL_NOT_TAKEN: &str = "FLOE-K002";
/// A signal that no backend takes: the Collector drops it.
pub(crate) const SIGNAL_DROPPED: &str = "FLOE-K003";
/// Tail sampling that may see parts of traces only.
pub(crate) const PARTIAL_TRACES: &str = "FLOE-K004";
/// An invalid fragment from a backends component.
pub(crate) const BROKEN_FRAGMENT: &str = "FLOE-K005";
/// An exporter that has no queue, or none that has one, where queues that last are asked for.
pub(crate) const NO_QUEUE: &str = "FLOE-K006";
/// A connector that is left out, since its signals are not sent.
pub(crate) const CONNECTOR_LEFT_OUT: &str = "FLOE-K007";
/// Queues in memory that are large.
pub(crate) const LARGE_QUEUES: &str = "FLOE-K008";
/// A backend that gets a signal more than once.
pub(crate) const SENT_TWICE: &str = "FLOE-K013";
/// A gateway that is a service of the tier, but not the one that agents need.
pub(crate) const OTHER_GATEWAY: &str = "FLOE-K014";

/// A place in the manifest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a str,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl<'a> Place<'a> {
    /// The manifest as a whole.
    pub(crate) const WHOLE: Self = Self::named("");

    /// A setting, wherever it stands.
    pub(crate) const fn named(path: &'a str) -> Self {
        Self {
            path,
            line: 0,
            column: 0,
        }
    }

    /// What makes the rendering fail.
    pub(crate) fn error(self, code: &str, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, code, message.into(), help.into())
    }

    /// What deserves attention.
    pub(crate) fn warning(
        self,
        code: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        self.diagnostic(Severity::Warning, code, message.into(), help.into())
    }

    fn diagnostic(self, severity: Severity, code: &str, message: String, help: String) -> Diagnostic {
        Diagnostic {
            code: code.to_owned(),
            severity,
            path: self.path.to_owned(),
            line: self.line,
            column: self.column,
            message,
            help,
        }
    }
}
