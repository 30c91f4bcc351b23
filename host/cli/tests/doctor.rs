//! `doctor` against servers that have each one thing wrong with them.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails"
)]

#[path = "../../../adapters/otlp/tests/otlp/certificates.rs"]
mod certificates;
#[path = "../../../adapters/otlp/tests/otlp/server.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod server;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use certificates::Authority;
use rcgen::{CertificateParams, date_time_ymd};
use serde_json::Value;
use server::{Answer, Server};
use tonic::Code;

const BOTH: [&str; 2] = ["grpc", "http/protobuf"];
const TAKES: Answer = Answer::Takes { rejected: 0 };

/// What the doctor found: whether all is well, and the codes of each step that failed, in order.
struct Found {
    well: bool,
    findings: Vec<Value>,
}

impl Found {
    fn codes(&self) -> Vec<(&str, &str)> {
        let failed = self
            .findings
            .iter()
            .filter(|finding| finding["state"] == "failed");
        failed
            .map(|finding| {
                assert!(!finding["help"].as_str().unwrap().is_empty(), "{finding}");
                (
                    finding["step"].as_str().unwrap(),
                    finding["code"].as_str().unwrap(),
                )
            })
            .collect()
    }
}

/// Has a manifest of an endpoint, a protocol and further settings examined.
fn doctor(endpoint: &str, protocol: &str, settings: &str) -> Found {
    doctor_under(endpoint, protocol, settings, &[], "30")
}

/// The same under further variables, and within so many seconds.
fn doctor_under(
    endpoint: &str,
    protocol: &str,
    settings: &str,
    variables: &[(&str, &str)],
    timeout: &str,
) -> Found {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("manifest.yaml");
    let text = format!(
        "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}
observability: {{telemetry: {{otlp_endpoint: '{endpoint}', otlp_protocol: {protocol}, {settings}}}}}"
    );
    fs::write(&manifest, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_floe-telemetry"))
        .args(["doctor", "--json", "--timeout", timeout])
        .arg(manifest)
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| ["PATH", "HOME", "FLOE_CACHE"].contains(&name.as_str())))
        .env("TOKEN", "hunter2")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let well = report["ok"].as_bool().unwrap();
    assert_eq!(output.status.success(), well, "{text}");
    Found {
        well,
        findings: report["findings"].as_array().unwrap().clone(),
    }
}

const TOKEN: &str = "authentication: {auth_type: bearer, bearer_token: '${env:TOKEN}'}";

fn at(server: &Server) -> String {
    format!("http://{}", server.address)
}

#[test]
fn all_is_well() {
    for protocol in BOTH {
        let server = Server::start(None, vec![TAKES]);
        let found = doctor(&at(&server), protocol, TOKEN);
        assert!(found.well, "{:?}", found.findings);
        let steps: Vec<_> = found
            .findings
            .iter()
            .filter(|finding| finding["state"] == "ok")
            .map(|finding| finding["step"].as_str().unwrap())
            .collect();
        assert_eq!(
            steps,
            [
                "manifest",
                "header",
                "name",
                "connection",
                "export",
                "export",
                "export"
            ]
        );
        let seen = server.seen();
        assert_eq!(seen.len(), 3, "one item of each signal");
        for path in ["trace", "metrics", "logs"] {
            let request = seen
                .iter()
                .find(|request| request.path.to_lowercase().contains(path));
            let request = request.unwrap_or_else(|| panic!("{path}: {seen:?}"));
            assert_eq!(request.headers["authorization"], "Bearer hunter2");
            let mark = b"floe.doctor.probe";
            assert!(request.body.windows(mark.len()).any(|part| part == mark));
        }
    }
}

