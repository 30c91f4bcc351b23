//! What goes over the wire: just what the exporter was told, whatever the environment says.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails"
)]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::export::{collector, export, export_batch, export_with};
use crate::server::{Answer, Seen, Server};
use floe_telemetry_otlp::{Accepted, Collector, Failure, Headers, Transport};
use http::{HeaderMap, HeaderValue, StatusCode};
use tonic::Code;

const TAKES: Answer = Answer::Takes { rejected: 0 };

fn endpoint(server: &Server, transport: Transport) -> String {
    match transport {
        Transport::Grpc => format!("http://{}", server.address),
        Transport::HttpProtobuf => format!("http://{}/base/v1/traces", server.address),
    }
}

fn sent(transport: Transport, change: impl Fn(&mut Collector)) -> Seen {
    let server = Server::start(None, vec![TAKES]);
    let mut collector = collector(endpoint(&server, transport), transport);
    change(&mut collector);
    assert_eq!(export(&collector, 1), [Ok(Accepted::default())]);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    seen[0].clone()
}

fn names(seen: &Seen) -> Vec<&str> {
    let mut names: Vec<_> = seen.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// Checks, in a process whose environment is full of OTLP variables, that none of them reaches the wire.
#[test]
fn the_environment_adds_and_changes_nothing() {
    const CHILD: &str = "FLOE_TEST_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "wire::the_environment_adds_and_changes_nothing"])
            .env(CHILD, "1");
        for signal in ["", "TRACES_", "METRICS_", "LOGS_"] {
            for (name, value) in [
                ("ENDPOINT", "http://192.0.2.1:1"),
                ("PROTOCOL", "http/json"),
                (
                    "HEADERS",
                    "x-from-environment=1,authorization=Bearer%20environment,user-agent=other",
                ),
                ("TIMEOUT", "1"),
                ("COMPRESSION", "gzip"),
                ("CERTIFICATE", "/nowhere/ca.pem"),
                ("CLIENT_CERTIFICATE", "/nowhere/client.pem"),
                ("CLIENT_KEY", "/nowhere/client.key"),
                ("INSECURE", "false"),
            ] {
                child.env(format!("OTEL_EXPORTER_OTLP_{signal}{name}"), value);
            }
        }
        let output = child.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    let token = |collector: &mut Collector| {
        let ours = [(
            http::header::AUTHORIZATION,
            HeaderValue::from_static("Bearer ours"),
        )];
        collector.headers = Arc::new(HeaderMap::from_iter(ours));
    };
    for change in [&(|_: &mut Collector| {}) as &dyn Fn(&mut Collector), &token] {
        let mut probe = collector(String::new(), Transport::Grpc);
        change(&mut probe);
        let ours = probe.headers.current();
        let own = |others: &[&'static str]| {
            let mut names = others.to_vec();
            names.extend(ours.keys().map(|_| "authorization"));
            names.sort_unstable();
            names
        };

        let http = sent(Transport::HttpProtobuf, change);
        assert_eq!(http.path, "/base/v1/traces");
        assert_eq!(
            names(&http),
            own(&["accept", "content-length", "content-type", "host", "user-agent"])
        );
        assert_eq!(http.headers["content-type"], "application/x-protobuf");

        let grpc = sent(Transport::Grpc, change);
        assert_eq!(
            grpc.path,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        assert_eq!(names(&grpc), own(&["content-type", "te", "user-agent"]));
        assert_eq!(grpc.body[0], 0, "not compressed");

        for seen in [http, grpc] {
            let agent = seen.headers["user-agent"].to_str().unwrap();
            assert!(agent.starts_with("floe-telemetry/"), "{agent}");
            assert_eq!(seen.headers.get("authorization"), ours.get("authorization"));
        }
    }
}

#[test]
fn gzip_is_used_where_it_is_asked_for() {
    let gzip = |collector: &mut Collector| collector.gzip = true;
    let http = sent(Transport::HttpProtobuf, gzip);
    assert_eq!(http.headers["content-encoding"], "gzip");
    assert_eq!(http.body[..2], [0x1f, 0x8b]);
    let grpc = sent(Transport::Grpc, gzip);
    assert_eq!(grpc.headers["grpc-encoding"], "gzip");
    assert_eq!((grpc.body[0], &grpc.body[5..7]), (1, &[0x1f, 0x8b][..]));
}

/// A token that is another one for every request.
#[derive(Debug)]
struct Rotating(AtomicUsize);

impl Headers for Rotating {
    fn current(&self) -> HeaderMap {
        let number = self.0.load(Ordering::SeqCst);
        let value = HeaderValue::from_str(&format!("token {number}")).unwrap();
        HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
    }
}

#[test]
fn headers_are_asked_for_before_each_request() {
    for transport in [Transport::Grpc, Transport::HttpProtobuf] {
        let server = Server::start(None, vec![TAKES]);
        let rotating = Arc::new(Rotating(AtomicUsize::new(0)));
        let mut collector = collector(endpoint(&server, transport), transport);
        collector.headers = Arc::clone(&rotating) as _;
        export_with(&collector, 3, |number| rotating.0.store(number, Ordering::SeqCst));
        let tokens: Vec<_> = server
            .seen()
            .iter()
            .map(|seen| seen.headers["authorization"].clone())
            .collect();
        assert_eq!(tokens, ["token 0", "token 1", "token 2"]);
    }
}

#[test]
fn what_a_collector_rejects_is_known() {
    for transport in [Transport::Grpc, Transport::HttpProtobuf] {
        let server = Server::start(None, vec![Answer::Takes { rejected: 1 }]);
        let rejected = Accepted {
            rejected: 1,
            message: "too old".to_owned(),
        };
        assert_eq!(
            export(&collector(endpoint(&server, transport), transport), 1),
            [Ok(rejected)]
        );
        assert_eq!(server.seen().len(), 1, "it is not sent again");
    }
}

#[test]
fn a_refusal_is_final_and_shows_no_credential() {
    let refused = |transport, answer| {
        let server = Server::start(None, vec![answer]);
        let mut collector = collector(endpoint(&server, transport), transport);
        let mut value = HeaderValue::from_static("Bearer hunter2");
        value.set_sensitive(true);
        collector.headers = Arc::new(HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]));
        assert!(!format!("{collector:?}").contains("hunter2"));
        let outcome = export(&collector, 1).remove(0).unwrap_err();
        assert_eq!(server.seen().len(), 1, "{outcome:?}");
        outcome
    };
    for (status, said) in [
        (401, "no hunter2 here"),
        (403, "Bearer hunter2"),
        (404, ""),
        (500, ""),
    ] {
        assert_eq!(
            refused(Transport::HttpProtobuf, Answer::Http(status, said.to_owned())),
            Failure::Http {
                status: StatusCode::from_u16(status).unwrap(),
                message: said.replace("Bearer hunter2", "***").replace("hunter2", "***"),
                delay: None,
            }
        );
    }
    for code in [
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::Unimplemented,
        Code::InvalidArgument,
        Code::Internal,
        Code::ResourceExhausted,
    ] {
        assert_eq!(
            refused(Transport::Grpc, Answer::Grpc(code, "not\nhunter2".to_owned())),
            Failure::Grpc {
                code,
                message: "not ***".to_owned(),
                delay: None,
            }
        );
    }
}

