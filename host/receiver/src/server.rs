//! Listening, serving and stopping.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::batch::{Intake, Sink};
use crate::error::{Protocol, ReceiverError};
use crate::{grpc, http};

/// No request may be larger than this, neither as it is sent nor when it is decompressed.
pub(crate) const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// How long requests that are under way may take when the receiver stops.
const GRACE: Duration = Duration::from_secs(2);

/// Where to listen. A protocol without an address is not received; port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// For OTLP/gRPC.
    pub grpc: Option<SocketAddr>,
    /// For OTLP/HTTP.
    pub http: Option<SocketAddr>,
}

/// An OTLP receiver that listens; [`serve`](Self::serve) makes it answer.
#[derive(Debug)]
pub struct Receiver {
    grpc: Option<Listener>,
    http: Option<Listener>,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Receiver {
    /// Listens at the addresses. From here on exporters can connect; they are answered by [`serve`](Self::serve).
    pub async fn bind(options: Options) -> Result<Self, ReceiverError> {
        if options.grpc.is_none() && options.http.is_none() {
            return Err(ReceiverError::NothingToReceive);
        }
        Ok(Self {
            grpc: listen(Protocol::Grpc, options.grpc).await?,
            http: listen(Protocol::Http, options.http).await?,
        })
    }

    /// Where it listens for OTLP/gRPC.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|listener| listener.address)
    }

    /// Where it listens for OTLP/HTTP.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|listener| listener.address)
    }

    /// Gives every accepted request to `sink`, until `shutdown` or until the sink fails. Requests that are under
    /// way are finished, for two seconds at most.
    pub async fn serve(
        self,
        sink: Arc<dyn Sink>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ReceiverError> {
        let (intake, mut failed) = Intake::new(sink);
        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        if let Some(listener) = self.grpc {
            servers.spawn(serve_one(listener, grpc::router(&intake), stopped.clone()));
        }
        if let Some(listener) = self.http {
            servers.spawn(serve_one(listener, http::router(intake.clone()), stopped));
        }

        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            Some(error) = failed.recv() => Err(ReceiverError::Sink(error)),
            Some(ended) = servers.join_next() => {
                let ended = ended.unwrap_or_else(|died| Err(io::Error::other(died)));
                Err(ReceiverError::Serve(ended.err().unwrap_or_else(|| io::Error::other("a server ended"))))
            }
        };
        stop.send_replace(true);
        // What still runs when the time is up is dropped with the set.
        let _ = timeout(GRACE, async { while servers.join_next().await.is_some() {} }).await;
        outcome
    }
}

async fn listen(protocol: Protocol, address: Option<SocketAddr>) -> Result<Option<Listener>, ReceiverError> {
    let Some(address) = address else { return Ok(None) };
    let bound = async {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Listener { socket, address })
    };
    bound
        .await
        .map(Some)
        .map_err(|reason: io::Error| match reason.kind() {
            io::ErrorKind::AddrInUse => ReceiverError::AddressInUse { protocol, address },
            _ => ReceiverError::Listen {
                protocol,
                address,
                reason,
            },
        })
}

async fn serve_one(listener: Listener, router: Router, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    let stopping = async move {
        // An error means that the receiver itself is gone, which is a stop too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    axum::serve(listener.socket, router)
        .with_graceful_shutdown(stopping)
        .await
}