#[test]
fn each_answer_has_its_reason() {
    let said = || "refused: hunter2".to_owned();
    let cases = [
        ("http/protobuf", Answer::Http(401, said()), "FLOE-D009"),
        ("http/protobuf", Answer::Http(403, said()), "FLOE-D010"),
        ("http/protobuf", Answer::Http(404, said()), "FLOE-D011"),
        ("http/protobuf", Answer::Http(307, said()), "FLOE-D011"),
        ("http/protobuf", Answer::Http(413, said()), "FLOE-D012"),
        ("http/protobuf", Answer::Http(429, said()), "FLOE-D013"),
        ("http/protobuf", Answer::Http(503, said()), "FLOE-D014"),
        ("http/protobuf", Answer::Http(418, said()), "FLOE-D017"),
        ("grpc", Answer::Grpc(Code::Unauthenticated, said()), "FLOE-D009"),
        ("grpc", Answer::Grpc(Code::PermissionDenied, said()), "FLOE-D010"),
        ("grpc", Answer::Grpc(Code::Unimplemented, said()), "FLOE-D011"),
        ("grpc", Answer::Grpc(Code::ResourceExhausted, said()), "FLOE-D012"),
        ("grpc", Answer::Grpc(Code::Unavailable, said()), "FLOE-D014"),
        ("grpc", Answer::Grpc(Code::DataLoss, said()), "FLOE-D017"),
        // It answers, but with the other transport's words.
        (
            "http/protobuf",
            Answer::Grpc(Code::Unimplemented, said()),
            "FLOE-D011",
        ),
        ("grpc", Answer::Http(404, said()), "FLOE-D011"),
    ];
    for (protocol, answer, code) in cases {
        let server = Server::start(None, vec![answer]);
        let found = doctor(&at(&server), protocol, TOKEN);
        assert_eq!(found.codes(), [("export", code); 3], "{:?}", found.findings);
    }
    for protocol in BOTH {
        let server = Server::start(None, vec![Answer::Takes { rejected: 1 }]);
        let found = doctor(&at(&server), protocol, TOKEN);
        assert_eq!(
            found.codes(),
            [("export", "FLOE-D016"); 3],
            "{:?}",
            found.findings
        );
        let server = Server::start(None, vec![Answer::Hangs]);
        let found = doctor_under(&at(&server), protocol, TOKEN, &[], "3");
        assert_eq!(
            found.codes(),
            [("export", "FLOE-D015"); 3],
            "{:?}",
            found.findings
        );
    }
}

#[test]
fn where_nobody_answers() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    for protocol in BOTH {
        let refused = doctor(&format!("http://{closed}"), protocol, TOKEN);
        assert_eq!(
            refused.codes(),
            [("connection", "FLOE-D002")],
            "{:?}",
            refused.findings
        );
        let skipped = refused
            .findings
            .iter()
            .filter(|finding| finding["state"] == "skipped");
        assert_eq!(skipped.count(), 3);
        // RFC 6761: this name never has an address.
        let nameless = doctor("http://nowhere.invalid:4317", protocol, "enabled: true");
        assert_eq!(
            nameless.codes(),
            [("name", "FLOE-D001")],
            "{:?}",
            nameless.findings
        );
        // No listener of this test accepts there, but the machine does.
        let hanging = doctor_under(
            &format!("https://127.0.0.1:{silent}"),
            protocol,
            "enabled: true",
            &[],
            "1",
        );
        assert!(!hanging.well);
    }
}

#[test]
fn what_is_missing_does_not_stop_the_rest() {
    let server = Server::start(None, vec![TAKES]);
    let settings = "headers: {x-tenant: '${env:UNSET}'}";
    let found = doctor(&at(&server), "grpc", settings);
    assert_eq!(
        found.codes(),
        [("header", "FLOE-X003")],
        "said once, for three signals"
    );
    assert!(
        found
            .findings
            .iter()
            .any(|finding| finding["step"] == "connection")
    );
    assert!(server.seen().is_empty());
}

/// `tls` of a manifest, with these files in a directory.
fn tls(directory: &Path, files: &[(&str, &str)]) -> String {
    let named: Vec<_> = files
        .iter()
        .map(|(name, content)| {
            let path = directory.join(name);
            fs::write(&path, content).unwrap();
            format!("{name}: {}", path.display())
        })
        .collect();
    format!("tls: {{{}}}", named.join(", "))
}

