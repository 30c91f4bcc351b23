//! What becomes of an export.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::tls::TlsError;

/// Why there is no exporter.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The endpoint is no URL.
    #[error("the endpoint {endpoint} is no URL: {reason}")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An endpoint of `https` has no TLS settings.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

/// An export that the Collector took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Items of it that the Collector did not take (OTLP's partial success). They are not sent again.
    pub rejected: u64,
    /// What the Collector said, or why its answer cannot be read; empty if all is well.
    pub message: String,
}

/// Why an export failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    /// No answer, since there is no connection or it broke.
    #[error("{reason}")]
    Connection {
        /// What happened.
        reason: String,
        /// What TLS had against it, if it was TLS.
        tls: Option<rustls::Error>,
    },
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// HTTP's answer was no success.
    #[error("the answer was HTTP {status}")]
    Http {
        /// The status.
        status: StatusCode,
        /// What the server said. It never holds a value of the request's headers.
        message: String,
        /// How long the server asks to wait.
        delay: Option<Duration>,
    },
    /// gRPC's answer was no success.
    #[error("the answer was gRPC {code:?}")]
    Grpc {
        /// The code.
        code: Code,
        /// What the server said. It never holds a value of the request's headers.
        message: String,
        /// How long the server asks to wait.
        delay: Option<Duration>,
    },
    /// HTTP's answer was a success, but not one of OTLP: somebody else listens there.
    #[error("the answer is {0}, not one of OTLP")]
    Foreign(String),
    /// The request has so many bytes, more than OTLP allows or than the server takes.
    #[error("the request has {0} bytes, which is too large")]
    TooLarge(usize),
}

/// Longest text of a server that is kept, in characters.
const LONGEST: usize = 300;
/// Shortest credential that can be cut out of a text, in bytes; a text with a shorter one is not kept, since what is left would show where it stood.
const SHORTEST: usize = 4;

impl Failure {
    /// Whether the same request may succeed later (OTLP specification, "Failures" of OTLP/gRPC and of OTLP/HTTP).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { tls, .. } => tls.is_none(),
            Self::Timeout(_) => true,
            Self::Http { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Grpc { code, delay, .. } => match code {
                Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss => true,
                Code::ResourceExhausted => delay.is_some(),
                _ => false,
            },
            Self::Foreign(_) | Self::TooLarge(_) => false,
        }
    }

    /// The failure with what the server said, for people.
    pub fn described(&self) -> String {
        match self {
            Self::Http { message, .. } | Self::Grpc { message, .. } if !message.is_empty() => {
                format!("{self}: {message}")
            }
            _ => self.to_string(),
        }
    }

    /// How long the server asks to wait.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Http { delay, .. } | Self::Grpc { delay, .. } => *delay,
            _ => None,
        }
    }

    /// No answer, for this reason.
    pub(crate) fn connection(error: &(dyn Error + 'static)) -> Self {
        Self::Connection {
            reason: chain(error),
            tls: tls_error(error),
        }
    }

    /// The answer to a request of this size.
    pub(crate) fn grpc(status: &Status, sent: &HeaderMap, size: usize) -> Self {
        match status.source() {
            // tonic made the status itself: there was no answer.
            Some(source) => Self::connection(source),
            None if is_size(status) => Self::TooLarge(size),
            None => Self::Grpc {
                code: status.code(),
                message: unsecret(status.message(), sent),
                delay: status.get_details_retry_info().and_then(|info| info.retry_delay),
            },
        }
    }

    /// The answer to a request of this size.
    pub(crate) fn http(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        sent: &HeaderMap,
        size: usize,
    ) -> Self {
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::TooLarge(size);
        }
        let delay = headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(retry_after);
        // OTLP/HTTP answers with google.rpc.Status.
        let message = <tonic_types::Status as prost::Message>::decode(body)
            .map(|status| status.message)
            .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
        Self::Http {
            status,
            message: unsecret(&message, sent),
            delay,
        }
    }
}

/// Whether a message was refused for its size. Servers have no code of its own for that: gRPC's libraries say RESOURCE_EXHAUSTED, tonic says
/// OUT_OF_RANGE, each with words of these.
fn is_size(status: &Status) -> bool {
    let said = status.message().to_ascii_lowercase();
    let words = |words: &[&str]| words.iter().any(|word| said.contains(word));
    matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange)
        && words(&["message", "size", "length", "bytes"])
        && words(&["too large", "larger than", "too big", "exceed", "maximum"])
}

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().map(Duration::from_secs).ok().or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    })
}

/// What a server said, in one line, without what it was sent: a server may say which credential it refused.
fn unsecret(text: &str, sent: &HeaderMap) -> String {
    let mut text = text.to_owned();
    for value in sent.values().filter(|value| value.is_sensitive()) {
        let value = value.to_str().unwrap_or_default();
        let credential = value.rsplit(' ').next().unwrap_or_default();
        for secret in [value, credential] {
            if secret.len() >= SHORTEST {
                text = text.replace(secret, "***");
            } else if !secret.is_empty() && text.contains(secret) {
                return String::new();
            }
        }
    }
    text.chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

/// An error and what it came from, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let said = error.to_string();
        if !text.ends_with(&said) {
            let _ = write!(text, ": {said}");
        }
        next = error.source();
    }
    text
}

/// What TLS said, wherever in the chain.
pub(crate) fn tls_error(error: &(dyn Error + 'static)) -> Option<rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found.clone());
        }
        // An error of input and output hides the one in it from its sources.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
