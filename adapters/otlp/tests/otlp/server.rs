//! A server that keeps what it is sent and answers as it is told, in clear text or by TLS. The doctor's tests use it as well.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::serve::Listener;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Full};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How the server answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// It takes all but so many.
    Takes { rejected: i64 },
    /// HTTP's status and body.
    Http(u16, String),
    /// HTTP's status, its content type if it has one, and body.
    Typed(u16, Option<&'static str>, String),
    /// It takes requests of so many bytes and refuses larger ones as servers do.
    AtMost(usize),
    /// gRPC's status and message.
    Grpc(tonic::Code, String),
    /// It does not.
    Hangs,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    /// The first answers, one a request, and then the last of them for ever.
    pub(crate) fn start(tls: Option<ServerConfig>, answers: Vec<Answer>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let router = Router::new()
            .fallback(move |request: Request| answer(request, Arc::clone(&kept), answers.clone()));
        match tls {
            Some(config) => {
                let acceptor = TlsAcceptor::from(Arc::new(config));
                runtime.spawn(async move { axum::serve(Secure { listener, acceptor }, router).await });
            }
            None => {
                runtime.spawn(async move { axum::serve(listener, router).await });
            }
        }
        Self {
            address,
            seen,
            _runtime: runtime,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Vec<Answer>,
) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let grpc = parts
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/grpc");
    let size = body.len();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(Seen {
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body,
        });
        seen.len() - 1
    };
    let answer = answers.get(number).or(answers.last()).unwrap();
    let answer = match answer {
        Answer::AtMost(most) if size <= *most => &Answer::Takes { rejected: 0 },
        answer => answer,
    };
    Ok(match answer {
        Answer::AtMost(_) if grpc => tonic::Status::new(
            tonic::Code::ResourceExhausted,
            format!("grpc: received message larger than max ({size} vs. 6000)"),
        )
        .into_http(),
        Answer::AtMost(_) => Response::builder().status(413).body(Body::empty()).unwrap(),
        Answer::Typed(status, kind, body) => {
            let mut response = Response::new(Body::from(body.clone()));
            *response.status_mut() = StatusCode::from_u16(*status).unwrap();
            if let Some(kind) = kind {
                let kind = HeaderValue::from_static(kind);
                response.headers_mut().insert("content-type", kind);
            }
            response
        }
        Answer::Hangs => std::future::pending().await,
        Answer::Http(status, body) => Response::builder()
            .status(*status)
            .body(Body::from(body.clone()))
            .unwrap(),
        Answer::Grpc(code, message) => tonic::Status::new(*code, message).into_http(),
        Answer::Takes { rejected } => {
            let partial = ExportTracePartialSuccess {
                rejected_spans: *rejected,
                error_message: if *rejected == 0 { "" } else { "too old" }.to_owned(),
            };
            let message = ExportTraceServiceResponse {
                partial_success: (*rejected > 0).then_some(partial),
            };
            if grpc {
                framed(&message.encode_to_vec())
            } else {
                Response::new(message.encode_to_vec().into())
            }
        }
    })
}

fn framed(message: &[u8]) -> Response {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = Full::new(Bytes::from(frame)).with_trailers(async { Some(Ok(trailers)) });
    Response::builder()
        .status(StatusCode::OK)
        .header("content-type", "application/grpc")
        .body(Body::new(body))
        .unwrap()
}

/// Connections that have come through the handshake.
struct Secure {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
