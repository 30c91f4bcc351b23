//! What an exporter is told.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rustls::ClientConfig;

use crate::tls::{Tls, TlsError};

/// OTLP transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf payloads.
    HttpProtobuf,
}

/// The headers that the policy adds to every request. They are asked for before each one, so that a credential may change meanwhile.
pub trait Headers: Debug + Send + Sync {
    /// The headers of the next request, credentials marked as sensitive.
    fn current(&self) -> HeaderMap;
}

/// No headers, or headers that never change.
impl Headers for HeaderMap {
    fn current(&self) -> HeaderMap {
        self.clone()
    }
}

/// Where the telemetry of one signal goes, and how.
#[derive(Debug, Clone)]
pub struct Collector {
    /// With HTTP the URL as it is used, the signal's path included; with gRPC the URL of scheme, host and port.
    pub endpoint: String,
    /// Transport.
    pub transport: Transport,
    /// Longest time for one export, retries included.
    pub timeout: Duration,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
    /// Headers of every request.
    pub headers: Arc<dyn Headers>,
    /// TLS of an endpoint of `https`; without it the Collector's certificate must be of an authority that the machine trusts.
    pub tls: Option<Tls>,
}

impl Collector {
    /// The TLS configuration, without protocols of the application: each transport adds its own.
    pub(crate) fn tls(&self) -> Result<ClientConfig, TlsError> {
        match &self.tls {
            Some(tls) => Ok(tls.config()),
            None if self.endpoint.starts_with("https:") => Ok(Tls::new(None, None)?.config()),
            None => Ok(Tls::unused()?.config()),
        }
    }
}
