//! The HTTP service: a SERVER span for a request, a CLIENT span for each request that it makes in turn.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use floe_telemetry::carrier::{HeaderExtractor, HeaderInjector};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use reqwest::Client;

use crate::calls::{self, Call};

/// Largest body in bytes.
const LARGEST: usize = 1024 * 1024;
/// Longest time for one outgoing request.
const TIMEOUT: Duration = Duration::from_secs(30);
const SCOPE: &str = "floe-telemetry-conformance";

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the body is not an array of calls: {0}\n")]
    Malformed(#[from] serde_json::Error),
    #[error("{url} cannot be called: {reason}\n")]
    Unreachable { url: String, reason: String },
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unreachable { .. } => StatusCode::BAD_GATEWAY,
        }
    }

    /// `error.type` of the span.
    fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Unreachable { .. } => "unreachable",
        }
    }
}

/// The service, at whatever path it is called.
pub(crate) fn router() -> reqwest::Result<Router> {
    // The harness and its services are on this machine: no proxy.
    let client = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    let service = post(handle)
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(Arc::new(client));
    Ok(Router::new().fallback_service(service))
}

async fn handle(State(client): State<Arc<Client>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let parent = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &HeaderExtractor(&headers))
    });
    let context = started(SpanKind::Server, &parent);
    let done = answer(&client, &context, &body).await;
    let status = done.as_ref().map_or_else(Failure::status, |()| StatusCode::OK);
    ended(&context, status, done.as_ref().err());
    (
        status,
        done.map_or_else(|failure| failure.to_string(), |()| String::new()),
    )
}

async fn answer(client: &Client, context: &Context, body: &[u8]) -> Result<(), Failure> {
    for call in calls::read(body)? {
        let context = started(SpanKind::Client, context);
        let done = send(client, &context, &call).await;
        let status = *done.as_ref().unwrap_or(&StatusCode::BAD_GATEWAY);
        ended(&context, status, done.as_ref().err());
        done?;
    }
    Ok(())
}

async fn send(client: &Client, context: &Context, call: &Call) -> Result<StatusCode, Failure> {
    let mut headers = HeaderMap::new();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(context, &mut HeaderInjector(&mut headers));
    });
    client
        .post(&call.url)
        .headers(headers)
        .header(header::CONTENT_TYPE, "application/json")
        .body(call.body())
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map(|response| response.status())
        .map_err(|error| Failure::Unreachable {
            url: call.url.clone(),
            reason: reason(error.without_url()),
        })
}

/// The innermost cause: the outer ones only say that a request failed.
fn reason(error: reqwest::Error) -> String {
    let mut cause: &dyn Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The context of a new span. It is named by the method alone: paths are the harness's and of any number.
fn started(kind: SpanKind, parent: &Context) -> Context {
    let tracer = global::tracer(SCOPE);
    let span = tracer
        .span_builder("POST")
        .with_kind(kind)
        .with_attributes([KeyValue::new("http.request.method", "POST")])
        .start_with_context(&tracer, parent);
    parent.with_span(span)
}

fn ended(context: &Context, status: StatusCode, failure: Option<&Failure>) {
    let span = context.span();
    if let Some(failure) = failure {
        span.set_attribute(KeyValue::new("error.type", failure.kind()));
        span.set_status(Status::error(failure.to_string()));
    }
    span.set_attribute(KeyValue::new(
        "http.response.status_code",
        i64::from(status.as_u16()),
    ));
    span.end();
}
