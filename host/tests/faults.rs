//! Whatever of ours fails, the user's program does what it would do without us: its results, its time, its standard output.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "common/sabotage.rs"]
mod sabotage;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use floe_telemetry::{Manifest, OperationKind, Outcome, TelemetryProvider};
use opentelemetry::trace::Tracer as _;
use opentelemetry::{Context, global};
use sabotage::{Harm, sabotaged};
use tracing_subscriber::prelude::*;

const CHILD: &str = "FLOE_TEST_CHILD";
const MANIFEST: &str = "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\nobservability: {telemetry: {otlp_endpoint: \"http://127.0.0.1:9\", shutdown_timeout_millis: 500, sampling: {limit: 1000, rules: [{match: {name: rule*}, ratio: 1}]}}}";

/// What the user's program does; in the tests' own process, nothing.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let manifest = Manifest::new("manifest", MANIFEST).with_variables(|_| None);
    let telemetry = TelemetryProvider::from_manifest(&manifest).unwrap_or_else(|error| {
        eprintln!("{error}");
        TelemetryProvider::disabled()
    });
    tracing_subscriber::registry()
        .with(telemetry.layer())
        .with(telemetry.console(std::io::stdout, false))
        .init();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let telemetry = &telemetry;
            scope.spawn(move || work(telemetry, number));
        }
    });
    let enabled = telemetry.plan().is_some();
    drop(telemetry);
    println!("done, enabled: {enabled}");
}

fn work(telemetry: &TelemetryProvider, number: usize) {
    let incoming = BTreeMap::from([
        (
            "traceparent".to_owned(),
            format!("00-{:032x}-{:016x}-01", number + 1, number + 1),
        ),
        ("tracestate".to_owned(), "a=1,ot=th:8".to_owned()),
        ("baggage".to_owned(), "k=v".to_owned()),
    ]);
    let carrier: std::collections::HashMap<String, String> = incoming.into_iter().collect();
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
    for round in 0..20 {
        let operation = telemetry
            .operation(OperationKind::Custom, format!("load {round}"))
            .parent(&context);
        let rows: Result<usize, std::num::ParseIntError> = operation.run(|operation| {
            operation.fact("rows", 42);
            tracing::info!(number, round, "loading with password=hunter2");
            global::tracer("library").in_span("rule of a library", |_| ());
            "42".parse()
        });
        assert_eq!(rows, Ok(42));
        let failed: Result<(), String> = telemetry
            .operation(OperationKind::Custom, "fail")
            .run(|_| Err("broken".to_owned()));
        assert_eq!(failed, Err("broken".to_owned()));
        for (word, outcome) in [
            ("success", Outcome::Success),
            ("skipped", Outcome::Skipped),
            ("error", Outcome::Error),
        ] {
            let operation = telemetry.operation(OperationKind::Custom, "by hand").begin();
            assert_eq!(operation.end(word), outcome, "{word}");
        }
        let environment = telemetry.environment(&Context::current());
        assert!(environment.iter().all(|(_, value)| value.len() <= 8192));
    }
}

/// The child under a component, started by these words of a shell.
fn run(component: Option<&Path>, before: &str) -> Output {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{before} exec \"$0\" --exact child --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(component) = component {
        command.env("FLOE_TELEMETRY_COMPONENT", component);
    }
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |stream: &mut dyn std::io::Read| {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        text
    };
    std::thread::scope(|scope| {
        let stdout = scope.spawn(move || read(&mut out));
        let stderr = scope.spawn(move || read(&mut err));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            // Far more than it takes on a busy machine.
            if started.elapsed() > Duration::from_secs(240) {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Output {
            status,
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
        }
    })
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn unharmed(what: &str, output: &Output) {
    let (stdout, stderr) = texts(output);
    assert!(
        output.status.success(),
        "{what}: {}\n{stdout}\n{stderr}",
        output.status
    );
    assert!(
        stdout.contains("done, enabled: true"),
        "{what}: {stdout}\n{stderr}"
    );
    assert!(
        !stdout.contains("hunter2") && !stderr.contains("hunter2"),
        "{what}: {stdout}\n{stderr}"
    );
    for line in stderr.lines().filter(|line| line.contains("warning[FLOE-C")) {
        assert_eq!(stderr.matches(line).count(), 1, "{what} is said once: {stderr}");
    }
}

fn harmed(export: &str, harm: Harm) {
    let directory = tempfile::tempdir().unwrap();
    let component = directory.path().join("policy.wasm");
    std::fs::write(&component, sabotaged(export, harm)).unwrap();
    unharmed(&format!("{export} {harm:?}"), &run(Some(&component), ""));
}

#[test]
fn a_policy_that_traps_costs_no_result() {
    for export in [
        "propagation#extract",
        "propagation#inject",
        "propagation#child-baggage",
        "sampling#intent",
        "sampling#decide",
        "sampling#pace",
        "operations#begin",
        "operations#end",
        "errors#classify",
        "errors#redact",
        "errors#names-secret",
    ] {
        harmed(export, Harm::Traps);
    }
}

#[test]
fn a_policy_that_cannot_be_had_costs_no_result() {
    let directory = tempfile::tempdir().unwrap();
    let component = directory.path().join("policy.wasm");
    for export in [
        "describe#describe",
        "configuration#configure",
        "configuration#variables",
    ] {
        std::fs::write(&component, sabotaged(export, Harm::Traps)).unwrap();
        let output = run(Some(&component), "");
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{export}: {stdout}\n{stderr}");
        assert!(stderr.contains("FLOE-C006"), "{export}: {stderr}");
    }
}

#[test]
fn address_space_may_be_short() {
    for kibibytes in [6_291_456, 3_000_000] {
        let output = run(None, &format!("ulimit -v {kibibytes};"));
        unharmed(&format!("ulimit -v {kibibytes}"), &output);
    }
}
