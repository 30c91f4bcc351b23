//! The published JSON Schema is the one of the code, and agrees with the policy.

use std::fs;

use floe_policy::bindings::exports::floe::telemetry::types::Diagnostic;
use floe_policy::manifest::destinations::json_of;
use floe_policy::{Policy, diagnostic, reference, schema, yaml};
use floe_telemetry_vectors::Vectors;

const PUBLISHED: &str = include_str!("../../../schema/manifest.schema.json");

#[test]
fn the_published_schema_is_of_this_version() {
    assert!(
        PUBLISHED == format!("{:#}\n", schema::manifest()),
        "schema/manifest.schema.json is old: run `just schema`"
    );
}

#[test]
fn the_table_of_the_documentation_is_of_this_version() {
    assert!(
        include_str!("../../../docs/manifest.md").ends_with(&reference::markdown()),
        "docs/manifest.md is old: run `just schema`"
    );
}

/// What the policy accepts, the schema accepts: an editor shows no error that is none. What the policy refuses for its shape, the schema refuses.
#[test]
fn schema_and_policy_agree() {
    let schema = jsonschema::validator_for(&schema::manifest()).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for entry in fs::read_dir("../../tests/vectors").unwrap() {
        let path = entry.unwrap().path();
        let is_configuration = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("configuration_"));
        if !is_configuration {
            continue;
        }
        let vectors: Vectors = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for case in vectors.cases {
            let text = case.arguments[0].as_str().unwrap();
            let Ok(document) = yaml::parse(text) else { continue };
            let valid = schema.is_valid(&json_of(&document.value));
            match Policy::configure(text, &[], &[]) {
                Ok(_) => {
                    accepted += 1;
                    assert!(valid, "{}: only the schema refuses this:\n{text}", case.name);
                }
                Err(found) if found.iter().any(is_of_shape) => {
                    refused += 1;
                    assert!(!valid, "{}: the schema accepts this:\n{text}", case.name);
                }
                Err(_) => {}
            }
        }
    }
    assert!(accepted > 50 && refused > 90, "{accepted} and {refused}");
}

fn is_of_shape(found: &Diagnostic) -> bool {
    [diagnostic::UNKNOWN_KEY, diagnostic::WRONG_TYPE].contains(&found.code.as_str())
}