#[test]
fn what_tls_has_against_it() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let authority = Authority::new();
    let (ca, client, stranger) = (authority.pem(), authority.client(), Authority::new());
    let mut old = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    old.not_after = date_time_ymd(2020, 1, 1);
    let expired = authority.sign(old.clone());
    let good = certificates::server(&authority.server("localhost"), None);
    let outdated = certificates::server(&expired, None);
    let closed = certificates::server(&authority.server("localhost"), Some(&authority));
    let clear = Server::start(None, vec![TAKES]);
    let (key, certificate) = (client.key.as_str(), client.certificate.as_str());
    let other = stranger.client();
    let trusting = [("ca_file", ca.as_str())];
    let known = [
        ("ca_file", ca.as_str()),
        ("cert_file", certificate),
        ("key_file", key),
    ];
    let unknown = [
        ("ca_file", ca.as_str()),
        ("cert_file", other.certificate.as_str()),
        ("key_file", other.key.as_str()),
    ];
    let mixed = [
        ("ca_file", ca.as_str()),
        ("cert_file", certificate),
        ("key_file", other.key.as_str()),
    ];
    let own_expired = [
        ("ca_file", ca.as_str()),
        ("cert_file", expired.certificate.as_str()),
        ("key_file", expired.key.as_str()),
    ];
    let pem = stranger.pem();
    let strange = [("ca_file", pem.as_str())];
    for protocol in BOTH {
        for (server, host, files, expected) in [
            (&good, "localhost", &trusting[..], &[][..]),
            (&closed, "localhost", &known, &[]),
            (&good, "localhost", &strange, &[("tls", "FLOE-D004")]),
            (&good, "127.0.0.1", &trusting, &[("tls", "FLOE-D005")]),
            (&outdated, "localhost", &trusting, &[("tls", "FLOE-D006")]),
            (&closed, "localhost", &trusting, &[("tls", "FLOE-D007")]),
            (&closed, "localhost", &unknown, &[("tls", "FLOE-D007")]),
            (&clear, "localhost", &trusting, &[("tls", "FLOE-D008")]),
            (&good, "localhost", &mixed, &[("tls", "FLOE-X006")]),
            (&good, "localhost", &own_expired, &[("file", "FLOE-D006")]),
        ] {
            let endpoint = format!("https://{host}:{}", server.address.port());
            let found = doctor(&endpoint, protocol, &tls(directory, files));
            assert_eq!(found.codes(), expected, "{host} {files:?} {:#?}", found.findings);
        }
        // The manifest says clear text, and the server wants TLS.
        let found = doctor(
            &format!("http://localhost:{}", good.address.port()),
            protocol,
            "enabled: true",
        );
        assert_eq!(
            found.codes(),
            [("export", "FLOE-D008"); 3],
            "{:#?}",
            found.findings
        );
    }
}

#[test]
fn a_black_hole_takes_no_longer_than_it_is_given() {
    // They accept connections, as the system does for a program that hangs.
    let holes: Vec<_> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let ports: Vec<u16> = holes
        .iter()
        .map(|hole| hole.local_addr().unwrap().port())
        .collect();
    for protocol in BOTH {
        for scheme in ["http", "https"] {
            let at = |port: u16| format!("{scheme}://127.0.0.1:{port}");
            let apart = format!(
                "metrics: {{otlp_endpoint: '{}'}}, logs: {{otlp_endpoint: '{}'}}",
                at(ports[1]),
                at(ports[2])
            );
            for settings in ["enabled: true", &apart] {
                let start = Instant::now();
                let found = doctor_under(&at(ports[0]), protocol, settings, &[], "3");
                let took = start.elapsed();
                // One signal after another took six times as long.
                assert!(
                    took < Duration::from_secs(9),
                    "{took:?} {protocol} {scheme} {settings}"
                );
                assert!(!found.well);
                let tried = |finding: &&Value| finding["step"] == "export" || finding["step"] == "tls";
                assert!(
                    found.findings.iter().filter(tried).count() >= 3,
                    "{:?}",
                    found.findings
                );
            }
        }
    }
}

