//! The command as its user meets it: messages, codes and exit statuses.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const VALID: &str = "
metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
observability: {telemetry: {otlp_endpoint: 'http://127.0.0.1:9', shutdown_timeout_millis: 500}}
";

struct Run {
    directory: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join("manifest.yaml");
        fs::write(&path, content).unwrap();
        path
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floe-telemetry"));
        // Nothing of the caller's environment but what programs need to run.
        command.env_clear();
        command.envs(
            std::env::vars().filter(|(name, _)| ["PATH", "HOME", "FLOE_CACHE"].contains(&name.as_str())),
        );
        command
    }
}

/// Exit status, standard output, standard error; never a panic.
fn outcome(mut command: Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    (status.code(), String::from_utf8(stdout).unwrap(), stderr)
}

#[test]
fn a_valid_manifest() {
    let run = Run::new();
    let mut command = run.command();
    command.arg("validate").arg(run.file(VALID));
    let (status, stdout, stderr) = outcome(command);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("is valid"));

    let mut command = run.command();
    command.arg("plan").arg(run.file(VALID));
    let (status, stdout, _) = outcome(command);
    let plan: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(status, Some(0));
    assert_eq!(
        plan["exporters"]["traces"]["endpoint"],
        "http://127.0.0.1:9/v1/traces"
    );
    assert_eq!(plan["span_attributes"]["floe.namespace"], "acme.sales");
    assert_eq!(plan["sampling"]["tracestate"], "ot=th:0");
}

#[test]
fn manifests_that_are_refused() {
    let run = Run::new();
    let manifests: [(&[u8], &str); 8] = [
        (b"", "FLOE-M002"),
        (b"\xff\xfe\x00a", "FLOE-H002"),
        (b"a: [1", "FLOE-M001"),
        (b"a: &a [*a]", "FLOE-M001"),
        (b"just text", "FLOE-M004"),
        (b"observability: {telemetri: {}}", "FLOE-M003"),
        (b"observability: {telemetry: {}}", "FLOE-M007"),
        (&vec![b'#'; 10 * 1024 * 1024], "FLOE-H003"),
    ];
    for (content, code) in manifests {
        for subcommand in ["validate", "plan"] {
            let mut command = run.command();
            command.arg(subcommand).arg(run.file(content));
            let (status, stdout, stderr) = outcome(command);
            assert_eq!((status, stdout.as_str()), (Some(1), ""), "{code}");
            assert!(
                stderr.contains(code) && stderr.contains("help: "),
                "{code}: {stderr}"
            );
        }
    }
    for (path, code) in [
        (run.directory.path().join("none.yaml"), "FLOE-H001"),
        (run.directory.path().to_owned(), "FLOE-H004"),
    ] {
        let mut command = run.command();
        command.arg("validate").arg(path);
        let (status, _, stderr) = outcome(command);
        assert_eq!(status, Some(1));
        assert!(stderr.contains(code), "{stderr}");
    }
}

