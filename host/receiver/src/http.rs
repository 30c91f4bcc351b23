//! OTLP/HTTP: protobuf and JSON, gzip or not.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::LengthLimitError;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::batch::{Intake, Refusal, Request};
use crate::otlp_json;
use crate::server::MAX_REQUEST;

pub(crate) fn router(intake: Intake) -> Router {
    Router::new()
        .route("/v1/traces", post(export::<ExportTraceServiceRequest>))
        .route("/v1/metrics", post(export::<ExportMetricsServiceRequest>))
        .route("/v1/logs", post(export::<ExportLogsServiceRequest>))
        .fallback(not_found)
        // From the outside in: what is sent is limited, then decompressed, and the result is limited again.
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(RequestDecompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(MAX_REQUEST))
        .with_state(intake)
}

async fn not_found() -> Response {
    let message = "OTLP/HTTP is received at /v1/traces, /v1/metrics and /v1/logs.\n";
    (StatusCode::NOT_FOUND, message).into_response()
}

async fn export<R: Request>(
    State(intake): State<Intake>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(encoding) = Encoding::of(&headers) else {
        let message = "OTLP/HTTP is application/x-protobuf or application/json.\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response();
    };
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return encoding.refuse(body_status(&rejection), &rejection.body_text()),
    };
    let request: R = match encoding.decode(&body) {
        Ok(request) => request,
        Err(message) => return encoding.refuse(StatusCode::BAD_REQUEST, &message),
    };
    match intake.take(request) {
        Ok(response) => encoding.answer(StatusCode::OK, &response, "{}".to_owned()),
        Err(Refusal::Malformed(message)) => encoding.refuse(StatusCode::BAD_REQUEST, &message),
        Err(Refusal::Unavailable) => {
            encoding.refuse(StatusCode::SERVICE_UNAVAILABLE, "the receiver is stopping")
        }
    }
}

/// A body that is too large may be noticed beneath the decompression, which hides it among its own errors.
fn body_status(rejection: &BytesRejection) -> StatusCode {
    let mut cause = Some(rejection as &dyn Error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        cause = error.source();
    }
    rejection.status()
}

/// How a request is written, and so its answer.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let media_type = content_type.split(';').next()?.trim();
        if media_type.eq_ignore_ascii_case("application/x-protobuf") {
            return Some(Self::Protobuf);
        }
        media_type
            .eq_ignore_ascii_case("application/json")
            .then_some(Self::Json)
    }

    fn decode<R: Request>(self, body: &[u8]) -> Result<R, String> {
        match self {
            Self::Protobuf => R::decode(body).map_err(|error| error.to_string()),
            Self::Json => otlp_json::decode(body),
        }
    }

    fn answer(self, status: StatusCode, protobuf: &impl Message, json: String) -> Response {
        let (content_type, body) = match self {
            Self::Protobuf => ("application/x-protobuf", protobuf.encode_to_vec()),
            Self::Json => ("application/json", json.into_bytes()),
        };
        (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    }

    fn refuse(self, status: StatusCode, message: &str) -> Response {
        let json = serde_json::json!({ "message": message }).to_string();
        self.answer(
            status,
            &RpcStatus {
                message: message.to_owned(),
            },
            json,
        )
    }
}

