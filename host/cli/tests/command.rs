//! The command as its user meets it: messages, codes and exit statuses.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

const VALID: &str = "
metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
observability: {telemetry: {otlp_endpoint: 'http://127.0.0.1:9', shutdown_timeout_millis: 500}}
";

struct Run {
    directory: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join("manifest.yaml");
        fs::write(&path, content).unwrap();
        path
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floe-telemetry"));
        // Nothing of the caller's environment but what programs need to run.
        command.env_clear();
        command.envs(
            std::env::vars().filter(|(name, _)| ["PATH", "HOME", "FLOE_CACHE"].contains(&name.as_str())),
        );
        command
    }
}

/// Exit status, standard output, standard error; never a panic.
fn outcome(mut command: Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    (status.code(), String::from_utf8(stdout).unwrap(), stderr)
}

#[test]
fn a_valid_manifest() {
    let run = Run::new();
    let mut command = run.command();
    command.arg("validate").arg(run.file(VALID));
    let (status, stdout, stderr) = outcome(command);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("is valid"));

    let mut command = run.command();
    command.arg("plan").arg(run.file(VALID));
    let (status, stdout, _) = outcome(command);
    let plan: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(status, Some(0));
    assert_eq!(plan["exporter"]["endpoint"], "http://127.0.0.1:9");
    assert_eq!(plan["span_attributes"]["floe.namespace"], "acme.sales");
    assert_eq!(plan["sampling"]["tracestate"], "ot=th:0");
}

#[test]
fn manifests_that_are_refused() {
    let run = Run::new();
    let manifests: [(&[u8], &str); 8] = [
        (b"", "FLOE-M002"),
        (b"\xff\xfe\x00a", "FLOE-H002"),
        (b"a: [1", "FLOE-M001"),
        (b"a: &a [*a]", "FLOE-M001"),
        (b"just text", "FLOE-M004"),
        (b"observability: {telemetri: {}}", "FLOE-M003"),
        (b"observability: {telemetry: {}}", "FLOE-M007"),
        (&vec![b'#'; 2 * 1024 * 1024], "FLOE-H003"),
    ];
    for (content, code) in manifests {
        for subcommand in ["validate", "plan"] {
            let mut command = run.command();
            command.arg(subcommand).arg(run.file(content));
            let (status, stdout, stderr) = outcome(command);
            assert_eq!((status, stdout.as_str()), (Some(1), ""), "{code}");
            assert!(
                stderr.contains(code) && stderr.contains("help: "),
                "{code}: {stderr}"
            );
        }
    }
    for (path, code) in [
        (run.directory.path().join("none.yaml"), "FLOE-H001"),
        (run.directory.path().to_owned(), "FLOE-H004"),
    ] {
        let mut command = run.command();
        command.arg("validate").arg(path);
        let (status, _, stderr) = outcome(command);
        assert_eq!(status, Some(1));
        assert!(stderr.contains(code), "{stderr}");
    }
}

#[test]
fn a_component_that_is_none() {
    let run = Run::new();
    let component = run.directory.path().join("policy.wasm");
    fs::write(&component, b"\0asm\x01\0\0\0").unwrap();
    let mut command = run.command();
    command
        .arg("validate")
        .arg(run.file(VALID))
        .env("FLOE_TELEMETRY_COMPONENT", &component);
    let (status, _, stderr) = outcome(command);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("FLOE-C003"), "{stderr}");
}

#[test]
fn a_port_in_use() {
    let run = Run::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = run.command();
    command.args([
        "receive",
        "--http-port",
        "0",
        "--grpc-port",
        &taken.local_addr().unwrap().port().to_string(),
    ]);
    let (status, _, stderr) = outcome(command);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("FLOE-R001"), "{stderr}");
}

#[test]
fn exec_hands_the_context_on_and_the_status_back() {
    let run = Run::new();
    let manifest = run.file(VALID);
    let mut command = run.command();
    command.arg("exec").arg(&manifest).args([
        "--",
        "sh",
        "-c",
        "echo $TRACEPARENT $BAGGAGE $FLOE_TELEMETRY_MANIFEST; exit 7",
    ]);
    command.env(
        "TRACEPARENT",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    let (status, stdout, stderr) = outcome(command);
    assert_eq!(status, Some(7));
    assert!(
        stdout.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{stdout}"
    );
    assert!(
        !stdout.contains("00f067aa0ba902b7"),
        "the child continues the operation: {stdout}"
    );
    assert!(
        stdout.contains("floe.namespace=acme.sales") && stdout.contains("manifest.yaml"),
        "{stdout}"
    );
    // Nobody listens at the Collector's port.
    assert!(stderr.contains("FLOE-X001"), "{stderr}");
}

#[test]
fn exec_without_telemetry_still_runs() {
    let run = Run::new();
    let mut command = run.command();
    command
        .arg("exec")
        .arg(run.file("a: [1"))
        .args(["--", "sh", "-c", "echo ran $TRACEPARENT"]);
    command.env(
        "TRACEPARENT",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    let (status, stdout, stderr) = outcome(command);
    assert_eq!(status, Some(0));
    assert_eq!(
        stdout,
        "ran 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n"
    );
    assert!(stderr.contains("FLOE-M001"), "{stderr}");
}

#[test]
fn exec_of_nothing() {
    let run = Run::new();
    let mut command = run.command();
    command
        .arg("exec")
        .arg(run.file(VALID))
        .args(["--", "/nowhere/program"]);
    let (status, _, stderr) = outcome(command);
    assert_eq!(status, Some(127));
    assert!(stderr.contains("FLOE-E001"), "{stderr}");
}
