//! Why the receiver could not start, or had to end.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A protocol that the receiver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP.
    Http,
}

impl Protocol {
    fn option(self) -> &'static str {
        match self {
            Self::Grpc => "--grpc-port",
            Self::Http => "--http-port",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "OTLP/gRPC",
            Self::Http => "OTLP/HTTP",
        })
    }
}

/// Why the receiver could not start, or had to end. The text starts with the stable code.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// Something listens there already.
    #[error(
        "FLOE-R001: cannot receive {protocol} on {address}: the address is in use. \
         Stop what listens there (perhaps a Collector, or another `floe-telemetry receive`), \
         or choose another port with {option}; 0 takes a free one.",
        option = .protocol.option()
    )]
    AddressInUse {
        /// What was to be received there.
        protocol: Protocol,
        /// The address.
        address: SocketAddr,
    },
    /// The system refused to listen there.
    #[error("FLOE-R002: cannot receive {protocol} on {address}: {reason}")]
    Listen {
        /// What was to be received there.
        protocol: Protocol,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// Neither protocol was asked for.
    #[error("FLOE-R003: nothing to receive: neither OTLP/gRPC nor OTLP/HTTP was asked for.")]
    NothingToReceive,
    /// The sink failed, so the receiver ended.
    #[error("FLOE-R004: stopped, because what was received could not be written: {0}")]
    Sink(io::Error),
    /// A server ended by itself.
    #[error("FLOE-R005: stopped receiving: {0}")]
    Serve(io::Error),
}

impl ReceiverError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AddressInUse { .. } => "FLOE-R001",
            Self::Listen { .. } => "FLOE-R002",
            Self::NothingToReceive => "FLOE-R003",
            Self::Sink(_) => "FLOE-R004",
            Self::Serve(_) => "FLOE-R005",
        }
    }
}
