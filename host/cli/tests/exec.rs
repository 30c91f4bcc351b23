//! What `exec` is to the command that it runs: as good as not there.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "../../../adapters/otlp/tests/otlp/server.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod server;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use server::{Answer, Server};
use tokio::signal::unix::{SignalKind, signal};

const CLI: &str = env!("CARGO_BIN_EXE_floe-telemetry");
/// Set in the process that a test runs by `exec`: the signals that it waits for.
const SIGNALS: &str = "FLOE_TEST_SIGNALS";
/// Longest time for anything.
const LIMIT: Duration = Duration::from_secs(120);

struct Place {
    directory: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let server = Server::start(None, vec![Answer::Takes { rejected: 0 }]);
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "metadata: {{name: sales, version: 1.2.0, namespace: acme.sales}}
observability: {{telemetry: {{otlp_endpoint: 'http://{}', shutdown_timeout_millis: 5000}}}}",
            server.address
        );
        fs::write(directory.path().join("manifest.yaml"), text).unwrap();
        Self { directory, server }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `exec` of what is still to be said, in a process group of its own.
    fn exec(&self, options: &[&str]) -> Command {
        let mut command = Command::new(CLI);
        command
            .arg("exec")
            .args(options)
            .arg(self.path().join("manifest.yaml"))
            .arg("--")
            .env_clear()
            .envs(
                std::env::vars().filter(|(name, _)| ["PATH", "HOME", "FLOE_CACHE"].contains(&name.as_str())),
            )
            .process_group(0);
        command
    }

    fn sh(&self, options: &[&str], text: &str) -> Command {
        let mut command = self.exec(options);
        command.args(["sh", "-c", text]);
        command
    }

    /// `floe.outcome` of each span that came.
    fn outcomes(&self) -> Vec<String> {
        let seen = self.server.seen();
        seen.iter()
            .filter(|seen| seen.path == "/v1/traces")
            .flat_map(|seen| {
                ExportTraceServiceRequest::decode(seen.body.clone())
                    .unwrap()
                    .resource_spans
            })
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .map(|span| {
                let outcome = span.attributes.iter().find(|pair| pair.key == "floe.outcome");
                match outcome.and_then(|pair| pair.value.clone()?.value) {
                    Some(Value::StringValue(text)) => text,
                    _ => String::new(),
                }
            })
            .collect()
    }
}

/// Sends a signal to a process, or to a group by a negative number.
fn kill(pid: i64, number: i32) {
    let sent = Command::new("kill")
        .args([format!("-{number}"), "--".to_owned(), pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn state(pid: i64) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit(')').next()?.trim_start().chars().next()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a command and waits for the first line that it prints.
fn started(command: &mut Command) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line.trim().is_empty() || line.starts_with("running") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    (child, out, line.trim().to_owned())
}

fn signals() -> Vec<i32> {
    let real_time = if cfg!(target_os = "linux") {
        Some(libc::SIGRTMIN() + 3)
    } else {
        None
    };
    [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGTERM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGIO,
        libc::SIGXCPU,
    ]
    .into_iter()
    .chain(real_time)
    .filter(|number| !is_ignored(*number))
    .collect()
}

/// Whether these tests were started to ignore a signal, as `nohup` does: what they start ignores it too.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.unwrap_or_default() >> (number - 1) & 1 == 1
}

/// Not a test: the command that the next one runs. It prints each signal that it gets, until some time after the first.
#[test]
fn prints_signals() {
    let Ok(wanted) = std::env::var(SIGNALS) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for number in wanted.split(',').map(|number| number.parse::<i32>().unwrap()) {
            let mut stream = signal(SignalKind::from_raw(number)).unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    sender.send(number).unwrap();
                }
            });
        }
        println!("\nready");
        let first = receiver.recv().await.unwrap();
        println!("got {first}");
        let more = async {
            while let Some(number) = receiver.recv().await {
                println!("got {number}");
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(1500), more).await;
        std::process::exit(7);
    });
}

#[test]
fn every_signal_comes_to_the_command_once() {
    let place = Place::new();
    let all = signals().into_iter().chain([libc::SIGWINCH]);
    let wanted: Vec<i32> = all.collect();
    let names = wanted
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",");
    for to_group in [false, true] {
        // All at once, since each takes its time.
        let running: Vec<_> = wanted
            .iter()
            .map(|number| {
                let mut command = place.exec(&[]);
                command
                    .arg(std::env::current_exe().unwrap())
                    .args(["--exact", "prints_signals", "--nocapture"])
                    .env(SIGNALS, &names);
                (*number, command.stdout(Stdio::piped()).spawn().unwrap())
            })
            .collect();
        for (number, mut child) in running {
            let mut out = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            while line.trim() != "ready" {
                line.clear();
                assert!(out.read_line(&mut line).unwrap() > 0, "{number} ended early");
            }
            let pid = i64::from(child.id());
            kill(if to_group { -pid } else { pid }, number);
            let mut rest = String::new();
            out.read_to_string(&mut rest).unwrap();
            assert_eq!(rest.trim(), format!("got {number}"), "to the group: {to_group}");
            assert_eq!(child.wait().unwrap().code(), Some(7));
        }
    }
    let outcomes = place.outcomes();
    assert_eq!(outcomes.len(), 2 * wanted.len());
    let requests = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
    let requests = wanted.iter().filter(|number| requests.contains(number)).count();
    assert_eq!(
        outcomes.iter().filter(|outcome| *outcome == "cancelled").count(),
        2 * requests
    );
}

