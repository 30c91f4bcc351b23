//! Operations that take long say so, those that nobody ends are ended, and those of a process that died are reported by the next one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use floe_telemetry::OperationKind;
use floe_telemetry_receiver::Snapshot;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

const MODE: &str = "FLOE_TEST_MODE";
const ENDPOINT: &str = "FLOE_TEST_ENDPOINT";

/// What a child of the tests does; in the tests' own process, nothing.
#[test]
fn child() {
    let (Ok(mode), Ok(endpoint)) = (std::env::var(MODE), std::env::var(ENDPOINT)) else {
        return;
    };
    let settings = "operations: {heartbeat_interval: 1, abandoned_after: 3}";
    let telemetry = provider::provider(settings, &endpoint, "grpc");
    match mode.as_str() {
        "forgets" => {
            let forgotten = telemetry.operation(OperationKind::Custom, "forgotten").begin();
            telemetry
                .operation(OperationKind::Custom, "short")
                .begin()
                .end("success");
            let long = telemetry.operation(OperationKind::Custom, "long").begin();
            sleep(Duration::from_millis(2500));
            long.end("success");
            sleep(Duration::from_millis(2000));
            forgotten.end("success");
        }
        "dies" => {
            let _run = telemetry
                .operation(OperationKind::PipelineRun, "daily")
                .fact("source", "postgres://ann:hunter2@db/sales")
                .begin();
            let done = telemetry.operation(OperationKind::Custom, "done").begin();
            sleep(Duration::from_millis(2500));
            done.end("success");
            std::process::abort();
        }
        _ => sleep(Duration::from_millis(500)),
    }
    telemetry.shutdown().unwrap();
}

fn start(mode: &str, endpoint: &str, state: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(MODE, mode)
        .env(ENDPOINT, endpoint)
        .env("FLOE_STATE_DIR", state)
        .spawn()
        .unwrap()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let pair = attributes.iter().find(|pair| pair.key == key)?;
    match pair.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn files(state: &Path) -> usize {
    fs::read_dir(state.join("inflight")).map_or(0, Iterator::count)
}

/// Log records of each event name, of the operation of this name.
fn beats(received: &Snapshot, name: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let within = received.traces.iter().flat_map(|trace| {
        let spans: Vec<_> = trace.spans.values().map(|record| &record.span.span_id).collect();
        let logs = trace.logs.iter();
        logs.filter(move |entry| spans.contains(&&entry.record.span_id))
    });
    for entry in within {
        if text(&entry.record.attributes, "floe.operation.name").as_deref() == Some(name) {
            *found.entry(entry.record.event_name.clone()).or_default() += 1;
        }
    }
    found
}

#[test]
fn a_long_operation_says_so_and_one_that_nobody_ends_is_ended() {
    let receiver = receiver::Running::start();
    let state = tempfile::tempdir().unwrap();
    let mut process = start("forgets", &receiver.endpoint("grpc"), state.path());
    assert!(process.wait().unwrap().success());
    assert_eq!(files(state.path()), 0, "all that was recorded has ended");

    let received = receiver.stop();
    let spans: Vec<_> = received
        .traces
        .iter()
        .flat_map(|trace| trace.spans.values())
        .map(|record| &record.span)
        .collect();
    assert_eq!(spans.len(), 3);
    for (name, error) in [("forgotten", Some("abandoned")), ("long", None), ("short", None)] {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(text(&span.attributes, "error.type").as_deref(), error, "{name}");
    }
    let forgotten = spans.iter().find(|span| span.name == "forgotten").unwrap();
    let seconds = (forgotten.end_time_unix_nano - forgotten.start_time_unix_nano) / 1_000_000_000;
    assert!((3..=4).contains(&seconds), "{seconds}");
    for name in ["long", "forgotten"] {
        assert_eq!(
            beats(&received, name).get("floe.operation.started"),
            Some(&1),
            "{name}"
        );
    }
    assert!(beats(&received, "forgotten").contains_key("floe.operation.heartbeat"));
    assert!(beats(&received, "short").is_empty());
}

#[test]
fn what_a_process_did_not_live_to_end_the_next_one_reports() {
    let receiver = receiver::Running::start();
    let state = tempfile::tempdir().unwrap();
    let mut dying = start("dies", &receiver.endpoint("grpc"), state.path());
    let pid = dying.id().to_string();
    sleep(Duration::from_millis(1800));
    // Not what lives.
    let mut early = start("reports", &receiver.endpoint("grpc"), state.path());
    assert!(early.wait().unwrap().success());
    assert_eq!(files(state.path()), 1);
    assert!(!dying.wait().unwrap().success());
    let file = fs::read_dir(state.path().join("inflight"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let record = fs::read_to_string(file.path()).unwrap();
    assert!(!record.contains("hunter2"), "{record}");
    let begin: serde_json::Value =
        serde_json::from_str(record.lines().find(|line| line.contains("pipeline-run")).unwrap()).unwrap();
    // Another product's is for another process.
    for (own, other) in [
        ("sales", "payroll"),
        ("dev", "prod"),
        ("acme.sales", "acme.payroll"),
    ] {
        let theirs = record.replace(&format!(":\"{own}\""), &format!(":\"{other}\""));
        assert_ne!(theirs, record, "{own}");
        fs::write(file.path(), theirs).unwrap();
        let mut stranger = start("reports", &receiver.endpoint("grpc"), state.path());
        assert!(stranger.wait().unwrap().success());
        assert_eq!(files(state.path()), 1, "{other}");
    }
    // The last line was cut, and another is of a newer version.
    fs::write(
        file.path(),
        format!("{record}{{\"later\": 1}}\n{{\"begin\": {{\"trace"),
    )
    .unwrap();

    for _ in 0..2 {
        let mut next = start("reports", &receiver.endpoint("grpc"), state.path());
        assert!(next.wait().unwrap().success());
        assert_eq!(files(state.path()), 0);
    }
    let received = receiver.stop();
    let spans: Vec<_> = received
        .traces
        .iter()
        .flat_map(|trace| trace.spans.values())
        .map(|record| &record.span)
        .collect();
    assert_eq!(spans.len(), 1, "what had ended died with its process");
    let span = spans[0];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(begin["begin"]["trace_id"], hex(&span.trace_id));
    assert_eq!(begin["begin"]["span_id"], hex(&span.span_id));
    assert_eq!(
        i64::try_from(span.start_time_unix_nano).ok(),
        begin["begin"]["start"].as_i64()
    );
    assert!(span.end_time_unix_nano - span.start_time_unix_nano > 2_000_000_000);
    for (key, value) in [
        ("error.type", "abandoned"),
        ("floe.outcome", "error"),
        ("process.pid", pid.as_str()),
        ("floe.pipeline.name", "daily"),
    ] {
        assert_eq!(
            text(&span.attributes, key).as_deref(),
            Some(value),
            "{key}: {span:?}"
        );
    }
}
