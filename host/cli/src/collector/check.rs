//! `floe-telemetry collector check`: the real Collector has the last word.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use floe_telemetry::{Diagnostic, Problem, Severity};
use floe_telemetry_collector::version::CollectorVersion;
use floe_telemetry_collector::{Configuration, Format, Topology};

use super::{Source, origin};
use crate::Failure;
use crate::report::Report;

/// Names of Collectors on PATH.
const NAMES: [&str; 3] = ["otelcol-contrib", "otelcol", "otelcol-floe"];
/// The variable that names a Collector.
const VARIABLE: &str = "FLOE_OTELCOL";
/// What stands for a variable that is not set. As hexadecimal digits it passes for a Datadog key too.
const PLACEHOLDER: &str = "00000000000000000000000000000000";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The Collector; by default that of FLOE_OTELCOL, or else otelcol-contrib, otelcol or otelcol-floe on PATH.
    #[arg(long, value_name = "PATH")]
    otelcol: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let collector = Collector::find(arguments.otelcol.as_deref())?;
    let configuration = arguments
        .source
        .configuration(Format::Config, Format::Config.site())?;
    let command = arguments.source.command(Format::Config);
    let document = Format::Config.write(&configuration, origin(&command))?;
    collector.validate(&configuration, &document)?;
    let wanted = &configuration.version;
    if !wanted.is_like(&collector.version) {
        crate::report(&Report {
            file: &arguments.source.manifest.display().to_string(),
            text: None,
            diagnostics: &[Diagnostic {
                code: "FLOE-K012".to_owned(),
                severity: Severity::Warning,
                path: "observability.telemetry.collector.version".to_owned(),
                line: 0,
                column: 0,
                message: format!(
                    "the manifest is for the Collector {wanted}, and {} checked it",
                    collector.version
                ),
                help: "check with that version, or write the one that runs".to_owned(),
            }],
        });
    }
    let unset: Vec<&str> = unset(&configuration).collect();
    crate::say(format_args!(
        "{} is valid as {}: {} {} accepts its configuration{}",
        arguments.source.manifest.display(),
        Topology::from(arguments.source.topology).word(),
        collector.path.display(),
        collector.version,
        match unset.is_empty() {
            true => String::new(),
            false => format!(" (with placeholders for {})", unset.join(", ")),
        }
    ));
    Ok(ExitCode::SUCCESS)
}

/// A Collector on this machine.
struct Collector {
    path: PathBuf,
    version: CollectorVersion,
}

impl Collector {
    fn find(named: Option<&Path>) -> Result<Self, Problem> {
        let variable = std::env::var_os(VARIABLE)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        let Some(path) = named.map(Path::to_owned).or(variable).or_else(on_path) else {
            return Err(Problem::new(
                "FLOE-K009",
                format!("there is no Collector: none of {} is on PATH", NAMES.join(", ")),
                "install one (the contrib distribution has every component), or name it by --otelcol or FLOE_OTELCOL",
            ));
        };
        let said = run_collector(Command::new(&path).arg("--version"), &path)?;
        let text = String::from_utf8_lossy(&said.stdout);
        // `otelcol-contrib version 0.161.0`
        let version = text
            .lines()
            .next()
            .and_then(|line| line.split_once(" version "))
            .and_then(|(_, version)| CollectorVersion::parse(version.trim()));
        match version {
            Some(version) => Ok(Self { path, version }),
            None => Err(not_a_collector(
                &path,
                "it does not say its version as a Collector does",
            )),
        }
    }

    fn validate(&self, configuration: &Configuration, document: &str) -> Result<(), Failure> {
        let mut file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        std::io::Write::write_all(&mut file, document.as_bytes())?;
        let mut command = Command::new(&self.path);
        command.arg("validate").arg("--config").arg(file.path());
        for name in unset(configuration) {
            command.env(name, PLACEHOLDER);
        }
        let said = run_collector(&mut command, &self.path)?;
        if said.status.success() {
            return Ok(());
        }
        let said = without_secrets(&String::from_utf8_lossy(&said.stderr), configuration);
        let missing = match said.contains("unknown type") {
            true => self.missing(configuration)?,
            false => Vec::new(),
        };
        let problem = match missing.is_empty() {
            false => Problem::new(
                "FLOE-K011",
                format!(
                    "{} {} was built without what the configuration needs: {}",
                    self.path.display(),
                    self.version,
                    missing.join(", ")
                ),
                "use the contrib distribution, or build one with these components",
            ),
            true => Problem::new(
                "FLOE-K010",
                format!(
                    "{} {} refuses the configuration: {}",
                    self.path.display(),
                    self.version,
                    said.trim()
                ),
                "check the settings that it names; if they are right, the Collector's version in the manifest is not that of this Collector",
            ),
        };
        Err(problem.into())
    }

    /// What the configuration has and this Collector has not.
    fn missing(&self, configuration: &Configuration) -> Result<Vec<String>, Problem> {
        let said = run_collector(Command::new(&self.path).arg("components"), &self.path)?;
        let text = String::from_utf8_lossy(&said.stdout);
        let mut has = BTreeSet::new();
        let mut kind = "";
        for line in text.lines() {
            if let Some(heading) = line.strip_suffix(':').filter(|heading| !heading.starts_with(' ')) {
                kind = heading;
            } else if let Some(name) = line.trim_start().strip_prefix("- name: ") {
                has.insert((kind, name));
            }
        }
        Ok(configuration
            .components()
            .into_iter()
            .filter(|(kind, name)| !has.contains(&(*kind, *name)))
            .map(|(kind, name)| format!("{} {name}", kind.trim_end_matches('s')))
            .collect())
    }
}

fn unset(configuration: &Configuration) -> impl Iterator<Item = &str> {
    configuration
        .variables
        .iter()
        .map(String::as_str)
        .filter(|name| std::env::var_os(name).is_none_or(|value| value.is_empty()))
}

/// What a Collector said, which may have a variable's value in it.
fn without_secrets(said: &str, configuration: &Configuration) -> String {
    configuration
        .variables
        .iter()
        .fold(said.to_owned(), |said, name| match std::env::var(name) {
            Ok(value) if !value.is_empty() => said.replace(&value, &format!("${{env:{name}}}")),
            _ => said,
        })
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    NAMES
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |directory| directory.join(name)))
        .find(|file| file.is_file())
}

fn run_collector(command: &mut Command, path: &Path) -> Result<Output, Problem> {
    command
        .output()
        .map_err(|error| not_a_collector(path, &format!("it cannot be started: {error}")))
}

fn not_a_collector(path: &Path, reason: &str) -> Problem {
    Problem::new(
        "FLOE-K009",
        format!("{} is no Collector: {reason}", path.display()),
        "name an OpenTelemetry Collector by --otelcol or FLOE_OTELCOL",
    )
}
