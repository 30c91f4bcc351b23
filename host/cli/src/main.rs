//! The `floe-telemetry` command.

mod checked;
mod child;
mod collector;
mod compile;
mod demo;
mod doctor;
mod exec;
mod output;
mod plan;
mod receive;
mod report;
mod schema;
mod validate;
mod version;

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use floe_telemetry::{Error, Manifest, TelemetryProvider};
use report::Report;

/// Telemetry for data platforms: one WebAssembly policy decides, OpenTelemetry delivers.
#[derive(Debug, Parser)]
#[command(
    name = "floe-telemetry",
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    /// Prints the version of the command, of its policy, and of the contract between them.
    #[arg(short = 'V', long)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks a manifest and names everything that is wrong with it.
    Validate(validate::Arguments),
    /// Prints what a manifest sets up, as JSON, or where each value came from.
    Plan(plan::Arguments),
    /// Prints the JSON Schema of a manifest, for editors.
    Schema,
    /// Tries everything that telemetry needs, and says for each step what is wrong and what to do.
    Doctor(doctor::Arguments),
    /// The configuration of the Collector that telemetry goes through.
    #[command(subcommand)]
    Collector(collector::Command),
    /// Receives OTLP and shows it: a development tool, not a Collector.
    Receive(receive::Arguments),
    /// Runs a command as a traced operation; its processes continue the trace.
    Exec(exec::Arguments),
    /// Runs the example pipeline and shows its one trace, its logs and its metrics.
    Demo(demo::Arguments),
    /// What `exec` runs beside a command.
    #[cfg(unix)]
    #[command(name = child::witness::NAME, hide = true)]
    Witness,
}

/// What a command fails with: it is printed as it stands.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        None => Ok(version::run()),
        Some(Command::Validate(arguments)) => validate::run(&arguments),
        Some(Command::Plan(arguments)) => plan::run(&arguments),
        Some(Command::Schema) => Ok(schema::run()),
        Some(Command::Doctor(arguments)) => doctor::run(&arguments),
        Some(Command::Collector(command)) => collector::run(&command),
        Some(Command::Receive(arguments)) => receive::run(&arguments),
        Some(Command::Exec(arguments)) => exec::run(&arguments),
        Some(Command::Demo(arguments)) => demo::run(&arguments),
        #[cfg(unix)]
        Some(Command::Witness) => child::witness::run(),
    };
    result.unwrap_or_else(|failure| {
        match failure.downcast_ref() {
            Some(Error::Manifest { file, diagnostics }) => report(&Report {
                file,
                text: Manifest::read(file)
                    .ok()
                    .as_ref()
                    .map(|manifest| manifest.text.as_str()),
                diagnostics,
            }),
            _ => remark(&failure),
        }
        ExitCode::FAILURE
    })
}

/// Says what was found, on standard error.
fn report(report: &Report<'_>) {
    let _ = writeln!(anstream::stderr(), "{}", report.human());
}

/// Says what a traced command's own part has to say, on standard error, which its user's logs may keep.
fn complain(telemetry: &TelemetryProvider, what: impl Display) {
    remark(telemetry.policy().without_secrets(what.to_string()));
}

/// Writes a line to standard error, which somebody may have closed.
fn remark(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a line for the user. Somebody who closed the other end wants no more of it.
fn say(line: impl Display) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

/// Logs of this process: to where telemetry goes, and redacted to standard error from warnings on (or as `RUST_LOG` says, within what the manifest lets pass).
fn log(telemetry: &TelemetryProvider) {
    let levels = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // What a child prints is there already.
    let levels = format!("{levels},{}=off", output::TARGET)
        .parse()
        .unwrap_or(levels);
    let console = telemetry.console(std::io::stderr, std::io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(console.with_filter(levels))
        .with(telemetry.layer())
        .init();
}
