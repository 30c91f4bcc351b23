//! What an exporter is told.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

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

/// The TLS of a Collector. It is asked for before each request, so that certificates may be rotated meanwhile.
pub trait TlsSource: Debug + Send + Sync {
    /// The TLS of the next request.
    fn current(&self) -> Tls;
}

/// TLS that never changes.
impl TlsSource for Tls {
    fn current(&self) -> Tls {
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
    pub tls: Option<Arc<dyn TlsSource>>,
}

impl Collector {
    /// The TLS of the next request. In clear text it is there as well, and unused.
    pub(crate) fn tls(&self) -> Result<Arc<dyn TlsSource>, TlsError> {
        Ok(match &self.tls {
            Some(tls) => Arc::clone(tls),
            None if self.endpoint.starts_with("https:") => Arc::new(Tls::new(None, None)?),
            None => Arc::new(Tls::unused()?),
        })
    }
}