/// `google.rpc.Status`, of which OTLP/HTTP has only the message matter.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http_body_util::BodyExt as _;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use proptest::prelude::*;
    use tower::ServiceExt as _;

    use super::*;
    use crate::store::Store;

    const PROTOBUF: &str = "application/x-protobuf";
    const JSON: &str = "application/json";
    const SPAN: &str = r#"{"resourceSpans":[{"resource":null,"scopeSpans":[{"spans":[{
        "traceId":"4BF92F3577B34DA6A3CE929D0E0E4736","spanId":"00f067aa0ba902b7","name":"from JSON","kind":1,
        "startTimeUnixNano":"1","endTimeUnixNano":2,"future":{"field":[1]},"status":{},
        "attributes":[{"key":"none","value":{"arrayValue":{}}},{"key":"null","value":null},
            {"key":"nan","value":{"doubleValue":"NaN"}},{"key":"whole","value":{"doubleValue":2}},
            {"key":"list","value":{"kvlistValue":{"values":[{"key":"i","value":{"intValue":"5"}}]}}}]}]}]}]}"#;

    struct Sent {
        store: Arc<Store>,
        status: StatusCode,
        content_type: String,
        body: Bytes,
    }

    async fn send(path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Sent {
        let store = Arc::new(Store::default());
        let (intake, _failed) = Intake::new(store.clone());
        let mut request = http::Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router(intake)
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap();
        let content_type = response
            .headers()
            .get("content-type")
            .map(|value| value.to_str().unwrap());
        let content_type = content_type.unwrap_or_default().to_owned();
        let status = response.status();
        Sent {
            store,
            status,
            content_type,
            body: to_bytes(response.into_body(), MAX_REQUEST).await.unwrap(),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn json_is_taken_and_answered_in_json() {
        let sent = send(
            "/v1/traces",
            &[("content-type", "application/json; charset=utf-8")],
            SPAN,
        )
        .await;
        assert_eq!(
            (sent.status, sent.content_type.as_str(), &*sent.body),
            (StatusCode::OK, JSON, &b"{}"[..])
        );
        let traces = sent.store.snapshot().traces;
        assert_eq!(traces[0].id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let span = traces[0].spans.values().next().unwrap();
        assert_eq!(span.span.name, "from JSON");
        assert_eq!(
            crate::model::pairs(&span.span.attributes),
            "list={i=5}, nan=NaN, none=[], null=, whole=2"
        );
    }

    #[tokio::test]
    async fn protobuf_is_answered_in_protobuf() {
        for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
            let sent = send(path, &[("content-type", PROTOBUF)], "").await;
            assert_eq!(
                (sent.status, sent.content_type.as_str()),
                (StatusCode::OK, PROTOBUF)
            );
            ExportTraceServiceResponse::decode(sent.body).unwrap();
        }
    }

    #[tokio::test]
    async fn gzip_is_undone() {
        let headers = [("content-type", JSON), ("content-encoding", "gzip")];
        let sent = send("/v1/traces", &headers, gzip(SPAN.as_bytes())).await;
        assert_eq!(sent.status, StatusCode::OK);
        assert_eq!(sent.store.snapshot().traces.len(), 1);
    }

    #[tokio::test]
    async fn what_is_not_otlp_is_refused() {
        type Case = (
            &'static str,
            &'static [(&'static str, &'static str)],
            &'static [u8],
            u16,
        );
        let cases: [Case; 8] = [
            ("/v1/traces", &[], b"", 415),
            ("/v1/traces", &[("content-type", "text/plain")], b"", 415),
            (
                "/v1/traces",
                &[("content-type", JSON), ("content-encoding", "br")],
                b"",
                415,
            ),
            (
                "/v1/traces",
                &[("content-type", JSON), ("content-encoding", "gzip")],
                b"not gzip",
                400,
            ),
            ("/v1/traces", &[("content-type", JSON)], b"{", 400),
            (
                "/v1/traces",
                &[("content-type", JSON)],
                br#"{"resourceSpans":7}"#,
                400,
            ),
            ("/v1/metrics", &[("content-type", PROTOBUF)], b"\xff\xff", 400),
            ("/v1/profiles", &[("content-type", PROTOBUF)], b"", 404),
        ];
        for (path, headers, body, status) in cases {
            let sent = send(path, headers, body).await;
            assert_eq!(sent.status.as_u16(), status, "{path} {headers:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_why_in_the_encoding_of_the_request() {
        let body = SPAN.replace("00f067aa0ba902b7", "00f0");
        let sent = send("/v1/traces", &[("content-type", JSON)], body).await;
        assert_eq!(sent.status, StatusCode::BAD_REQUEST);
        let said: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(
            said["message"],
            "span \"from JSON\": a span id is 8 bytes, not all zero; this one has 2"
        );

        let sent = send("/v1/traces", &[("content-type", PROTOBUF)], "\u{1}").await;
        assert!(!RpcStatus::decode(sent.body).unwrap().message.is_empty());
    }

    #[tokio::test]
    async fn no_request_is_larger_than_the_limit_before_or_after_decompression() {
        let zeros = vec![0; MAX_REQUEST + 1];
        let sent = send("/v1/traces", &[("content-type", PROTOBUF)], zeros.clone()).await;
        assert_eq!(sent.status, StatusCode::PAYLOAD_TOO_LARGE);

        let headers = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
        let bomb = gzip(&zeros);
        assert!(bomb.len() < 100_000, "{}", bomb.len());
        let sent = send("/v1/traces", &headers, bomb).await;
        assert_eq!(sent.status, StatusCode::PAYLOAD_TOO_LARGE);

        // Compressed, too large, and sent in chunks without its length.
        let mut large = GzEncoder::new(Vec::new(), Compression::none());
        large.write_all(&zeros).unwrap();
        let large = large.finish().unwrap();
        let chunked = Body::new(Body::from(large).map_frame(|frame| frame));
        let sent = send("/v1/traces", &headers, chunked).await;
        assert_eq!(sent.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn deep_nesting_is_refused_not_followed() {
        let deep = r#"{"arrayValue":{"values":["#.repeat(10_000);
        let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#);
        let sent = send("/v1/logs", &[("content-type", JSON)], body).await;
        assert_eq!(sent.status, StatusCode::BAD_REQUEST);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200), json in any::<bool>()) {
            let encoding = if json { Encoding::Json } else { Encoding::Protobuf };
            let _ = encoding.decode::<ExportTraceServiceRequest>(&body);
            let _ = encoding.decode::<ExportMetricsServiceRequest>(&body);
            let _ = encoding.decode::<ExportLogsServiceRequest>(&body);
        }
    }
}
