//! What the provider's tests share: a manifest, and a receiver on a thread of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use floe_telemetry::TelemetryProvider;
use floe_telemetry_receiver::{Options, Receiver, Snapshot, Store};
use tokio::sync::oneshot;

const MANIFEST: &str = "
metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
observability:
  telemetry:
    resource_attributes: {service.name: sales-service}
    shutdown_timeout_millis: 3000
";

/// A provider whose Collector is at this address.
pub fn provider(endpoint: &str, protocol: &str) -> TelemetryProvider {
    let directory = tempfile::tempdir().unwrap();
    let manifest: PathBuf = directory.path().join("manifest.yaml");
    std::fs::write(&manifest, MANIFEST).unwrap();
    TelemetryProvider::from_manifest_with(&manifest, |name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        _ => None,
    })
    .unwrap()
}

/// A running receiver.
pub struct Running {
    pub grpc: String,
    pub http: String,
    store: Arc<Store>,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let free = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let receiver = runtime.block_on(Receiver::bind(Options { grpc: free, http: free })).unwrap();
        let (grpc, http) = (receiver.grpc_addr().unwrap(), receiver.http_addr().unwrap());
        let store = Arc::new(Store::default());
        let sink = Arc::clone(&store);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let stopped = async {
                let _ = stopped.await;
            };
            runtime.block_on(receiver.serve(sink, stopped)).unwrap();
        });
        Self { grpc: format!("http://{grpc}"), http: format!("http://{http}"), store, stop, thread }
    }

    pub fn stop(self) -> Snapshot {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
        self.store.snapshot()
    }
}
