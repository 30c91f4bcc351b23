//! A loss is said once and with its reason, when it begins, and summed at the end: on standard error where the subscriber has nothing but the layer that
//! exports.

#[path = "common/provider.rs"]
mod provider;

use std::net::TcpListener;
use std::process::Command;

use floe_telemetry::OperationKind;
use tracing_subscriber::prelude::*;

const CHILD: &str = "FLOE_TEST_CHILD";

/// What a process does whose Collector is away; in the tests' own process, nothing.
#[test]
fn child() {
    let Ok(mode) = std::env::var(CHILD) else {
        return;
    };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = if mode.contains("closed") {
        closed
    } else {
        hanging.local_addr().unwrap()
    };
    let protocol = if mode.contains("grpc") {
        "grpc"
    } else {
        "http/protobuf"
    };
    let settings = "timeout_millis: 300, batch_processor: {max_queue_size: 8, max_export_batch_size: 4, schedule_delay_millis: 100}";
    let telemetry = provider::provider(settings, &format!("http://{address}"), protocol);
    tracing_subscriber::registry().with(telemetry.layer()).init();
    for _ in 0..40 {
        let done: Result<(), String> = telemetry.operation(OperationKind::Custom, "work").run(|_| {
            tracing::info!("working");
            Ok(())
        });
        done.unwrap();
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    eprintln!("the program ends");
    let counts = telemetry.counts();
    for signal in [counts.traces, counts.metrics, counts.logs] {
        assert_eq!(
            signal.produced,
            signal.delivered + signal.queued + signal.dropped.total()
        );
    }
    drop(telemetry);
}

#[test]
fn losses_are_said_on_standard_error() {
    for mode in ["closed grpc", "closed http", "hanging grpc", "hanging http"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, mode)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{mode}: {said}");
        let (while_it_runs, at_the_end) = said.split_once("the program ends").unwrap();
        for loss in [
            "spans are lost (queue_full)",
            "spans are lost (unavailable)",
            "log records are lost (queue_full)",
        ] {
            assert_eq!(while_it_runs.matches(loss).count(), 1, "{mode}: {loss}: {said}");
        }
        assert_eq!(
            at_the_end
                .matches("warning[FLOE-X001]: 40 spans and 40 log records")
                .count(),
            1,
            "{mode}: {said}"
        );
        assert!(at_the_end.contains("queue_full: "), "{mode}: {said}");
    }
}
