//! `doctor` against servers that have each one thing wrong with them.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails"
)]

#[path = "../../../adapters/otlp/tests/otlp/certificates.rs"]
mod certificates;
#[path = "../../../adapters/otlp/tests/otlp/server.rs"]
mod server;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

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
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("manifest.yaml");
    let text = format!(
        "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}
observability: {{telemetry: {{otlp_endpoint: '{endpoint}', otlp_protocol: {protocol}, {settings}}}}}"
    );
    fs::write(&manifest, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_floe-telemetry"))
        .args(["doctor", "--json", "--timeout", "1"])
        .arg(manifest)
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| ["PATH", "HOME", "FLOE_CACHE"].contains(&name.as_str())))
        .env("TOKEN", "hunter2")
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
        for (request, path) in seen.iter().zip(["trace", "metrics", "logs"]) {
            assert!(request.path.contains(path), "{}", request.path);
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
        let found = doctor(&at(&server), protocol, TOKEN);
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
        let hanging = doctor(&format!("https://127.0.0.1:{silent}"), protocol, "enabled: true");
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
