//! No Collector: the work is done all the same, ending takes a bounded time, and the loss is counted and said.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails"
)]

#[path = "common/provider.rs"]
mod provider;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use floe_telemetry::OperationKind;

fn undelivered(endpoint: &str, protocol: &str) -> Duration {
    let telemetry = provider::provider("enabled: true", endpoint, protocol);
    let rows = telemetry
        .operation(OperationKind::Custom, "work")
        .run(|_| "42".parse::<u32>());
    assert_eq!(rows, Ok(42));
    let started = Instant::now();
    let lost = telemetry.shutdown().expect_err("nobody took it");
    let took = started.elapsed();
    assert_eq!((lost.spans, lost.logs), (1, 0));
    assert!(lost.endpoints.iter().all(|named| named.starts_with(endpoint)));
    let said = lost.to_string();
    assert!(
        said.starts_with("warning[FLOE-X001]: 1 span and 0 log records were not delivered to ")
            && said.contains(endpoint),
        "{said}"
    );
    // A second time there is nothing to end.
    telemetry.shutdown().unwrap();
    took
}

#[test]
fn ending_is_bounded() {
    // A port that is closed, and one where connections are made and nothing is ever answered.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    for protocol in ["grpc", "http/protobuf"] {
        for address in [closed, hanging.local_addr().unwrap()] {
            let took = undelivered(&format!("http://{address}"), protocol);
            assert!(
                took < Duration::from_millis(3_500),
                "{protocol} {address}: {took:?}"
            );
        }
    }
}
