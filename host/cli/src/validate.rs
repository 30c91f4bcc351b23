//! `floe-telemetry validate`

use std::path::PathBuf;
use std::process::ExitCode;

use floe_telemetry::{Component, Manifest, Plan, Policy, render};

use crate::Failure;

/// A manifest to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The manifest file.
    pub(crate) manifest: PathBuf,
}

impl Arguments {
    /// The manifest's plan under this process's environment; warnings go to standard error.
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        let manifest = Manifest::read(&self.manifest)?;
        let (_, plan) = Policy::configure(Component::load()?, &manifest)?;
        if !plan.warnings.is_empty() {
            eprintln!("{}", render(&manifest.file, &plan.warnings));
        }
        Ok(plan)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let plan = arguments.plan()?;
    crate::say(format_args!(
        "{} is valid: {}",
        arguments.manifest.display(),
        match plan.enabled {
            true => format!(
                "telemetry goes to {}",
                plan.exporters
                    .traces
                    .as_ref()
                    .map(|exporter| exporter.endpoint.as_str())
                    .unwrap_or_default()
            ),
            false => "telemetry is off, context propagates".to_owned(),
        }
    ));
    Ok(ExitCode::SUCCESS)
}
