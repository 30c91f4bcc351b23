//! A receiver on a thread of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use floe_telemetry_receiver::{Options, Receiver, Sink, Snapshot, Store};
use tokio::sync::oneshot;

/// A running receiver, and who takes what it receives.
pub(crate) struct Running<S = Store> {
    grpc: SocketAddr,
    http: SocketAddr,
    sink: Arc<S>,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    pub(crate) fn start() -> Self {
        Self::giving(Store::default())
    }

    pub(crate) fn stop(self) -> Snapshot {
        self.end().snapshot()
    }
}

impl<S: Sink + 'static> Running<S> {
    /// A receiver that gives every request to this.
    pub(crate) fn giving(sink: S) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let free = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let receiver = runtime
            .block_on(Receiver::bind(Options {
                grpc: free,
                http: free,
            }))
            .unwrap();
        let (grpc, http) = (receiver.grpc_addr().unwrap(), receiver.http_addr().unwrap());
        let sink = Arc::new(sink);
        let taking = Arc::clone(&sink);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let stopped = async {
                let _ = stopped.await;
            };
            runtime.block_on(receiver.serve(taking, stopped)).unwrap();
        });
        Self {
            grpc,
            http,
            sink,
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

    /// Stops it, and answers who took what it received.
    pub(crate) fn end(self) -> Arc<S> {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
        self.sink
    }
}
