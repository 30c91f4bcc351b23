//! Requests to a Collector, with retries, within the time that one export may take.

use std::error::Error;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable as _};
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use rustls::ClientConfig;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic_prost::ProstCodec;

use crate::collector::{Collector, Headers, TlsSource, Transport};
use crate::failure::{Accepted, BuildError, Failure};
use crate::signal::Signal;
use crate::tls::Tls;

/// Largest request (OTLP specification 1.11, "OTLP/gRPC" and "OTLP/HTTP").
const LARGEST: usize = 64 * 1024 * 1024;
/// Largest request that servers take unless they are told otherwise: a message of gRPC, and a body of the Collector's HTTP receiver. What has more and
/// can be split is split.
const USUAL_GRPC: usize = 4 * 1024 * 1024;
const USUAL_HTTP: usize = 20 * 1024 * 1024;
/// The wait before a request is sent again, which doubles each time, up to the longest.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Most bytes of an answer that are read: OTLP's have a few hundred.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// How long a connection is silent before the other end is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);
/// OTLP exporter specification, "User Agent": a distribution puts itself first.
const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "floe-telemetry/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
));
const PROTOBUF: &str = "application/x-protobuf";

/// A connection to a Collector that opens when it is needed and again when it broke or is to have another TLS.
#[derive(Debug)]
pub(crate) struct Client {
    url: Uri,
    transport: Transport,
    gzip: bool,
    headers: Arc<dyn Headers>,
    timeout: Duration,
    tls: Arc<dyn TlsSource>,
    current: Mutex<(Tls, Wire)>,
}

/// A client of HTTP/2 as tonic needs one.
type GrpcClient = Grpc<HyperClient<HttpsConnector<HttpConnector>, Body>>;

#[derive(Debug, Clone)]
enum Wire {
    Grpc(Box<GrpcClient>),
    Http(reqwest::Client),
}

impl Client {
    pub(crate) fn new(collector: &Collector) -> Result<Self, BuildError> {
        let url: Uri = collector
            .endpoint
            .parse()
            .map_err(|error: http::uri::InvalidUri| BuildError::Endpoint {
                endpoint: collector.endpoint.clone(),
                reason: error.to_string(),
            })?;
        let source = collector.tls()?;
        let tls = source.current();
        let wire = wire(&url, collector.transport, collector.gzip, &tls).map_err(BuildError::Client)?;
        Ok(Self {
            url,
            transport: collector.transport,
            gzip: collector.gzip,
            headers: Arc::clone(&collector.headers),
            timeout: collector.timeout,
            tls: source,
            current: Mutex::new((tls, wire)),
        })
    }

    /// The connection of the TLS that holds now.
    fn wire(&self) -> Result<Wire, Failure> {
        let tls = self.tls.current();
        {
            let current = self.current();
            if tls.is(&current.0) {
                return Ok(current.1.clone());
            }
        }
        let wire = wire(&self.url, self.transport, self.gzip, &tls)
            .map_err(|reason| Failure::Connection { reason, tls: None })?;
        *self.current() = (tls, wire.clone());
        Ok(wire)
    }

    fn current(&self) -> MutexGuard<'_, (Tls, Wire)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When an export that begins now is over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Whether a request has more than servers usually take.
    pub(crate) fn is_too_large<S: Signal>(&self, request: &S::Request) -> bool {
        let most = match self.transport {
            Transport::Grpc => USUAL_GRPC,
            Transport::HttpProtobuf => USUAL_HTTP,
        };
        request.encoded_len() > most
    }