#[test]
fn what_may_pass_is_tried_again() {
    for (transport, failure) in [
        (Transport::HttpProtobuf, Answer::Http(429, String::new())),
        (Transport::HttpProtobuf, Answer::Http(503, String::new())),
        (Transport::Grpc, Answer::Grpc(Code::Unavailable, String::new())),
        (Transport::Grpc, Answer::Grpc(Code::Aborted, String::new())),
    ] {
        let server = Server::start(None, vec![failure.clone(), failure, TAKES]);
        let collector = collector(endpoint(&server, transport), transport);
        assert_eq!(export(&collector, 1), [Ok(Accepted::default())]);
        assert_eq!(server.seen().len(), 3);
    }
}

#[test]
fn an_export_ends_in_time() {
    for transport in [Transport::Grpc, Transport::HttpProtobuf] {
        let server = Server::start(None, vec![Answer::Hangs]);
        let mut collector = collector(endpoint(&server, transport), transport);
        collector.timeout = Duration::from_millis(300);
        let started = Instant::now();
        assert_eq!(export(&collector, 1), [Err(Failure::Timeout(collector.timeout))]);
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn nobody_listens() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for transport in [Transport::Grpc, Transport::HttpProtobuf] {
        let outcome = export(&collector(format!("http://{closed}"), transport), 1).remove(0);
        let Err(Failure::Connection { reason, tls: None }) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(reason.to_lowercase().contains("refused"), "{reason}");
    }
}

/// OTLP/HTTP has one success: status 200 with a message of protobuf.
#[test]
fn what_is_no_answer_of_otlp_is_no_success() {
    let protobuf = Some("application/x-protobuf");
    for (status, kind, body) in [
        (200, Some("application/json"), "{}"),
        (200, Some("text/plain"), "OK"),
        (200, Some("text/html; charset=utf-8"), "<html>"),
        (200, None, "OK"),
        (200, protobuf, "\u{7}"),
        (201, protobuf, ""),
        (202, None, ""),
        (204, None, ""),
        (301, None, ""),
        (307, None, ""),
    ] {
        let answer = Answer::Typed(status, kind, body.to_owned());
        let server = Server::start(None, vec![answer]);
        let collector = collector(
            endpoint(&server, Transport::HttpProtobuf),
            Transport::HttpProtobuf,
        );
        let outcome = export(&collector, 1).remove(0);
        let failure = outcome.expect_err(&format!("{status} {kind:?} {body:?}"));
        assert!(!failure.is_transient(), "{failure:?}");
        assert_eq!(server.seen().len(), 1, "{status} {kind:?}");
    }
    for kind in [None, protobuf, Some("Application/X-Protobuf; charset=utf-8")] {
        let server = Server::start(None, vec![Answer::Typed(200, kind, String::new())]);
        let collector = collector(
            endpoint(&server, Transport::HttpProtobuf),
            Transport::HttpProtobuf,
        );
        assert_eq!(export(&collector, 1), [Ok(Accepted::default())], "{kind:?}");
    }
}

#[test]
fn a_refused_size_is_split_and_only_what_is_too_large_alone_is_lost() {
    for transport in [Transport::Grpc, Transport::HttpProtobuf] {
        // The server takes 6,000 bytes at once; one span of the batch has more.
        let server = Server::start(None, vec![Answer::AtMost(6_000)]);
        let sizes = [100, 4_000, 4_000, 100, 9_000, 100, 4_000];
        let outcomes = export_batch(&collector(endpoint(&server, transport), transport), &sizes);
        let taken: u64 = outcomes
            .iter()
            .filter(|(_, result)| result.is_ok())
            .map(|(items, _)| items)
            .sum();
        assert_eq!(taken, 6, "{outcomes:?}");
        let lost: Vec<_> = outcomes.iter().filter(|(_, result)| result.is_err()).collect();
        assert!(
            matches!(lost.as_slice(), [(1, Err(Failure::TooLarge(_)))]),
            "{outcomes:?}"
        );
    }
}

#[test]
fn a_batch_beyond_the_usual_limit_of_grpc_is_split_before_it_is_sent() {
    let server = Server::start(None, vec![TAKES]);
    let collector = collector(endpoint(&server, Transport::Grpc), Transport::Grpc);
    let mut sizes = vec![15_000; 300];
    sizes.extend([100; 200]);
    let outcomes = export_batch(&collector, &sizes);
    assert!(outcomes.iter().all(|(_, result)| result.is_ok()), "{outcomes:?}");
    assert_eq!(outcomes.iter().map(|(items, _)| items).sum::<u64>(), 500);
    for seen in server.seen() {
        assert!(seen.body.len() <= 4 * 1024 * 1024 + 5, "{}", seen.body.len());
    }
}

#[test]
fn a_collector_that_comes_late_gets_what_waits() {
    for (transport, failure) in [
        (Transport::HttpProtobuf, Answer::Http(503, String::new())),
        (Transport::Grpc, Answer::Grpc(Code::Unavailable, String::new())),
    ] {
        let mut answers = vec![failure; 6];
        answers.push(TAKES);
        let server = Server::start(None, answers);
        let mut collector = collector(endpoint(&server, transport), transport);
        collector.timeout = Duration::from_secs(60);
        assert_eq!(export(&collector, 1), [Ok(Accepted::default())]);
        assert_eq!(server.seen().len(), 7);
    }
}
