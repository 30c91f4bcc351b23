//! SARIF 2.1.0 (OASIS): one run, one result a diagnostic, one rule a code.

use std::collections::BTreeSet;

use floe_telemetry::{Diagnostic, Severity};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Report, Source};

/// What a URI reference's path holds as it stands (RFC 3986 section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'~');

/// The log of a report.
pub(super) fn log(report: &Report<'_>) -> Value {
    let codes: BTreeSet<&str> = report
        .diagnostics
        .iter()
        .map(|found| found.code.as_str())
        .collect();
    let results: Vec<Value> = report
        .diagnostics
        .iter()
        .map(|found| result(report.file, found))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "floe-telemetry",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| json!({"id": code})).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(file: &str, found: &Diagnostic) -> Value {
    json!({
        "ruleId": found.code,
        "level": match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": {"text": format!("{}; {}", found.message, found.help)},
        "locations": [location(file, found)],
    })
}

/// What is of no file has no physical location; its kind is one of section 3.33.7.
fn location(file: &str, found: &Diagnostic) -> Value {
    match Source::of(found) {
        Source::Variable(name) => {
            return json!({"logicalLocations": [{"fullyQualifiedName": name, "kind": "variable"}]});
        }
        Source::Code(setting) => {
            return json!({"logicalLocations": [{"fullyQualifiedName": setting, "kind": "parameter"}]});
        }
        Source::Manifest => {}
    }
    let artifact = json!({"uri": utf8_percent_encode(file, PATH).to_string()});
    let physical = match found.line {
        0 => json!({"artifactLocation": artifact}),
        line => {
            json!({"artifactLocation": artifact, "region": {"startLine": line, "startColumn": found.column}})
        }
    };
    let logical: Vec<Value> = match found.path.as_str() {
        "" => Vec::new(),
        path => vec![json!({"fullyQualifiedName": path})],
    };
    json!({"physicalLocation": physical, "logicalLocations": logical})
}

#[cfg(test)]
mod tests {
    use serde_sarif::sarif::Sarif;

    use super::*;

    #[test]
    fn a_log_is_sarif() {
        let diagnostics =
            [("FLOE-M003", 4, 5, "a.b"), ("FLOE-H001", 0, 0, "")].map(|(code, line, column, path)| {
                Diagnostic {
                    code: code.to_owned(),
                    severity: Severity::Error,
                    path: path.to_owned(),
                    line,
                    column,
                    message: "m".to_owned(),
                    help: "h".to_owned(),
                }
            });
        let report = Report {
            file: "a b/manifest.yaml",
            text: None,
            diagnostics: &diagnostics,
        };
        let sarif: Sarif = serde_json::from_value(log(&report)).expect("SARIF");
        let results = sarif.runs[0].results.as_ref().expect("results");
        assert_eq!(results.len(), 2);
        let location = results[0].locations.as_ref().expect("locations")[0]
            .physical_location
            .as_ref()
            .expect("a physical location");
        let artifact = location.artifact_location.as_ref().expect("an artifact");
        assert_eq!(artifact.uri.as_deref(), Some("a%20b/manifest.yaml"));
        assert_eq!(
            location.region.as_ref().and_then(|region| region.start_line),
            Some(4)
        );
    }

    #[test]
    fn what_is_of_no_file_has_no_place_in_one() {
        for (path, name, kind) in [
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "OTEL_EXPORTER_OTLP_HEADERS",
                "variable",
            ),
            ("settings.otlp_endpoint", "otlp_endpoint", "parameter"),
        ] {
            let diagnostics = [Diagnostic {
                code: "FLOE-M006".to_owned(),
                severity: Severity::Error,
                path: path.to_owned(),
                line: 0,
                column: 0,
                message: "m".to_owned(),
                help: "h".to_owned(),
            }];
            let report = Report {
                file: "manifest.yaml",
                text: Some("a: b"),
                diagnostics: &diagnostics,
            };
            let sarif: Sarif = serde_json::from_value(log(&report)).expect("SARIF");
            let locations = sarif.runs[0].results.as_ref().expect("results")[0]
                .locations
                .as_ref();
            let location = &locations.expect("locations")[0];
            assert_eq!(location.physical_location, None);
            let logical = &location.logical_locations.as_ref().expect("logical locations")[0];
            assert_eq!(
                (logical.fully_qualified_name.as_deref(), logical.kind.as_deref()),
                (Some(name), Some(kind))
            );
        }
    }
}
