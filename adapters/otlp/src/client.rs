//! Requests to a Collector, with retries, within the time that one export may take.

use std::error::Error;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::HttpClient as _;
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
/// Most requests of one export are one more than this; the waits between them start at [`SHORTEST_WAIT`] and double.
const RETRIES: usize = 3;
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// How long a connection is silent before the other end is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);
/// OTLP exporter specification, "User Agent": a distribution puts itself first.
const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "floe-telemetry/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
));
/// What no OTLP/HTTP receiver answers with: a web page, and OTLP/gRPC.
const FOREIGN: [&str; 2] = ["text/html", "application/grpc"];
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

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
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !tls.is(&current.0) {
            let wire = wire(&self.url, self.transport, self.gzip, &tls)
                .map_err(|reason| Failure::Connection { reason, tls: None })?;
            *current = (tls, wire);
        }
        Ok(current.1.clone())
    }

    /// Sends a request, again while its failure may pass, and answers what became of it.
    pub(crate) async fn send<S: Signal>(&self, request: &S::Request) -> Result<Accepted, Failure> {
        let size = request.encoded_len();
        if size > LARGEST {
            return Err(Failure::TooLarge(size));
        }
        let backoff = ExponentialBuilder::default()
            .with_min_delay(SHORTEST_WAIT)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(RETRIES);
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
        match tokio::time::timeout(self.timeout, attempts).await {
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
        .map_err(|status| Failure::grpc(&status, &headers))
}

async fn post<S: Signal>(
    client: &reqwest::Client,
    url: &Uri,
    body: Vec<u8>,
    gzip: bool,
    headers: HeaderMap,
) -> Result<Accepted, Failure> {
    let mut request = Request::post(url.clone());
    if let Some(all) = request.headers_mut() {
        all.extend(headers.clone());
        all.insert(CONTENT_TYPE, PROTOBUF);
        if gzip {
            all.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    let body = if gzip { compressed(&body) } else { Ok(body) };
    let request = request
        .body(Bytes::from(body.map_err(|error| Failure::connection(&error))?))
        .map_err(|error| Failure::connection(&error))?;
    let response = client
        .send_bytes(request)
        .await
        .map_err(|error| Failure::connection(cause(&*error)))?;
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        return Err(Failure::http(parts.status, &parts.headers, &body, &headers));
    }
    let kind = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if let Some(kind) = kind.filter(|kind| FOREIGN.iter().any(|foreign| kind.starts_with(foreign))) {
        return Err(Failure::Foreign(kind.to_owned()));
    }
    Ok(match S::Response::decode(body) {
        Ok(response) => S::accepted(response),
        Err(_) => Accepted {
            rejected: 0,
            message: "the answer is not one of OTLP".to_owned(),
        },
    })
}

/// What reqwest's error came from: the error itself says only that there was one, and the URL.
fn cause<'a>(error: &'a (dyn Error + Send + Sync + 'static)) -> &'a (dyn Error + 'static) {
    match error.downcast_ref::<reqwest::Error>().and_then(Error::source) {
        Some(cause) => cause,
        None => error,
    }
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}