#[test]
fn a_command_that_dies_of_a_signal_takes_exec_along() {
    let place = Place::new();
    for to_group in [false, true] {
        let running: Vec<_> = signals()
            .into_iter()
            .map(|number| (number, started(&mut place.sh(&[], "echo $$; exec sleep 300"))))
            .collect();
        for (number, (mut child, _out, line)) in running {
            let pid = i64::from(child.id());
            kill(if to_group { -pid } else { pid }, number);
            let status = child.wait().unwrap();
            assert_eq!(status.signal(), Some(number), "to the group: {to_group}");
            assert!(!status.core_dumped());
            let command = line.parse().unwrap();
            assert!(
                matches!(state(command), None | Some('Z')),
                "{number} leaves no orphan"
            );
        }
    }
    let outcomes = place.outcomes();
    assert_eq!(outcomes, vec!["cancelled"; 2 * signals().len()]);
}

#[test]
fn a_command_in_another_group_gets_what_exec_gets() {
    let place = Place::new();
    let text = "echo $$; exec sleep 300";
    let mut command = place.exec(&[]);
    command.args(["setsid", "sh", "-c", text]);
    let (mut child, _out, line) = started(&mut command);
    kill(-i64::from(child.id()), libc::SIGTERM);
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    assert!(matches!(state(line.parse().unwrap()), None | Some('Z')));
}

