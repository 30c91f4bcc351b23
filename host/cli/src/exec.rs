//! `floe-telemetry exec`: any command as a traced operation.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use floe_telemetry::{
    Error, MANIFEST_VARIABLE, Manifest, Operation, OperationKind, Problem, TelemetryProvider,
};
use tokio::process::{Child, Command};

use crate::Failure;
use crate::child::{Requests, Signals, end_by, end_with_parent, has_room, instead, signal_of};
use crate::output::{Output, Pipes};

/// How long a signal may take to be received here after it was sent.
const SETTLING: Duration = Duration::from_millis(50);

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

/// A fault of ours ends here: the command is its user's, and runs all the same.
fn guarded<T>(ours: impl FnOnce() -> T) -> Option<T> {
    let answer: Result<T, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(ours));
    answer.ok()
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let telemetry = guarded(|| telemetry(&arguments.manifest))
        .unwrap_or_else(|| {
            Err(Problem::new(
                "FLOE-E003",
                "telemetry could not start, for the reason above",
                "check the limits of this process on threads, memory and open files",
            )
            .into())
        })
        .unwrap_or_else(|error| {
            let telemetry = TelemetryProvider::disabled();
            crate::complain(&telemetry, error);
            crate::remark("floe-telemetry: the command runs without telemetry");
            telemetry
        });
    guarded(|| crate::log(&telemetry));
    let (program, rest) = arguments.command.split_first().ok_or("no command")?;
    if !has_room() {
        crate::remark("floe-telemetry: this process may open too few files; the command runs in its place");
        let error = instead(program, rest);
        crate::complain(&telemetry, not_started(program, &error));
        return Ok(not_started_code(&error));
    }
    let name = Path::new(program)
        .file_name()
        .unwrap_or(program)
        .to_string_lossy()
        .into_owned();
    let mut operation = telemetry.operation(OperationKind::Command, name).begin();
    let mut command = Command::new(program);
    command.args(rest);
    let (code, signal) = match run_child(
        command,
        arguments.log_output,
        &arguments.manifest,
        &telemetry,
        &mut operation,
    ) {
        Ok(ended) => {
            guarded(|| operation.end(&ended.word()));
            (ended.exit_code(), signal_of(ended.status))
        }
        Err(error) => {
            crate::complain(&telemetry, not_started(program, &error));
            guarded(|| operation.fail("error", &error));
            (not_started_code(&error), None)
        }
    };
    if let Some(Err(undelivered)) = guarded(|| telemetry.shutdown()) {
        crate::complain(&telemetry, undelivered);
    }
    if let Some(signal) = signal {
        end_by(signal);
    }
    Ok(code)
}

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    requests: Requests,
}

impl Ended {
    /// In the word that the policy knows. What was asked to end and did not succeed was cancelled, however it says so.
    pub(crate) fn word(&self) -> String {
        let signal = signal_of(self.status);
        let is_ended_by_one = signal.is_some() && signal == self.requests.last;
        if is_ended_by_one || self.requests.end && !self.status.success() {
            return "cancelled".to_owned();
        }
        match (self.status.code(), signal) {
            (Some(code), _) => code.to_string(),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "error".to_owned(),
        }
    }

    /// The child's own code, or 128 and the signal, as shells have it.
    fn exit_code(&self) -> ExitCode {
        let code = self
            .status
            .code()
            .or_else(|| signal_of(self.status).map(|signal| 128 + signal))
            .unwrap_or(1);
        ExitCode::from(u8::try_from(code).unwrap_or(1))
    }
}

/// Runs a child that continues an operation's context, and passes on to it the signals that come to this process.
pub(crate) fn run_child(
    mut command: Command,
    log_output: bool,
    manifest: &Path,
    telemetry: &TelemetryProvider,
    operation: &mut Operation<'_>,
) -> std::io::Result<Ended> {
    let context = guarded(|| telemetry.environment(operation.context()));
    let mut added: Vec<(&OsStr, &OsStr)> = context
        .iter()
        .flat_map(|environment| environment.iter())
        .filter(|(name, value)| std::env::var_os(name).as_deref() != Some(*value))
        .collect();
    // By the path that it was given, which may be a link that is set anew. What is read once is nothing for a child.
    let absolute = std::path::absolute(manifest).ok().filter(|path| path.is_file());
    if let Some(path) = &absolute {
        added.push((OsStr::new(MANIFEST_VARIABLE), path.as_os_str()));
    }
    command.envs(added.iter().copied());
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        // Too few open files for more than the command itself.
        return Ok(Ended {
            status: command.as_std_mut().status()?,
            requests: Requests::default(),
        });
    };
    let ended = runtime.block_on(async {
        // Before there is a child that a signal could leave alone.
        let mut signals = Signals::listen()?;
        end_with_parent(&mut command);
        let mut pipes = log_output.then(Pipes::new).and_then(Result::ok);
        if let Some(pipes) = &mut pipes {
            pipes.connect(&mut command);
        }
        let mut child = spawn(&mut command, &added)?;
        // Its ends of the pipes are the child's alone.
        drop(command);
        operation.fact("process.pid", child.id().map(i64::from).unwrap_or_default());
        let output = pipes.map(|pipes| Output::of(pipes, operation.context()));
        let status = supervise(&mut child, &mut signals).await?;
        if !status.success() {
            // What ended the child may have been sent to this process as well, and be on its way here.
            let _ = tokio::time::timeout(SETTLING, signals.next()).await;
        }
        if let Some(output) = output {
            // Who reads the output may take as long as it likes, and who asks to end does not wait for that.
            tokio::select! {
                () = output.finish() => {}
                _ = signals.next() => {}
            }
        }
        std::io::Result::Ok(Ended {
            status,
            requests: signals.requests(),
        })
    });
    runtime.shutdown_background();
    let ended = ended?;
    if let Some(code) = ended.status.code() {
        operation.fact("exit_code", i64::from(code));
    }
    Ok(ended)
}

/// Starts a child. If the system takes no more variables, it starts without ours.
fn spawn(command: &mut Command, added: &[(&OsStr, &OsStr)]) -> std::io::Result<Child> {
    command.spawn().or_else(|error| {
        if !matches!(
            error.kind(),
            ErrorKind::ArgumentListTooLong | ErrorKind::InvalidInput
        ) || added.is_empty()
        {
            return Err(error);
        }
        for (name, _) in added {
            match std::env::var_os(name) {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.spawn()
    })
}

/// Waits for a child.
async fn supervise(child: &mut Child, signals: &mut Signals) -> std::io::Result<ExitStatus> {
    loop {
        let signal = tokio::select! {
            status = child.wait() => return status,
            signal = signals.next() => signal,
        };
        signals.pass_on(signal, child).await;
    }
}

/// As shells have it.
fn not_started_code(error: &std::io::Error) -> ExitCode {
    ExitCode::from(if error.kind() == ErrorKind::NotFound {
        127
    } else {
        126
    })
}

fn not_started(program: &OsStr, error: &std::io::Error) -> Problem {
    Problem::new(
        "FLOE-E001",
        format!("{} cannot be started: {error}", program.to_string_lossy()),
        "name a program that exists on PATH and may be executed",
    )
}
