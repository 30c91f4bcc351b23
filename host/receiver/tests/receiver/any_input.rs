//! Whatever is sent, the receiver answers, goes on, and prints nothing that acts on a terminal.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use floe_telemetry_receiver::{Batch, Console, Options, Receiver, Sink as _, Store, Style, render};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::Event};
use proptest::prelude::*;
use tokio::sync::oneshot;

use crate::fixtures::{attribute, logs, resource, spans};

/// A receiver of HTTP on a thread of its own, until it is dropped.
struct Running {
    address: SocketAddr,
    store: Arc<Store>,
    _stop: oneshot::Sender<()>,
}

fn running() -> Running {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options {
        grpc: None,
        http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
    };
    let receiver = runtime.block_on(Receiver::bind(options)).unwrap();
    let address = receiver.http_addr().unwrap();
    let store = Arc::new(Store::default());
    let (stop, stopped) = oneshot::channel();
    let sink = Arc::clone(&store);
    std::thread::spawn(move || {
        runtime.block_on(receiver.serve(sink, async {
            let _ = stopped.await;
        }))
    });
    Running {
        address,
        store,
        _stop: stop,
    }
}

/// The status of the answer to a request.
fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    // It may answer before it has read everything.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status.parse().unwrap_or_else(|_| panic!("{answer:?}"))
}

#[test]
fn any_request_is_answered() {
    let running = running();
    let kinds = prop::sample::select(vec![
        "",
        "content-type: application/x-protobuf\r\n",
        "content-type: application/json\r\n",
        "content-type: application/json; charset=\u{7f}\r\n",
        "content-type: text/html\r\ncontent-encoding: gzip\r\n",
        "content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\n",
        "content-type: application/x-protobuf\r\ncontent-encoding: br\r\n",
    ]);
    let paths = prop::sample::select(vec![
        "/v1/traces",
        "/v1/metrics",
        "/v1/logs",
        "/",
        "/v1/traces/../x",
    ]);
    let bodies = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "[\\[\\]{}\",:0-9a-z ]{0,80}".prop_map(String::into_bytes),
        Just(br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}"#.to_vec()),
        (0..2000_usize).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    });
    runner
        .run(&(paths, kinds, bodies), |(path, kind, body)| {
            let status = post(running.address, path, kind, &body);
            prop_assert!([200, 400, 404, 405, 415].contains(&status), "{status}");
            Ok(())
        })
        .unwrap();
    // And what is right is taken.
    let right =
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"after all"}}]}]}]}"#;
    assert_eq!(
        post(
            running.address,
            "/v1/logs",
            "content-type: application/json\r\n",
            right
        ),
        200
    );
    let text = render(&running.store.snapshot(), &Style::plain());
    assert!(text.contains("after all"), "{text}");
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(0_u8..3, length),
        prop::collection::vec(any::<u8>(), 0..20)
    ]
}

fn any_span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8));
    let times = (any::<u64>(), any::<u64>(), any::<u32>());
    (
        ids,
        times,
        any::<String>(),
        -1_i32..4,
        any::<String>(),
        any::<String>(),
    )
        .prop_map(
            |((trace_id, span_id, parent_span_id), (start, end, flags), name, code, message, text)| Span {
                trace_id,
                span_id,
                parent_span_id,
                flags,
                name,
                start_time_unix_nano: start,
                end_time_unix_nano: end,
                attributes: vec![attribute("floe.outcome", &text), attribute(&text, &message)],
                events: vec![Event {
                    name: "exception".to_owned(),
                    attributes: vec![
                        attribute("exception.type", &text),
                        attribute("exception.stacktrace", &message),
                    ],
                    ..Event::default()
                }],
                status: Some(Status { code, message }),
                ..Span::default()
            },
        )
}

fn any_record() -> impl Strategy<Value = LogRecord> {
    (
        id(16),
        id(8),
        any::<u64>(),
        any::<i32>(),
        any::<String>(),
        any::<String>(),
    )
        .prop_map(
            |(trace_id, span_id, time_unix_nano, severity_number, severity_text, text)| LogRecord {
                trace_id,
                span_id,
                time_unix_nano,
                severity_number,
                severity_text,
                body: attribute("", &text).value,
                attributes: vec![attribute("exception.type", &text)],
                ..LogRecord::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_telemetry_is_printed(
        all in prop::collection::vec(any_span(), 0..8),
        records in prop::collection::vec(any_record(), 0..8),
        verbose in any::<bool>(),
        width in prop::option::of(0_usize..100),
    ) {
        let style = Style { verbose, width, ..Style::plain() };
        let batches = [spans(resource("s", "rust", 1), all), logs(resource("s", "rust", 1), records)];
        let (store, console) = (Store::default(), Console::new(style.clone()));
        let mut text = String::new();
        for batch in &batches {
            store.accept(batch).unwrap();
            match batch {
                Batch::Traces(request) => text += &console.spans(request),
                Batch::Logs(request) => text += &console.logs(request),
                Batch::Metrics(request) => console.metrics(request),
            }
        }
        text += &(console.rest() + &render(&store.snapshot(), &style));
        let acts = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
        prop_assert!(!text.chars().any(acts), "{:?}", text);
    }

    #[test]
    fn any_bytes_are_a_request_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use prost::Message as _;
        let store = Store::default();
        if let Ok(request) = ExportTraceServiceRequest::decode(bytes.as_slice()) {
            store.accept(&Batch::Traces(request)).unwrap();
        }
        if let Ok(request) = ExportLogsServiceRequest::decode(bytes.as_slice()) {
            store.accept(&Batch::Logs(request)).unwrap();
        }
        render(&store.snapshot(), &Style::plain());
    }
}