#[test]
fn what_a_server_says_shows_no_secret() {
    for (protocol, answer) in [
        (
            "http/protobuf",
            Answer::Http(400, "password=swordfish is\u{1b}[31m wrong".to_owned()),
        ),
        (
            "grpc",
            Answer::Grpc(
                Code::InvalidArgument,
                "postgresql://loader:swordfish@db/x is wrong".to_owned(),
            ),
        ),
    ] {
        let server = Server::start(None, vec![answer]);
        let found = doctor(&at(&server), protocol, TOKEN);
        assert_eq!(
            found.codes(),
            [("export", "FLOE-D017"); 3],
            "{:?}",
            found.findings
        );
        let text = format!("{:?}", found.findings);
        assert!(
            !text.contains("swordfish") && text.contains("is") && text.contains("wrong"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

/// A proxy that passes on whatever is asked of it, or answers with these words.
fn proxy(answer: Option<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, kept) = (client.unwrap(), Arc::clone(&kept));
            thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
                    head.extend(byte);
                }
                let head = String::from_utf8(head).unwrap();
                kept.lock().unwrap().push(head.clone());
                if let Some(answer) = answer {
                    let _ = client.write_all(answer.as_bytes());
                    return;
                }
                let target = head
                    .split(' ')
                    .nth(1)
                    .unwrap()
                    .replace("collector.invalid", "127.0.0.1");
                let mut server = TcpStream::connect(target).unwrap();
                client
                    .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let _ = std::io::copy(&mut server, &mut client);
            });
        }
    });
    (address, asked)
}

#[test]
fn it_goes_through_the_exporters_proxy() {
    // In clear text the proxy is asked for the whole: this one answers in the Collector's place.
    let server = Server::start(None, vec![TAKES]);
    let through = format!("http://someone:swordfish@{}", server.address);
    let under = |name: &'static str, value: &str| vec![(name, value.to_owned())];
    let run = |endpoint: &str, variables: &[(&'static str, String)], settings: &str| {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        doctor_under(endpoint, "http/protobuf", settings, &variables, "30")
    };
    let clear = "http://collector.invalid:4318";
    let found = run(clear, &under("HTTP_PROXY", &through), "enabled: true");
    assert!(found.well, "{:?}", found.findings);
    let text = format!("{:?}", found.findings);
    assert!(
        text.contains(&format!("proxy http://{}", server.address)) && !text.contains("swordfish"),
        "{text}"
    );
    assert_eq!(server.seen().len(), 3);
    // Without it the name has no address, and with an exception for it as well.
    for variables in [
        Vec::new(),
        [
            under("HTTP_PROXY", &through),
            under("NO_PROXY", "collector.invalid"),
        ]
        .concat(),
    ] {
        assert_eq!(
            run(clear, &variables, "enabled: true").codes(),
            [("name", "FLOE-D001")]
        );
    }

    // TLS goes through a tunnel.
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let secure = certificates::server(&authority.server("collector.invalid"), None);
    let settings = tls(directory.path(), &[("ca_file", authority.pem().as_str())]);
    let endpoint = format!("https://collector.invalid:{}", secure.address.port());
    let (address, asked) = proxy(None);
    let found = run(
        &endpoint,
        &under("HTTPS_PROXY", &format!("http://someone:swordfish@{address}")),
        &settings,
    );
    assert!(found.well, "{:?}", found.findings);
    let heads = asked.lock().unwrap().clone();
    assert!(
        heads
            .iter()
            .all(|head| head.starts_with("CONNECT collector.invalid:")),
        "{heads:?}"
    );
    assert!(
        heads
            .iter()
            .all(|head| head.to_lowercase().contains("proxy-authorization: basic ")),
        "{heads:?}"
    );
    for answer in [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let (address, _) = proxy(Some(answer));
        let found = run(&endpoint, &under("ALL_PROXY", &address), &settings);
        assert_eq!(
            found.codes(),
            [("connection", "FLOE-D018")],
            "{answer} {:?}",
            found.findings
        );
    }
}
