//! `floe-telemetry exec`: any command as a traced operation.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};

use floe_telemetry::{
    Error, MANIFEST_VARIABLE, Manifest, Operation, OperationKind, Problem, TelemetryProvider,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};

use crate::Failure;
use crate::output::Output;

/// A command to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The manifest file. If it is wrong, the command runs all the same, without telemetry.
    manifest: PathBuf,
    /// Sends each line that the command prints as a log record of its span as well. Its output is no terminal then.
    #[arg(long)]
    log_output: bool,
    /// The command and its arguments.
    #[arg(last = true, required = true, num_args = 1.., value_name = "CMD")]
    command: Vec<OsString>,
}

fn telemetry(manifest: &Path) -> Result<TelemetryProvider, Error> {
    TelemetryProvider::from_manifest(&Manifest::read(manifest)?)
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let telemetry = telemetry(&arguments.manifest).unwrap_or_else(|error| {
        let telemetry = TelemetryProvider::disabled();
        let consequence = "floe-telemetry: the command runs without telemetry";
        crate::complain(&telemetry, format_args!("{error}\n{consequence}"));
        telemetry
    });
    crate::log(&telemetry);
    let (program, rest) = arguments.command.split_first().ok_or("no command")?;
    let name = Path::new(program)
        .file_name()
        .unwrap_or(program)
        .to_string_lossy()
        .into_owned();
    let mut operation = telemetry.operation(OperationKind::Command, name).begin();
    let mut command = Command::new(program);
    command.args(rest);
    if arguments.log_output {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let result = run_child(command, &arguments.manifest, &telemetry, &mut operation);
    let code = match result {
        Ok(status) => {
            operation.end(&word(status));
            exit_code(status)
        }
        Err(error) => {
            crate::complain(&telemetry, not_started(program, &error));
            operation.fail("error", &error);
            ExitCode::from(if error.kind() == ErrorKind::NotFound {
                127
            } else {
                126
            })
        }
    };
    if let Err(undelivered) = telemetry.shutdown() {
        crate::complain(&telemetry, undelivered);
    }
    Ok(code)
}

/// Runs a child that continues an operation's context, and hands a request to end on to it.
pub(crate) fn run_child(
    mut command: Command,
    manifest: &Path,
    telemetry: &TelemetryProvider,
    operation: &mut Operation<'_>,
) -> std::io::Result<ExitStatus> {
    command.envs(telemetry.environment(operation.context()).iter());
    if let Ok(manifest) = manifest.canonicalize() {
        command.env(MANIFEST_VARIABLE, manifest);
    }
    let status = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            // Before there is a child that a signal could leave alone.
            let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let mut child = command.spawn()?;
            operation.fact("process.pid", child.id().map(i64::from).unwrap_or_default());
            let output = Output::of(&mut child, operation.context());
            let status = supervise(child, signals).await;
            output.finish().await;
            status
        })?;
    if let Some(code) = status.code() {
        operation.fact("exit_code", i64::from(code));
    }
    Ok(status)
}

/// Waits for a child. The terminal sends an interrupt to the child as well, so it is only survived here; a request to terminate comes
/// to this process alone and is passed on.
async fn supervise(
    mut child: Child,
    (mut interrupt, mut terminate): (UnixSignal, UnixSignal),
) -> std::io::Result<ExitStatus> {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                if let Some(pid) = pid {
                    // The child may have ended meanwhile.
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
        }
    }
}

/// How a process ended, in the word that the policy knows.
pub(crate) fn word(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "error".to_owned(),
    }
}

/// The child's own code, or 128 and the signal, as shells have it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn not_started(program: &OsString, error: &std::io::Error) -> Problem {
    Problem::new(
        "FLOE-E001",
        format!("{} cannot be started: {error}", program.to_string_lossy()),
        "name a program that exists on PATH and may be executed",
    )
}
