//! The codes of everything that the policy can find wrong. A code is never reused for another meaning.

use crate::bindings::exports::floe::telemetry::types::{Diagnostic, Severity};
use crate::redaction;

/// The manifest is not well-formed YAML, or exceeds the bounds of its reader.
pub const MANIFEST_SYNTAX: &str = "FLOE-M001";
/// The manifest is empty.
pub const MANIFEST_EMPTY: &str = "FLOE-M002";
/// A key that nobody knows.
pub const UNKNOWN_KEY: &str = "FLOE-M003";
/// A value of the wrong type.
pub const WRONG_TYPE: &str = "FLOE-M004";
/// A value of the right type that is not allowed.
pub const WRONG_VALUE: &str = "FLOE-M005";
/// An endpoint that no exporter could use.
pub const WRONG_ENDPOINT: &str = "FLOE-M006";
/// A value that must be there is not.
pub const MISSING_VALUE: &str = "FLOE-M007";
/// An older spelling, accepted.
pub const OLDER_SPELLING: &str = "FLOE-M008";
/// A variable of the environment that cannot be used and is ignored.
pub const WRONG_VARIABLE: &str = "FLOE-M009";
/// A header that exports cannot carry.
pub const WRONG_HEADER: &str = "FLOE-M010";
/// A secret where a reference to it should be.
pub const SECRET_IN_CLEAR: &str = "FLOE-M011";
/// A host or a header of a backend, where a Collector's should be.
pub const NOT_A_COLLECTOR: &str = "FLOE-M012";
/// A host that is named like a backend.
pub const LIKE_A_BACKEND: &str = "FLOE-M013";
/// Settings that do not go together.
pub const CONFLICT: &str = "FLOE-M014";
/// Credentials that go out unencrypted.
pub const NOT_ENCRYPTED: &str = "FLOE-M015";
/// Telemetry that is to be printed where it must go to a Collector.
pub const CONSOLE_OUTSIDE_DEV: &str = "FLOE-M016";
/// A name that an instrument cannot have.
pub const WRONG_INSTRUMENT: &str = "FLOE-I001";
/// The name of an instrument of floe's or of OpenTelemetry's own.
pub const RESERVED_INSTRUMENT: &str = "FLOE-I002";
/// A unit that an instrument cannot have.
pub const WRONG_UNIT: &str = "FLOE-I003";
/// Boundaries that an instrument cannot have.
pub const WRONG_BOUNDARIES: &str = "FLOE-I004";
/// A `traceparent` header that is not one.
pub const TRACEPARENT: &str = "FLOE-P001";
/// A `tracestate` header that is not one.
pub const TRACESTATE: &str = "FLOE-P002";
/// A member of a `baggage` header that is not one.
pub const BAGGAGE: &str = "FLOE-P003";
/// A member `ot` of a `tracestate` that is not one.
pub const OTEL_TRACE_STATE: &str = "FLOE-P005";
/// A header that is too long to be read whole.
pub const HEADER_LIMIT: &str = "FLOE-P006";
/// Baggage beyond the limits.
pub const BAGGAGE_LIMIT: &str = "FLOE-P004";

/// A place in the input: dotted path, line and column from 1 (0 where there is none).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Dotted path.
    pub path: String,
    /// Line from 1.
    pub line: u32,
    /// Column from 1, in characters.
    pub column: u32,
}

impl Place {
    /// A place with a path only.
    pub fn named(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..Self::default()
        }
    }

    /// A diagnostic of this severity here.
    pub fn diagnostic(
        &self,
        severity: Severity,
        code: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            code: code.to_owned(),
            severity,
            path: self.path.clone(),
            line: self.line,
            column: self.column,
            message: message.into(),
            help: help.into(),
        }
    }

    /// Whether something was found at a key below this place, so that no more need be said of it.
    pub fn is_refused(&self, key: &str, findings: &[Diagnostic]) -> bool {
        let below = |found: &Diagnostic| {
            found
                .path
                .strip_prefix(&self.path)?
                .strip_prefix('.')?
                .strip_prefix(key)
                .map(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        findings.iter().any(|found| below(found) == Some(true))
    }

    /// An error here.
    pub fn error(&self, code: &str, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, code, message, help)
    }

    /// A warning here.
    pub fn warning(&self, code: &str, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Warning, code, message, help)
    }
}

/// Text from an input as a message may show it: redacted, quoted, with control characters escaped, and short.
pub fn shown(text: &str) -> String {
    const MOST: usize = 60;
    const LOOKED_AT: usize = 4 * 1024;
    let head = text
        .get(..text.floor_char_boundary(LOOKED_AT))
        .unwrap_or_default();
    let clean = redaction::redact(head);
    let mut short: String = clean.chars().take(MOST).collect();
    if clean.chars().nth(MOST).is_some() || head.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
