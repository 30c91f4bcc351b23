//! A receiver on a thread of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use floe_telemetry_receiver::{Options, Receiver, Snapshot, Store};
use tokio::sync::oneshot;

/// A running receiver.
pub(crate) struct Running {
    grpc: SocketAddr,
    http: SocketAddr,
    store: Arc<Store>,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let free = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let receiver = runtime
            .block_on(Receiver::bind(Options {
                grpc: free,
                http: free,
            }))
            .unwrap();
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
        Self {
            grpc,
            http,
            store,
            stop,
            thread,
        }
    }

    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        format!(
            "http://{}",
            if protocol == "grpc" { self.grpc } else { self.http }
        )
    }

    pub(crate) fn stop(self) -> Snapshot {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
        self.store.snapshot()
    }
}