#[test]
fn everything_wrong_in_one_go_and_no_secret() {
    let run = Run::new();
    let manifest = run.file(
        "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
plugins: {telemetry_backend: {type: grafana-cloud, config: {zone: a, instance_id: 1, token: T}}}
observability:
  telemetry:
    otlp_endpoint: https://api.honeycomb.io
    authentication: {auth_type: bearer, bearer_token: hunter2}
    otlp_endpont: 'http://user:hunter2@c:4318'
    sampling: {prod: 1.5}
",
    );
    let validate = |format: &str| {
        let mut command = run.command();
        command.arg("validate").arg(&manifest).args(["--format", format]);
        outcome(command)
    };
    let (status, stdout, stderr) = validate("human");
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    for line in [
        "error[FLOE-M012]",
        "manifest.yaml:5:20",
        "5 |     otlp_endpoint: ························",
        "`plugins.telemetry_backend: honeycomb`",
        "error[FLOE-M011]",
        "manifest.yaml:6:55",
        "6 |     authentication: {auth_type: ······, bearer_token: ·······}",
        "error[FLOE-M003]",
        "did you mean `otlp_endpoint`?",
        "8 |     sampling: {prod: 1.5}",
        "manifest.yaml cannot be used: 4 errors",
    ] {
        assert!(stderr.contains(line), "{line}: {stderr}");
    }
    let (status, json, _) = validate("json");
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((status, &found["valid"]), (Some(1), &serde_json::json!(false)));
    let codes: Vec<&str> = found["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["FLOE-M012", "FLOE-M011", "FLOE-M003", "FLOE-M005"]);
    let (_, sarif, _) = validate("sarif");
    let log: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    let region = &log["runs"][0]["results"][3]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(*region, serde_json::json!({"startLine": 8, "startColumn": 22}));
    for text in [&stderr, &json, &sarif] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn settings_of_a_backend_are_checked_where_they_stand() {
    let run = Run::new();
    let manifest = run.file(format!(
        "{VALID}plugins: {{telemetry_backend: {{type: grafana-cloud, config: {{zone: a, token: 'glc_hunter2='}}}}}}\n"
    ));
    for subcommand in ["validate", "plan"] {
        let mut command = run.command();
        command.arg(subcommand).arg(&manifest);
        let (status, _, stderr) = outcome(command);
        assert_eq!(status, Some(1), "{stderr}");
        assert!(
            stderr.contains("error[FLOE-B004]") && stderr.contains("instance_id"),
            "{stderr}"
        );
        assert!(
            stderr.contains("error[FLOE-B007]") && stderr.contains("manifest.yaml:4:77"),
            "{stderr}"
        );
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

/// What `validate --format json` finds under these variables: line, code and message.
fn found(run: &Run, manifest: &str, variables: &[(&str, &str)]) -> Vec<(u64, String, String)> {
    let mut command = run.command();
    command
        .arg("validate")
        .arg(run.file(manifest))
        .args(["--format", "json"]);
    command.envs(variables.iter().copied());
    let (status, stdout, stderr) = outcome(command);
    assert!(stdout.starts_with('{'), "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let diagnostics = report.get("diagnostics").and_then(|found| found.as_array());
    assert_eq!(report.get("valid"), Some(&(status == Some(0)).into()));
    diagnostics
        .unwrap()
        .iter()
        .map(|found| {
            (
                found.get("line").and_then(|line| line.as_u64()).unwrap(),
                text(found.get("code").unwrap()),
                text(found.get("message").unwrap()),
            )
        })
        .collect()
}

const ENVIRONMENTS: &str = "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
plugins: {telemetry_backend: {type: honeycomb, config: {region: mars, api_key: HC}}}
observability:
  telemetry:
    otlp_endpoint: http://127.0.0.1:9
    environments:
      dev: {telemetry_backend: debug}
      staging: {telemetry_backend: {type: loki, config: {endpont: 'http://loki:1'}}}
";

#[test]
fn backends_of_every_environment_are_checked_in_one_go() {
    let run = Run::new();
    let region = "region has a value that is not allowed here";
    let setting = "unknown setting \"endpont\" (in the environment `staging`)";
    let expected = |region: &str| {
        vec![
            (2, "FLOE-B005".to_owned(), region.to_owned()),
            (8, "FLOE-B002".to_owned(), setting.to_owned()),
        ]
    };
    let elsewhere = format!("{region} (in the environment `prod`)");
    assert_eq!(found(&run, ENVIRONMENTS, &[]), expected(&elsewhere));
    // What is found in this process's environment is of no other.
    assert_eq!(
        found(&run, ENVIRONMENTS, &[("FLOE_MODE", "prod")]),
        expected(region)
    );
    // What two of them have is said once.
    let two = ENVIRONMENTS.lines().take(7).collect::<Vec<_>>().join("\n");
    assert_eq!(
        found(&run, &two, &[]),
        [(
            2,
            "FLOE-B005".to_owned(),
            format!("{region} (in the environments `staging` and `prod`)")
        )]
    );
    // The Collector of this environment can be had all the same.
    let mut command = run.command();
    command.args(["collector", "render"]).arg(run.file(ENVIRONMENTS));
    let (status, stdout, stderr) = outcome(command);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(
        stdout.contains("\n# For the Collector 0.161.0, as agent, in the environment dev.\n"),
        "{stdout}"
    );
}

#[test]
fn variables_of_this_process_are_of_no_other_environment() {
    let run = Run::new();
    let manifest = VALID.replace(
        "{telemetry: {",
        "{telemetry: {resource_attributes: {floe.namespace: 3}, ",
    );
    let wrong = "expected text, found the number 3";
    let expected = |message: &str| [(3, "FLOE-M004".to_owned(), message.to_owned())];
    assert_eq!(found(&run, &manifest, &[]), expected(wrong));
    // It mends what is wrong here, and nowhere else.
    let ours = [("OTEL_RESOURCE_ATTRIBUTES", "floe.namespace=acme")];
    assert_eq!(
        found(&run, &manifest, &ours),
        expected(&format!("{wrong} (in the environments `staging` and `prod`)"))
    );
}

#[test]
fn nothing_that_is_wrong_hides_the_rest() {
    let run = Run::new();
    let manifest = ENVIRONMENTS.replace("http://127.0.0.1:9", "ftp://127.0.0.1:9");
    let codes = |manifest: &str, variables: &[(&str, &str)]| -> Vec<String> {
        found(&run, manifest, variables)
            .into_iter()
            .map(|(_, code, _)| code)
            .collect()
    };
    let variables = [("OTEL_EXPORTER_OTLP_HEADERS", "a b=c")];
    assert_eq!(
        codes(&manifest, &variables),
        ["FLOE-B005", "FLOE-M006", "FLOE-B002", "FLOE-M010"]
    );
    let nowhere = manifest.replace(
        "    environments",
        "    collector: {backends_directory: nowhere}\n    environments",
    );
    assert_eq!(codes(&nowhere, &[]), ["FLOE-M006", "FLOE-C009"]);
    // No Collector comes of it, in whatever environment it is.
    let mut command = run.command();
    command
        .args(["collector", "render"])
        .arg(run.file(&manifest))
        .envs(variables);
    let (status, stdout, stderr) = outcome(command);
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.contains("--> variable OTEL_EXPORTER_OTLP_HEADERS\n"),
        "{stderr}"
    );
}

#[test]
fn a_file_that_cannot_be_written_says_what_to_do() {
    let run = Run::new();
    let manifest = run.file(VALID);
    let missing = run.directory.path().join("out");
    for (file, help) in [
        (
            missing.join("collector.yaml"),
            format!("make the directory first: mkdir -p {}", missing.display()),
        ),
        (run.directory.path().to_owned(), "name a file in it".to_owned()),
        (
            manifest.join("collector.yaml"),
            "a part of the path is a file".to_owned(),
        ),
    ] {
        let mut command = run.command();
        command
            .args(["collector", "render"])
            .arg(&manifest)
            .arg("-o")
            .arg(file);
        let (status, _, stderr) = outcome(command);
        assert_eq!(status, Some(1));
        assert!(
            stderr.contains("FLOE-E002") && stderr.contains(&help),
            "{help}: {stderr}"
        );
    }
}

#[test]
fn every_header_explains_itself() {
    let run = Run::new();
    let manifest = run.file(
        "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
observability:
  telemetry:
    otlp_endpoint: http://127.0.0.1:9
    headers:
      x-tenant: ${env:TENANT}
      x-plain: 'a \"b\"'
",
    );
    let mut command = run.command();
    command.arg("plan").arg(&manifest).arg("--explain");
    command.env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-plain=hunter2");
    let (status, stdout, stderr) = outcome(command);
    assert_eq!(status, Some(0), "{stderr}");
    let rows: Vec<Vec<&str>> = stdout
        .lines()
        .map(|line| line.split('│').map(str::trim).collect::<Vec<_>>())
        .filter_map(|cells| {
            let row = cells.get(1)?.split_whitespace().next()?;
            row.contains("headers").then(|| {
                cells[1]
                    .split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect()
            })
        })
        .collect();
    let row = |name: &str| {
        rows.iter()
            .find(|row| row[0] == name)
            .unwrap_or_else(|| panic!("{name}: {stdout}"))
    };
    assert_eq!(row("headers.x-tenant")[1], "\"${env:TENANT}\"");
    assert!(row("headers.x-tenant")[2].ends_with("manifest.yaml:6:17"));
    assert_eq!(row("headers.x-plain")[1], r#""a \"b\"""#);
    assert_eq!(row("logs.headers.x-plain")[2], "follows from headers.x-plain");
    assert_eq!(
        row("traces.headers.x-plain")[2],
        "variable OTEL_EXPORTER_OTLP_TRACES_HEADERS"
    );
    assert!(!stdout.contains("hunter2"), "{stdout}");
}

#[test]
fn a_plan_explains_itself() {
    let run = Run::new();
    let manifest = run.file(VALID);
    let explain = |arguments: &[&str]| {
        let mut command = run.command();
        command
            .arg("plan")
            .arg(&manifest)
            .arg("--explain")
            .args(arguments);
        command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "7000");
        outcome(command)
    };
    let (status, stdout, _) = explain(&[]);
    assert_eq!(status, Some(0));
    let row = |setting: &str| {
        let found = stdout.lines().find(|line| line.contains(setting));
        found.unwrap_or_else(|| panic!("{setting}: {stdout}")).to_owned()
    };
    assert!(row(" otlp_endpoint ").contains("manifest.yaml:3:44"));
    assert!(row(" timeout_millis ").contains("variable OTEL_EXPORTER_OTLP_TIMEOUT"));
    assert!(row(" logs.timeout_millis ").contains("follows from timeout_millis"));
    assert!(row(" sampling.prod ").contains("default"));
    let (_, json, _) = explain(&["--json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let timeout = rows
        .iter()
        .find(|row| row["path"] == "observability.telemetry.timeout_millis")
        .unwrap();
    assert_eq!(
        (&timeout["value"], &timeout["origin"]),
        (&7000.into(), &"variable".into())
    );
}

#[test]
fn the_schema_is_there() {
    let mut command = Run::new().command();
    command.arg("schema");
    let (status, stdout, _) = outcome(command);
    let schema: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(status, Some(0));
    assert!(schema["properties"]["observability"].is_object());
}

#[test]
fn a_component_that_is_none() {
    let run = Run::new();
    let component = run.directory.path().join("policy.wasm");
    fs::write(&component, b"\0asm\x01\0\0\0").unwrap();
    let mut command = run.command();
    command
        .arg("validate")
        .arg(run.file(VALID))
        .env("FLOE_TELEMETRY_COMPONENT", &component);
    let (status, _, stderr) = outcome(command);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("FLOE-C003"), "{stderr}");
}

#[test]
fn a_port_in_use() {
    let run = Run::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = run.command();
    command.args([
        "receive",
        "--http-port",
        "0",
        "--grpc-port",
        &taken.local_addr().unwrap().port().to_string(),
    ]);
    let (status, _, stderr) = outcome(command);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("FLOE-R001"), "{stderr}");
}

#[test]
fn exec_hands_the_context_on_and_the_status_back() {
    let run = Run::new();
    let manifest = run.file(VALID);
    let mut command = run.command();
    command.arg("exec").arg(&manifest).args([
        "--",
        "sh",
        "-c",
        "echo $TRACEPARENT $BAGGAGE $FLOE_TELEMETRY_MANIFEST; exit 7",
    ]);
    command.env(
        "TRACEPARENT",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    let (status, stdout, stderr) = outcome(command);
    assert_eq!(status, Some(7));
    assert!(
        stdout.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{stdout}"
    );
    assert!(
        !stdout.contains("00f067aa0ba902b7"),
        "the child continues the operation: {stdout}"
    );
    assert!(
        stdout.contains("floe.namespace=acme.sales") && stdout.contains("manifest.yaml"),
        "{stdout}"
    );
    // Nobody listens at the Collector's port.
    assert!(stderr.contains("FLOE-X001"), "{stderr}");
}

#[test]
fn exec_without_telemetry_still_runs() {
    let run = Run::new();
    let mut command = run.command();
    command
        .arg("exec")
        .arg(run.file("a: [1"))
        .args(["--", "sh", "-c", "echo ran $TRACEPARENT"]);
    command.env(
        "TRACEPARENT",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    let (status, stdout, stderr) = outcome(command);
    assert_eq!(status, Some(0));
    assert_eq!(
        stdout,
        "ran 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n"
    );
    assert!(stderr.contains("FLOE-M001"), "{stderr}");
}

#[test]
fn exec_of_nothing() {
    let run = Run::new();
    let mut command = run.command();
    command
        .arg("exec")
        .arg(run.file(VALID))
        .args(["--", "/nowhere/program"]);
    let (status, _, stderr) = outcome(command);
    assert_eq!(status, Some(127));
    assert!(stderr.contains("FLOE-E001"), "{stderr}");
}

#[test]
fn versions_of_all_that_decides() {
    let run = Run::new();
    for option in ["--version", "-V"] {
        let mut command = run.command();
        command.arg(option);
        let (status, stdout, stderr) = outcome(command);
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
        let lines: Vec<_> = stdout.lines().collect();
        let [command, policy, contract] = lines.as_slice() else {
            panic!("{stdout}");
        };
        assert_eq!(*command, concat!("floe-telemetry ", env!("CARGO_PKG_VERSION")));
        assert!(
            policy.starts_with("policy floe-policy ") && policy.contains(", sha256 "),
            "{policy}"
        );
        assert!(contract.starts_with("contract floe:telemetry@0."), "{contract}");
    }
    let mut command = run.command();
    command
        .arg("--version")
        .env("FLOE_TELEMETRY_COMPONENT", "/nowhere.wasm");
    let (status, stdout, stderr) = outcome(command);
    assert_eq!(status, Some(1));
    assert!(
        stdout.starts_with("floe-telemetry ") && stderr.contains("FLOE-C"),
        "{stderr}"
    );
    let mut command = run.command();
    command.args(["--version", "schema"]);
    assert_eq!(outcome(command).0, Some(2));
    assert_eq!(outcome(run.command()).0, Some(2));
}

#[test]
fn nobody_reads_what_is_received() {
    let mut command = Run::new().command();
    command.args([
        "receive",
        "--grpc-port",
        "0",
        "--http-port",
        "0",
        "--metrics-every",
        "1",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert!(out.read_line(&mut line).unwrap() > 0);
        if let Some(url) = line.strip_prefix("OTLP/HTTP: http://") {
            break url.trim().to_owned();
        }
    };
    drop(out);
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#;
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).as_ref()
        ),
        (Some(0), "")
    );
}
