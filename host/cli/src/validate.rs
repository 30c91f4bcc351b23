//! `floe-telemetry validate`

use std::path::PathBuf;
use std::process::ExitCode;

use floe_telemetry::{Error, Manifest, Plan, Severity};

use crate::Failure;
use crate::checked::{Checked, as_diagnostic};
use crate::report::{Format, Report};

/// A manifest to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The manifest file.
    manifest: PathBuf,
    /// How what was found is said.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let file = arguments.manifest.display().to_string();
    let manifest = Manifest::read(&arguments.manifest);
    let checked = match &manifest {
        Ok(manifest) => Checked::everywhere(manifest),
        Err(problem) => Err(problem.clone().into()),
    };
    let diagnostics = match &checked {
        Ok(checked) => checked.warnings.clone(),
        Err(Error::Manifest { diagnostics, .. }) => diagnostics.clone(),
        Err(Error::Unresolved(problems)) => problems.iter().map(as_diagnostic).collect(),
        Err(Error::Problem(problem)) => vec![as_diagnostic(problem)],
    };
    let report = Report {
        file: &file,
        text: manifest.as_ref().ok().map(|manifest| manifest.text.as_str()),
        diagnostics: &diagnostics,
    };
    match arguments.format {
        Format::Human => {
            if !diagnostics.is_empty() {
                crate::report(&report);
            }
            match &checked {
                Ok(checked) => crate::say(format_args!("{file} is valid: {}", summary(&checked.plan))),
                Err(_) => crate::remark(format_args!("\n{}", refusal(&file, &report))),
            }
        }
        Format::Json => crate::say(format_args!("{:#}", report.json())),
        Format::Sarif => crate::say(format_args!("{:#}", report.sarif())),
    }
    Ok(if checked.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn refusal(file: &str, report: &Report<'_>) -> String {
    let errors = report
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .count();
    match errors {
        1 => format!("{file} cannot be used: 1 error"),
        errors => format!("{file} cannot be used: {errors} errors"),
    }
}

/// Where telemetry goes.
fn summary(plan: &Plan) -> String {
    if !plan.enabled {
        return "telemetry is off, context propagates".to_owned();
    }
    let signals = [
        ("traces", &plan.exporters.traces),
        ("metrics", &plan.exporters.metrics),
        ("logs", &plan.exporters.logs),
    ];
    let goes: Vec<String> = signals
        .iter()
        .map(|(signal, exporter)| match exporter {
            Some(exporter) => format!("{signal} go to {}", exporter.endpoint),
            None => format!("{signal} are not exported"),
        })
        .collect();
    goes.join(", ")
}
