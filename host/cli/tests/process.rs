//! What a whole process sends and says in an environment that is against it, and while its certificates are rotated.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "../../../adapters/otlp/tests/otlp/certificates.rs"]
mod certificates;
#[path = "../../../adapters/otlp/tests/otlp/server.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use certificates::{Authority, Signed};
use floe_telemetry::{Manifest, OperationKind, TelemetryProvider};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use server::{Answer, Server};

fn manifest(endpoint: &str, settings: &str) -> String {
    format!(
        "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}
observability: {{telemetry: {{otlp_endpoint: '{endpoint}', shutdown_timeout_millis: 2000, {settings}}}}}"
    )
}

/// Runs a shell's text by `exec`, under further variables, and answers its output and what was said.
fn exec(manifest: &str, text: &str, variables: &[(&str, &str)]) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("manifest.yaml");
    fs::write(&file, manifest).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_floe-telemetry"))
        .arg("exec")
        .arg(file)
        .args(["--", "sh", "-c", text])
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| ["PATH", "HOME", "FLOE_CACHE"].contains(&name.as_str())))
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

#[test]
fn the_resource_is_the_plans() {
    let server = Server::start(None, vec![Answer::Takes { rejected: 0 }]);
    let (_, said) = exec(
        &manifest(
            &format!("http://{}", server.address),
            "resource_attributes: {a.b: c}",
        ),
        "true",
        // Of a pair that is none, the policy takes nothing.
        &[(
            "OTEL_RESOURCE_ATTRIBUTES",
            "host.name=behind,floe.namespace=behind,broken",
        )],
    );
    assert_eq!(said.matches("FLOE-M009").count(), 1, "{said}");
    let seen = server.seen();
    let traces = seen.iter().find(|seen| seen.path == "/v1/traces").unwrap();
    let request = ExportTraceServiceRequest::decode(traces.body.clone()).unwrap();
    let resource = request.resource_spans.first().unwrap().resource.clone().unwrap();
    let attributes: BTreeMap<String, Option<Value>> = resource
        .attributes
        .into_iter()
        .map(|attribute| (attribute.key, attribute.value.and_then(|value| value.value)))
        .collect();
    assert_eq!(
        attributes.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "a.b",
            "deployment.environment",
            "deployment.environment.name",
            "floe.mode",
            "floe.namespace",
            "floe.policy.digest",
            "floe.policy.name",
            "floe.policy.version",
            "floe.product.name",
            "floe.product.version",
            "process.pid",
            "service.instance.id",
            "service.name",
            "service.version",
            "telemetry.distro.name",
            "telemetry.distro.version",
            "telemetry.sdk.language",
            "telemetry.sdk.name",
            "telemetry.sdk.version",
        ]
    );
    assert!(!format!("{attributes:?}").contains("behind"));
}

#[test]
fn what_a_command_prints_is_passed_on_and_told() {
    let server = Server::start(None, vec![Answer::Takes { rejected: 0 }]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("manifest.yaml");
    fs::write(&file, manifest(&format!("http://{}", server.address), "")).unwrap();
    // What is left behind keeps the pipes open.
    let text = "printf 'one\\ntwo password=hunter2\\n\\nlast'; echo three >&2; head -c 100000 /dev/zero | tr '\\0' x; sleep 30 &";
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_floe-telemetry"))
        .args(["exec", "--log-output"])
        .arg(file)
        .args(["--", "sh", "-c", text])
        .output()
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"one\ntwo password=hunter2\n\nlast"));
    assert_eq!(output.stdout.len(), 30 + 100_000);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "three\n");

    let seen = server.seen();
    let body = |path: &'static str| {
        let found = seen.iter().filter(move |seen| seen.path == path);
        found.map(|seen| seen.body.clone())
    };
    let spans: Vec<_> = body("/v1/traces")
        .flat_map(|body| ExportTraceServiceRequest::decode(body).unwrap().resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect();
    let records: Vec<_> = body("/v1/logs")
        .flat_map(|body| ExportLogsServiceRequest::decode(body).unwrap().resource_logs)
        .flat_map(|resource| resource.scope_logs)
        .flat_map(|scope| scope.log_records)
        .collect();
    let [span] = spans.as_slice() else {
        panic!("{spans:?}")
    };
    assert!(records.iter().all(|record| record.span_id == span.span_id));
    let mut lines: Vec<String> = records
        .iter()
        .map(|record| match record.body.clone().and_then(|body| body.value) {
            Some(Value::StringValue(text)) => text.chars().take(30).collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "lastxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "one",
            "three",
            "two password=***"
        ]
    );
    let streams = records.iter().filter_map(|record| {
        let stream = record.attributes.iter().find(|pair| pair.key == "log.iostream");
        stream.and_then(|pair| pair.value.clone()?.value)
    });
    let is_error = |value: &Value| *value == Value::StringValue("stderr".into());
    assert_eq!(streams.filter(is_error).count(), 1);
}

