//! A caller's runtime with a single worker, blocked in the flush: export goes on, by gRPC, on a runtime of its own.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use floe_telemetry::OperationKind;

#[test]
fn nothing_deadlocks() {
    let receiver = receiver::Running::start();
    let caller = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    caller.block_on(async {
        let telemetry = provider::provider("enabled: true", &receiver.endpoint("grpc"), "grpc");
        telemetry
            .operation(OperationKind::Custom, "work")
            .begin()
            .end("success");
        // Blocks the only worker.
        telemetry.shutdown().unwrap();
    });
    assert_eq!(receiver.stop().traces.len(), 1);
}
