//! How far a connection to a Collector comes, step by step, for whoever asks why nothing arrives.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::collector::{Collector, Transport};
use crate::failure::{BuildError, tls_error};
use crate::runtime::Runtime;
use crate::tls::Tls;

/// How long after the handshake a server may take to say that it does not want us: with TLS 1.3 it looks at a client's certificate only then.
const SECOND_THOUGHT: Duration = Duration::from_millis(300);

/// Where an endpoint is.
#[derive(Debug, Clone)]
pub struct Reach {
    host: String,
    port: u16,
    /// For an endpoint of `https`.
    tls: Option<ClientConfig>,
    limit: Duration,
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
    Refused(SocketAddr),
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
    /// What leads to a Collector. Each step may take as long as `limit`.
    pub fn new(collector: &Collector, runtime: &Runtime, limit: Duration) -> Result<Self, BuildError> {
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
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls,
            limit,
            runtime: runtime.clone(),
        })
    }

    /// The addresses of the host.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, Unreached> {
        let nameless = |reason: String| Unreached::Name(self.host.clone(), reason);
        let found = self.within(async {
            lookup_host((self.host.as_str(), self.port))
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

    /// Connects to the first address that answers.
    pub fn connect(&self, addresses: &[SocketAddr]) -> Result<Reached, Unreached> {
        self.within(async {
            let mut failed = Unreached::Connection("there is no address".to_owned());
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        return Ok(Reached {
                            stream,
                            address: *address,
                        });
                    }
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                        failed = Unreached::Refused(*address);
                    }
                    Err(error) => failed = Unreached::Connection(format!("{address}: {error}")),
                }
            }
            Err(failed)
        })
    }

    /// Whether the endpoint asks for TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// TLS, as the exporter does it, on a connection. Only for an endpoint of `https`.
    pub fn secure(&self, reached: Reached) -> Result<Secured, Unreached> {
        match &self.tls {
            Some(config) => self.within(self.handshake(config.clone(), reached)),
            None => Err(Unreached::Connection("the endpoint asks for no TLS".to_owned())),
        }
    }

    /// What the other end speaks in clear text, or that it wants TLS. It makes connections of its own.
    pub fn speech(&self, address: SocketAddr) -> Speech {
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
        self.runtime
            .block_on(async { timeout(self.limit, step).await })
            .and_then(Result::ok)
            .unwrap_or(Err(Unreached::Timeout(self.limit)))
    }
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