#[test]
fn what_is_wrong_in_the_environment_is_said_once() {
    let manifest = manifest("http://127.0.0.1:9", "enabled: false");
    let long = "garbage".repeat(5_000);
    let (_, said) = exec(&manifest, "true", &[("TRACEPARENT", &long)]);
    let found: Vec<&str> = said.lines().collect();
    let [what, place, help] = found.as_slice() else {
        panic!("{said}");
    };
    assert!(
        what.starts_with("warning[FLOE-P001]: \"garbagegarbage")
            && what.ends_with("…\" is not a traceparent; a new trace starts"),
        "{what}"
    );
    assert_eq!(*place, "  --> the environment of this process (TRACEPARENT)");
    assert!(help.starts_with("  help: "));
    assert!(said.len() < 500, "{said}");

    let names = "floe,b3, jaeger";
    let (given, said) = exec(
        &manifest,
        "echo $BAGGAGE",
        &[("OTEL_PROPAGATORS", names), ("BAGGAGE", "k=v")],
    );
    assert_eq!(
        said,
        "warning[FLOE-H005]: OTEL_PROPAGATORS names b3, jaeger, which this process does not know\n  help: name floe, tracecontext, baggage or none\n"
    );
    assert!(given.starts_with("k=v"), "{given}");
    let (given, said) = exec(
        &manifest,
        "echo $BAGGAGE",
        &[("OTEL_PROPAGATORS", "b3,None"), ("BAGGAGE", "k=v")],
    );
    assert_eq!((given.as_str(), said.as_str()), ("k=v\n", ""));
}

/// Has an operation end and answers whether it was delivered.
fn delivered(telemetry: &TelemetryProvider) -> bool {
    let before = telemetry.counts().traces;
    telemetry
        .operation(OperationKind::Custom, "work")
        .begin()
        .end("success");
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let now = telemetry.counts().traces;
        if now.delivered + now.dropped.total() > before.delivered + before.dropped.total() {
            return now.delivered > before.delivered;
        }
        assert!(Instant::now() < limit, "{now:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn put(directory: &Path, signed: &Signed) {
    fs::write(directory.join("client.pem"), &signed.certificate).unwrap();
    fs::write(directory.join("client.key"), &signed.key).unwrap();
}

/// As Python's `test_mutual_tls_and_rotation`.
#[test]
fn certificates_are_rotated() {
    for protocol in ["grpc", "http/protobuf"] {
        let (authority, clients) = (Authority::new(), Authority::new());
        let server = certificates::server(&authority.server("localhost"), Some(&clients));
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("ca.pem"), authority.pem()).unwrap();
        put(directory.path(), &Authority::new().client());
        let files = format!(
            "tls: {{ca_file: {}, cert_file: {}, key_file: {}}}",
            at("ca.pem").display(),
            at("client.pem").display(),
            at("client.key").display()
        );
        let manifest = manifest(
            &format!("https://localhost:{}", server.address.port()),
            &format!(
                "otlp_protocol: {protocol}, timeout_millis: 900, batch_processor: {{schedule_delay_millis: 10}}, {files}"
            ),
        );
        let manifest = Manifest::new("manifest", manifest).with_variables(|_| None);
        let telemetry = TelemetryProvider::from_manifest(&manifest).unwrap();
        assert!(!delivered(&telemetry), "{protocol}: a stranger");
        put(directory.path(), &clients.client());
        assert!(delivered(&telemetry), "{protocol}: rotated");
        // A pair that is half written, and one that is gone, leave the last good one at work.
        fs::write(at("client.key"), Authority::new().client().key).unwrap();
        assert!(delivered(&telemetry), "{protocol}: half");
        fs::remove_file(at("client.pem")).unwrap();
        assert!(delivered(&telemetry), "{protocol}: gone");
        // An authority that did not sign the Collector's certificate is taken up as well.
        put(directory.path(), &clients.client());
        fs::write(at("ca.pem"), Authority::new().pem()).unwrap();
        assert!(!delivered(&telemetry), "{protocol}: another authority");
        fs::write(at("ca.pem"), authority.pem()).unwrap();
        assert!(delivered(&telemetry), "{protocol}: the right one again");
    }
}

/// The machine's authorities are read from where a variable says, so the test runs once more in a process that has it.
#[test]
fn authorities_of_the_machine_are_read_again() {
    const AUTHORITIES: &str = "SSL_CERT_FILE";
    const DIRECTORY: &str = "FLOE_TEST_DIRECTORY";
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        let directory = tempfile::tempdir().unwrap();
        let again = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "authorities_of_the_machine_are_read_again"])
            .env(AUTHORITIES, directory.path().join("authorities.pem"))
            .env_remove("SSL_CERT_DIR")
            .env(DIRECTORY, directory.path())
            .status();
        assert!(again.unwrap().success());
        return;
    };
    let file = Path::new(&directory).join("authorities.pem");
    let authority = Authority::new();
    let server = certificates::server(&authority.server("localhost"), None);
    for protocol in ["grpc", "http/protobuf"] {
        fs::write(&file, Authority::new().pem()).unwrap();
        let manifest = manifest(
            &format!("https://localhost:{}", server.address.port()),
            &format!(
                "otlp_protocol: {protocol}, timeout_millis: 900, batch_processor: {{schedule_delay_millis: 10}}"
            ),
        );
        let manifest = Manifest::new("manifest", manifest).with_variables(|_| None);
        let telemetry = TelemetryProvider::from_manifest(&manifest).unwrap();
        assert!(!delivered(&telemetry), "{protocol}: a stranger's");
        fs::write(&file, authority.pem()).unwrap();
        assert!(delivered(&telemetry), "{protocol}: the right one");
        fs::write(&file, "").unwrap();
        assert!(delivered(&telemetry), "{protocol}: none, so the last ones");
    }
}
