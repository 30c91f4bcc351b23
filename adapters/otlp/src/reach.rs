//! How far a connection to a Collector comes, step by step, for whoever asks why nothing arrives.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::collector::{Collector, Transport};
use crate::failure::{BuildError, tls_error};
use crate::runtime::Runtime;
use crate::tls::Tls;

/// How long after the handshake a server may take to say that it does not want us: with TLS 1.3 it looks at a client's certificate only then.
const SECOND_THOUGHT: Duration = Duration::from_millis(300);

/// Where an endpoint is, and the exporter's way to it.
#[derive(Debug, Clone)]
pub struct Reach {
    url: Uri,
    host: String,
    port: u16,
    /// The proxy that the exporter goes through.
    proxy: Option<Intercept>,
    /// For an endpoint of `https`.
    tls: Option<ClientConfig>,
    deadline: Instant,
    runtime: Runtime,
}

/// A connection in clear text.
#[derive(Debug)]
pub struct Reached {
    stream: TcpStream,
    /// The address that answered.
    pub address: SocketAddr,
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// TLS.
    Tls,
    /// HTTP/1.1, as OTLP/HTTP does.
    Http1,
    /// Only HTTP/2, as OTLP/gRPC does.
    Http2,
    /// None of these, or it does not say.
    Unknown,
}

/// A connection with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// Version of TLS, for example `TLSv1_3`.
    pub version: String,
    /// Whether the server chose the protocol that the transport needs; some choose none.
    pub chosen: bool,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unreached {
    /// The host's name has no address.
    #[error("the name {0} has no address: {1}")]
    Name(String, String),
    /// Nobody listens there.
    #[error("{0} refuses the connection")]
    Refused(String),
    /// The proxy does not lead there.
    #[error("the proxy {proxy} does not connect to the endpoint: {reason}")]
    Proxy {
        /// The proxy, without credentials.
        proxy: String,
        /// What it answered.
        reason: String,
    },
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// Another reason.
    #[error("{0}")]
    Connection(String),
    /// The other end closed the connection in the middle of the handshake.
    #[error("the connection was closed during the TLS handshake")]
    Closed,
    /// TLS has something against it.
    #[error("{0}")]
    Tls(rustls::Error),
}

impl Reach {
    /// What leads to a Collector. All steps together may take until `deadline`.
    pub fn new(collector: &Collector, runtime: &Runtime, deadline: Instant) -> Result<Self, BuildError> {
        let wrong = |reason: String| BuildError::Endpoint {
            endpoint: collector.endpoint.clone(),
            reason,
        };
        let url: Uri = collector
            .endpoint
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        let secure = url.scheme_str() == Some("https");
        let host = url.host().ok_or_else(|| wrong("it has no host".to_owned()))?;
        // The client of HTTP takes its proxies from the environment by the same rules; that of gRPC has none.
        let proxy = match collector.transport {
            Transport::HttpProtobuf => Matcher::from_system().intercept(&url),
            Transport::Grpc => None,
        };
        let tls = if secure {
            let mut config = collector.tls()?.current().config();
            // Asking for one only shows a server that has just the other.
            config.alpn_protocols = vec![match collector.transport {
                Transport::Grpc => b"h2".to_vec(),
                Transport::HttpProtobuf => b"http/1.1".to_vec(),
            }];
            Some(config)
        } else {
            None
        };
        Ok(Self {
            // A literal address of IPv6 is in brackets.
            host: bare(host).to_owned(),
            port: port(&url),
            url,
            proxy,
            tls,
            deadline,
            runtime: runtime.clone(),
        })
    }

    /// The proxy on the way, without credentials.
    pub fn proxy(&self) -> Option<String> {
        self.proxy.as_ref().map(|proxy| {
            let url = proxy.uri();
            let scheme = url.scheme_str().unwrap_or("http");
            format!("{scheme}://{}:{}", url.host().unwrap_or_default(), port(url))
        })
    }