#[test]
fn a_command_stops_and_goes_on() {
    let place = Place::new();
    for to_group in [false, true] {
        let (mut child, _out, line) = started(&mut place.sh(&[], "echo $$; exec sleep 4"));
        let (exec, command): (i64, i64) = (child.id().into(), line.parse().unwrap());
        let at = if to_group { -exec } else { exec };
        kill(at, libc::SIGTSTP);
        wait_until("both stop", || {
            state(exec) == Some('T') && state(command) == Some('T')
        });
        kill(at, libc::SIGCONT);
        wait_until("both go on", || {
            state(exec) != Some('T') && state(command) != Some('T')
        });
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_exec_leaves_no_command() {
    let place = Place::new();
    let (mut child, _out, line) = started(&mut place.sh(&[], "echo $$; exec sleep 300"));
    kill(child.id().into(), libc::SIGKILL);
    child.wait().unwrap();
    let command = line.parse().unwrap();
    wait_until("the command ends", || matches!(state(command), None | Some('Z')));
}

#[test]
fn what_is_ignored_stays_ignored() {
    let place = Place::new();
    let output = Command::new("sh")
        .arg("-c")
        .arg("trap '' HUP INT; \"$@\"")
        .args(["sh", CLI, "exec"])
        .arg(place.path().join("manifest.yaml"))
        .args([
            "--",
            "sh",
            "-c",
            "kill -HUP $$; kill -INT $$; kill -INT $PPID; echo survived",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "survived\n");
    assert_eq!(output.status.code(), Some(0));
}

fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_command_gets_its_arguments_environment_and_input() {
    let place = Place::new();
    let mut command = place.sh(&[], "printf '%s|' \"$@\"; cat; pwd; printf '%s' \"$ODD\"");
    command
        .args([
            "sh",
            "--quiet",
            "--version",
            "-h",
            "--",
            "--log-output",
            "",
            "a b",
        ])
        .arg(OsStr::from_bytes(b"\xff"))
        .env("ODD", OsStr::from_bytes(b"\xfe"))
        .current_dir(place.path())
        .stdin(fs::File::open(place.path().join("manifest.yaml")).unwrap());
    let Output { status, stdout, .. } = command.output().unwrap();
    let mut expected = b"--quiet|--version|-h|--|--log-output||a b|\xff|".to_vec();
    expected.extend(fs::read(place.path().join("manifest.yaml")).unwrap());
    expected.extend(place.path().canonicalize().unwrap().as_os_str().as_bytes());
    expected.extend(b"\n\xfe");
    assert_eq!((status.code(), stdout), (Some(0), expected));
    // A command of this name is one all the same.
    let mut command = place.exec(&[]);
    command.arg("--version");
    assert_eq!(outcome(&mut command).0, Some(127));
}

#[test]
fn the_command_has_its_own_exit_code() {
    let place = Place::new();
    for code in [0, 1, 2, 101, 126, 127, 128, 255] {
        let (found, ..) = outcome(&mut place.sh(&[], &format!("exit {code}")));
        assert_eq!(found, Some(code));
    }
    let script = place.path().join("script");
    fs::write(&script, "echo ran").unwrap();
    for (program, mode, code) in [
        (Path::new("/nowhere/program"), None, 127),
        (Path::new("no-such-program"), None, 127),
        (place.path(), None, 126),
        (&script, Some(0o644), 126),
        // As shells do: a script without a first line that names an interpreter is one of `sh`.
        (&script, Some(0o755), 0),
    ] {
        if let Some(mode) = mode {
            fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut command = place.exec(&[]);
        command.arg(program);
        let (found, out, said) = outcome(&mut command);
        assert_eq!(found, Some(code), "{}: {said}", program.display());
        assert_eq!(said.contains("FLOE-E001"), code != 0, "{said}");
        assert_eq!(out == "ran\n", code == 0);
    }
}

#[test]
fn paths_of_ours_are_absolute_for_the_command() {
    let place = Place::new();
    let text =
        "cd /; echo $FLOE_TELEMETRY_MANIFEST; echo $FLOE_TELEMETRY_COMPONENT; echo $FLOE_TELEMETRY_BACKENDS";
    let here = place.path().canonicalize().unwrap();
    for component in ["", "missing.wasm"] {
        let mut command = Command::new(CLI);
        command
            .args(["exec", "manifest.yaml", "--", "sh", "-c", text])
            .current_dir(&here)
            .env("FLOE_TELEMETRY_COMPONENT", component)
            .env("FLOE_TELEMETRY_BACKENDS", "backends");
        let (code, out, said) = outcome(&mut command);
        assert_eq!(code, Some(0));
        // Without its component there is no telemetry, and the command runs all the same.
        assert_eq!(said.is_empty(), component.is_empty(), "{said}");
        let absolute = |name: &str| match name {
            "" => String::new(),
            name => here.join(name).display().to_string(),
        };
        let expected = ["manifest.yaml", component, "backends"].map(absolute);
        assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn nobody_reads_what_exec_says() {
    let place = Place::new();
    let broken = place.path().join("broken.yaml");
    fs::write(&broken, "a: [1").unwrap();
    let file = place.path().join("ran");
    for text in [
        "\"$0\" exec \"$1\" -- sh -c 'exit 3' >&- 2>&- <&-",
        "{ \"$0\" exec \"$1\" -- sh -c 'exit 3'; echo $? >\"$2\"; } 2>&1 | true; exit \"$(cat \"$2\")\"",
        "{ sleep 1; \"$0\" exec \"$1\" -- sh -c 'exit 3'; echo $? >\"$2\"; } 2>&1 | true; exit \"$(cat \"$2\")\"",
        "{ sleep 1; \"$0\" exec --log-output \"$1\" -- sh -c 'exit 3'; echo $? >\"$2\"; } 2>&1 | true; exit \"$(cat \"$2\")\"",
    ] {
        for manifest in [
            &broken,
            &place.path().join("manifest.yaml"),
            &place.path().join("missing"),
        ] {
            let status = Command::new("sh")
                .args(["-c", text, CLI])
                .args([manifest, &file])
                .stderr(Stdio::null())
                .status();
            assert_eq!(status.unwrap().code(), Some(3), "{text} {}", manifest.display());
        }
    }
}

#[test]
fn a_process_that_may_open_few_files_runs_its_command() {
    let place = Place::new();
    for files in [8, 10, 12, 16, 20, 24, 32] {
        let status = Command::new("sh")
            .args(["-c", "ulimit -n $1; shift; exec \"$@\"", "sh", &files.to_string()])
            .args([CLI, "exec", "--log-output"])
            .arg(place.path().join("manifest.yaml"))
            .args(["--", "sh", "-c", "exit 3"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.unwrap().code(), Some(3), "{files}");
    }
}

#[test]
fn output_is_whole_however_slowly_it_is_read() {
    let place = Place::new();
    let text = "head -c 3000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' y";
    let mut command = place.sh(&["--log-output"], text);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let mut first = vec![0; 3_000_000];
    out.read_exact(&mut first).unwrap();
    // The command has ended, and what it wrote last is still on its way.
    std::thread::sleep(Duration::from_secs(3));
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 100_000);
    assert!(first.iter().all(|byte| *byte == b'x') && rest.iter().all(|byte| *byte == b'y'));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_has_enough_ends_the_command() {
    let place = Place::new();
    for options in [&[][..], &["--log-output"]] {
        let mut command = place.exec(options);
        let mut child = command
            .arg("yes")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut first = [0; 100];
        out.read_exact(&mut first).unwrap();
        assert_eq!(first[..4], *b"y\ny\n");
        drop(out);
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGPIPE), "{options:?}");
    }
}

#[test]
fn a_signal_comes_through_while_nobody_reads() {
    let place = Place::new();
    let mut command = place.exec(&["--log-output"]);
    let mut child = command
        .arg("yes")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _unread = child.stdout.take().unwrap();
    // Until its pipe is full.
    std::thread::sleep(Duration::from_secs(3));
    kill(child.id().into(), libc::SIGTERM);
    // And then nothing is waited for.
    std::thread::sleep(Duration::from_secs(1));
    kill(child.id().into(), libc::SIGTERM);
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
}