    /// Sends a request, again while its failure may pass, until its time is over, and answers what became of it.
    pub(crate) async fn send<S: Signal>(
        &self,
        request: &S::Request,
        deadline: Instant,
    ) -> Result<Accepted, Failure> {
        let size = request.encoded_len();
        if size > LARGEST {
            return Err(Failure::TooLarge(size));
        }
        let backoff = ExponentialBuilder::default()
            .with_min_delay(SHORTEST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times();
        // Says more than that the time was over.
        let last = Mutex::new(None);
        let attempts = (|| self.attempt::<S>(request))
            .retry(backoff)
            .sleep(tokio::time::sleep)
            .when(Failure::is_transient)
            .adjust(|failure, wait| wait.map(|wait| wait.max(failure.delay().unwrap_or_default())))
            .notify(|failure, _| {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
            });
        match tokio::time::timeout_at(deadline.into(), attempts).await {
            Ok(result) => result,
            Err(_) => Err(last
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
                .unwrap_or(Failure::Timeout(self.timeout))),
        }
    }

    async fn attempt<S: Signal>(&self, request: &S::Request) -> Result<Accepted, Failure> {
        let mut headers = self.headers.current();
        headers.entry(USER_AGENT).or_insert(AGENT);
        match self.wire()? {
            Wire::Grpc(client) => call::<S>(*client, request.clone(), headers).await,
            Wire::Http(client) => {
                post::<S>(&client, &self.url, request.encode_to_vec(), self.gzip, headers).await
            }
        }
    }
}

/// What requests go through, or why there is none.
fn wire(url: &Uri, transport: Transport, gzip: bool, tls: &Tls) -> Result<Wire, String> {
    match transport {
        Transport::Grpc => Ok(Wire::Grpc(Box::new(grpc(url.clone(), tls.config(), gzip)))),
        Transport::HttpProtobuf => http(tls.config())
            .map(Wire::Http)
            .map_err(|error| error.to_string()),
    }
}

fn grpc(url: Uri, tls: ClientConfig, gzip: bool) -> GrpcClient {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(SILENCE));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http2()
        .wrap_connector(tcp);
    let client = HyperClient::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector);
    let client = Grpc::with_origin(client, url);
    if gzip {
        client
            .send_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Gzip)
    } else {
        client
    }
}

fn http(tls: ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // Credentials go to the endpoint that the policy checked and to no other.
        .redirect(reqwest::redirect::Policy::none())
        .tcp_keepalive(SILENCE)
        .build()
}

async fn call<S: Signal>(
    mut client: GrpcClient,
    request: S::Request,
    headers: HeaderMap,
) -> Result<Accepted, Failure> {
    let size = request.encoded_len();
    let mut request = tonic::Request::new(request);
    *request.metadata_mut() = MetadataMap::from_headers(headers.clone());
    client
        .ready()
        .await
        .map_err(|error| Failure::connection(&error))?;
    client
        .unary(
            request,
            PathAndQuery::from_static(S::METHOD),
            ProstCodec::<S::Request, S::Response>::default(),
        )
        .await
        .map(|response| S::accepted(response.into_inner()))
        .map_err(|status| Failure::grpc(&status, &headers, size))
}

async fn post<S: Signal>(
    client: &reqwest::Client,
    url: &Uri,
    body: Vec<u8>,
    gzip: bool,
    headers: HeaderMap,
) -> Result<Accepted, Failure> {
    let size = body.len();
    let body = if gzip { compressed(&body) } else { Ok(body) };
    let mut request = client
        .post(url.to_string())
        .headers(headers.clone())
        .header(CONTENT_TYPE, PROTOBUF)
        .body(body.map_err(|error| Failure::connection(&error))?);
    if gzip {
        request = request.header(CONTENT_ENCODING, "gzip");
    }
    let response = request
        .send()
        .await
        .map_err(|error| Failure::connection(cause(&error)))?;
    let (status, answered) = (response.status(), response.headers().clone());
    let body = answer(response).await?;
    // OTLP/HTTP knows one success. Another answer of the class is somebody else's.
    if status != StatusCode::OK {
        return Err(Failure::http(status, &answered, &body, &headers, size));
    }
    let kind = answered
        .get(CONTENT_TYPE)
        .map(|kind| String::from_utf8_lossy(kind.as_bytes()))
        .unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.is_empty() && !essence.eq_ignore_ascii_case(PROTOBUF) {
        return Err(Failure::Foreign(essence.to_owned()));
    }
    match S::Response::decode(body) {
        Ok(response) => Ok(S::accepted(response)),
        Err(_) => Err(Failure::Foreign("no message of protobuf".to_owned())),
    }
}

/// The body of an answer.
async fn answer(mut response: reqwest::Response) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Failure::connection(cause(&error)))?
    {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Failure::Foreign(format!("longer than {LONGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What reqwest's error came from: the error itself says only that there was one, and the URL.
fn cause(error: &reqwest::Error) -> &(dyn Error + 'static) {
    error.source().unwrap_or(error)
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}