    /// The addresses of the host, or of the proxy on the way.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, Unreached> {
        let (host, port) = match self.proxy.as_ref().map(Intercept::uri) {
            Some(url) => (bare(url.host().unwrap_or_default()).to_owned(), port(url)),
            None => (self.host.clone(), self.port),
        };
        let nameless = |reason: String| Unreached::Name(host.clone(), reason);
        let found = self.within(async {
            lookup_host((host.as_str(), port))
                .await
                .map(Iterator::collect)
                .map_err(|error| nameless(error.to_string()))
        })?;
        let addresses: Vec<_> = found;
        if addresses.is_empty() {
            return Err(nameless("there is none".to_owned()));
        }
        Ok(addresses)
    }

    /// Connects as the exporter does: to the first address that answers, and through the proxy on the way.
    pub fn connect(&self) -> Result<Reached, Unreached> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        self.within(async {
            let connection = match &self.proxy {
                Some(proxy) if self.is_secure() => {
                    let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                    if let Some(credential) = proxy.basic_auth() {
                        tunnel = tunnel.with_auth(credential.clone());
                    }
                    let connection = tunnel.call(self.url.clone()).await;
                    connection.map_err(|error| self.unconnected(&error, true))
                }
                Some(proxy) => {
                    let connection = tcp.call(proxy.uri().clone()).await;
                    connection.map_err(|error| self.unconnected(&error, false))
                }
                None => {
                    let connection = tcp.call(self.url.clone()).await;
                    connection.map_err(|error| self.unconnected(&error, false))
                }
            };
            let stream = connection?.into_inner();
            let address = stream.peer_addr().map_err(|error| unsecured(&error))?;
            Ok(Reached { stream, address })
        })
    }

    /// Why there is no connection. What is not the system's refusal is a proxy's that was asked for a tunnel.
    fn unconnected(&self, error: &(dyn Error + 'static), is_tunnel: bool) -> Unreached {
        let at = self.proxy().unwrap_or_else(|| match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        });
        match system(error) {
            Some(error) if error.kind() == ErrorKind::ConnectionRefused => Unreached::Refused(at),
            Some(error) => Unreached::Connection(format!("{at}: {error}")),
            None if is_tunnel => Unreached::Proxy {
                proxy: at,
                reason: error.to_string(),
            },
            None => Unreached::Connection(format!("{at}: {error}")),
        }
    }

    /// Whether the endpoint asks for TLS, and it can be tried apart from an export: not behind a proxy that asks for TLS itself.
    pub fn is_secure(&self) -> bool {
        let behind_tls = |proxy: &Intercept| proxy.uri().scheme_str() == Some("https");
        self.tls.is_some() && !self.proxy.as_ref().is_some_and(behind_tls)
    }

    /// TLS, as the exporter does it, on a connection. Only for an endpoint of `https`.
    pub fn secure(&self, reached: Reached) -> Result<Secured, Unreached> {
        match &self.tls {
            Some(config) => self.within(self.handshake(config.clone(), reached)),
            None => Err(Unreached::Connection("the endpoint asks for no TLS".to_owned())),
        }
    }

    /// What the other end speaks in clear text, or that it wants TLS. It makes connections of its own, none of them through a proxy.
    pub fn speech(&self, address: SocketAddr) -> Speech {
        if self.proxy.is_some() {
            return Speech::Unknown;
        }
        self.within(async {
            if self.greeted(address).await {
                return Ok(Speech::Tls);
            }
            let mut stream = TcpStream::connect(address)
                .await
                .map_err(|error| unsecured(&error))?;
            let question = format!(
                "GET / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
                self.host
            );
            let mut answer = [0; 5];
            let asked = stream.write_all(question.as_bytes()).await;
            let read = match asked {
                Ok(()) => stream.read_exact(&mut answer).await,
                Err(error) => Err(error),
            };
            Ok(match (read, answer) {
                (Ok(_), [b'H', b'T', b'T', b'P', b'/']) => Speech::Http1,
                // The fourth byte of a frame is its type; a server of HTTP/2 starts with SETTINGS, or ends with GOAWAY (RFC 9113).
                (Ok(_), [0, _, _, 4 | 7, _]) => Speech::Http2,
                _ => Speech::Unknown,
            })
        })
        .unwrap_or(Speech::Unknown)
    }

    /// Whether there is an answer of TLS to a greeting of TLS.
    async fn greeted(&self, address: SocketAddr) -> bool {
        let (Ok(tls), Ok(stream)) = (Tls::unused(), TcpStream::connect(address).await) else {
            return false;
        };
        match self.handshake(tls.config(), Reached { stream, address }).await {
            Ok(_) => true,
            // It showed a certificate or an alert.
            Err(Unreached::Tls(error)) => !matches!(error, rustls::Error::InvalidMessage(_)),
            Err(_) => false,
        }
    }

    async fn handshake(&self, config: ClientConfig, reached: Reached) -> Result<Secured, Unreached> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| Unreached::Name(self.host.clone(), error.to_string()))?;
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, reached.stream)
            .await
            .map_err(|error| unsecured(&error))?;
        let session = stream.get_ref().1;
        let secured = Secured {
            version: session
                .protocol_version()
                .as_ref()
                .and_then(ProtocolVersion::as_str)
                .unwrap_or("TLS")
                .to_owned(),
            chosen: session.alpn_protocol().is_some(),
        };
        match timeout(SECOND_THOUGHT, stream.read_u8()).await {
            Ok(Err(error)) if tls_error(&error).is_some() => Err(unsecured(&error)),
            _ => Ok(secured),
        }
    }

    fn within<T>(&self, step: impl Future<Output = Result<T, Unreached>>) -> Result<T, Unreached> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.runtime
            .block_on(async { timeout(left, step).await })
            .and_then(Result::ok)
            .unwrap_or(Err(Unreached::Timeout(left)))
    }
}

/// A host without the brackets of a literal address of IPv6.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn port(url: &Uri) -> u16 {
    let default = if url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    url.port_u16().unwrap_or(default)
}

/// What the system said, wherever in the chain.
fn system<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn unsecured(error: &io::Error) -> Unreached {
    match tls_error(error) {
        Some(error) => Unreached::Tls(error),
        None if matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ) =>
        {
            Unreached::Closed
        }
        None => Unreached::Connection(error.to_string()),
    }
}
