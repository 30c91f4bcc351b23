//! The codes of everything that can be wrong with settings. A code is never reused for another meaning.

use crate::bindings::exports::floe::telemetry::types::{Diagnostic, Severity};

/// A backend that this component does not have.
pub const UNKNOWN_BACKEND: &str = "FLOE-B001";
/// A setting that the backend does not have.
pub const UNKNOWN_SETTING: &str = "FLOE-B002";
/// A value of the wrong type.
pub const WRONG_TYPE: &str = "FLOE-B003";
/// A setting that must be there is not.
pub const MISSING_SETTING: &str = "FLOE-B004";
/// A value of the right type that is not allowed.
pub const WRONG_VALUE: &str = "FLOE-B005";
/// A URL that the Collector could not use.
pub const WRONG_URL: &str = "FLOE-B006";
/// What should name an environment variable does not, and may be the secret itself.
pub const SECRET_VALUE: &str = "FLOE-B007";
/// A line break or another control character.
pub const CONTROL_CHARACTER: &str = "FLOE-B008";
/// An invalid Collector version.
pub const COLLECTOR_VERSION: &str = "FLOE-B009";
/// A Collector that is too old.
pub const COLLECTOR_TOO_OLD: &str = "FLOE-B010";
/// A setting that is there twice.
pub const REPEATED_SETTING: &str = "FLOE-B011";
/// Settings that do not go together.
pub const CONFLICT: &str = "FLOE-B012";
/// A secret that goes out in the clear.
pub const NOT_ENCRYPTED: &str = "FLOE-B013";
/// A Collector that is newer than any that this component knows.
pub const COLLECTOR_NEWER: &str = "FLOE-B014";

/// What was found so far.
pub type Findings = Vec<Diagnostic>;

/// What makes the call fail.
pub fn error(code: &str, path: &str, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
    diagnostic(Severity::Error, code, path, message.into(), help.into())
}

/// What deserves attention.
pub fn warning(code: &str, path: &str, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
    diagnostic(Severity::Warning, code, path, message.into(), help.into())
}

/// Settings come without a place in a file, so there is no line: a host that has one adds it.
fn diagnostic(severity: Severity, code: &str, path: &str, message: String, help: String) -> Diagnostic {
    let nameable = path.len() <= 64 && !path.chars().any(char::is_control);
    Diagnostic {
        code: code.to_owned(),
        severity,
        path: if nameable { path } else { "" }.to_owned(),
        line: 0,
        column: 0,
        message,
        help,
    }
}

/// Text from an input as a message may show it: quoted, with control characters escaped, and short.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}", format!("{}…", text.get(..end).unwrap_or_default())),
        None => format!("{text:?}"),
    }
}

/// The word that was likely meant, or else all of them.
pub fn suggestion(found: &str, known: &[&str]) -> String {
    let found: String = found.chars().take(64).collect::<String>().to_lowercase();
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&found, word), word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .map_or_else(
            || format!("write one of: {}", known.join(", ")),
            |(_, word)| format!("did you mean `{word}`?"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["jaeger", "grafana-cloud"];
        assert_eq!(suggestion("Jeager", &known), "did you mean `jaeger`?");
        assert_eq!(
            suggestion("grafana_cloud", &known),
            "did you mean `grafana-cloud`?"
        );
        assert_eq!(
            suggestion("zipkin", &known),
            "write one of: jaeger, grafana-cloud"
        );
    }

    #[test]
    fn what_is_shown_is_short_and_on_one_line() {
        assert_eq!(shown("a\r\nb"), "\"a\\r\\nb\"");
        assert_eq!(shown(&"ä".repeat(61)), format!("\"{}…\"", "ä".repeat(60)));
    }
}
