//! The corpus of planted secrets: the command's own log shows none of them, neither the lines of `tracing` nor what is said before there is a log.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CORPUS: &str = include_str!("../../../tests/secrets/corpus.json");
const SECRET: &str = "Zq7Planted9xKp3";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// The corpus's texts, with the secrets of the other hosts' tests in them.
fn texts() -> Vec<String> {
    let entries: Vec<Value> = serde_json::from_str(CORPUS).unwrap();
    assert!(entries.len() >= 200);
    entries
        .iter()
        .enumerate()
        .map(|(number, entry)| {
            let text = entry["text"].as_str().unwrap();
            text.replace("{secret}", &format!("{SECRET}{number:03}"))
        })
        .collect()
}

fn write_manifest(directory: &Path, settings: &str) {
    let text = format!(
        "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}
observability: {{telemetry: {{shutdown_timeout_millis: 100, {settings}}}}}"
    );
    fs::write(directory.join("manifest.yaml"), text).unwrap();
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floe-telemetry"));
    command
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| ["PATH", "HOME", "FLOE_CACHE"].contains(&name.as_str())));
    command
}

/// What it says on standard error.
fn said(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stderr).unwrap()
}

#[test]
fn what_is_said_of_the_environment_and_of_the_command_is_redacted() {
    let directory = tempfile::tempdir().unwrap();
    write_manifest(directory.path(), &format!("otlp_endpoint: '{NOWHERE}'"));
    let texts = texts();
    for planted in texts.chunks(5) {
        let (program, rest) = planted.split_first().unwrap();
        let variables = [
            ("OTEL_TRACES_SAMPLER", ""),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", ""),
            ("OTEL_PROPAGATORS", "floe,"),
            ("TRACEPARENT", ""),
        ];
        let variables = variables.into_iter().zip(rest);
        // The policy quotes what it found with escapes, in which it does not see a block of YAML.
        let variables = variables.filter(|(_, text)| !text.contains(char::is_control));
        let variables = variables.map(|((name, before), text)| (name, format!("{before}{text}")));
        let said = said(
            command()
                .arg("exec")
                .arg(directory.path().join("manifest.yaml"))
                .args(["--", program])
                .envs(variables),
        );
        assert!(!said.contains(SECRET), "{said}");
        assert_eq!(said.matches("FLOE-E001").count(), 1, "{said}");
        assert!(said.contains("FLOE-X001"), "{said}");
        if rest.len() == 4 && !rest.concat().contains(char::is_control) {
            for code in ["FLOE-P001", "FLOE-H005", "FLOE-M009"] {
                assert!(said.contains(code), "{code}: {said}");
            }
        }
    }
}

#[test]
fn a_manifest_that_is_refused_is_quoted_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    write_manifest(
        directory.path(),
        &format!("logging: {{log_level: 'password={SECRET}'}}"),
    );
    let said = said(
        command()
            .arg("exec")
            .arg(directory.path().join("manifest.yaml"))
            .args(["--", "true"]),
    );
    assert!(!said.contains(SECRET), "{said}");
    assert!(said.contains("\"password=***\" is not allowed here"), "{said}");
    assert!(said.ends_with("the command runs without telemetry\n"), "{said}");
}

#[test]
fn lines_of_the_log_are_redacted_and_as_the_manifest_says() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = directory.path().join(format!("password={SECRET}"));
    fs::create_dir(&pipeline).unwrap();
    let demo = |settings: &str, levels: Option<&str>| {
        write_manifest(&pipeline, settings);
        let mut demo = command();
        demo.args(["demo", "--python", "true", "--endpoint", NOWHERE, "--pipeline"])
            .arg(&pipeline)
            .envs(levels.map(|levels| ("RUST_LOG", levels)));
        let said = said(&mut demo);
        assert!(!said.contains(SECRET), "{said}");
        said
    };
    let json = demo("logging: {json_output: true}", Some("info"));
    let line: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(line["message"], "manifest loaded");
    assert_eq!(line["floe.namespace"], "acme.sales");
    assert!(
        line["floe.compile.manifest"]
            .as_str()
            .unwrap()
            .ends_with("/password=***"),
        "{line}"
    );
    let text = demo("logging: {json_output: false}", Some("info"));
    assert!(
        text.contains(" INFO     floe_telemetry::compile: manifest loaded floe.compile.manifest=\"/")
            && text.contains("/password=***\" trace_id="),
        "{text}"
    );
    for (settings, levels) in [
        ("logging: {json_output: false}", None),
        ("logging: {json_output: false, log_level: ERROR}", Some("info")),
    ] {
        let quiet = demo(settings, levels);
        assert!(!quiet.contains("manifest loaded"), "{quiet}");
    }
}
