//! `floe-telemetry collector`: the configuration of the Collector that a manifest's telemetry goes through.

mod backends;
mod check;
mod render;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use floe_telemetry::Manifest;
use floe_telemetry_collector::{Configuration, Format, Origin, Site, Topology};

use crate::Failure;
use crate::checked::Checked;
use crate::report::Report;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the Collector's configuration.
    Render(render::Arguments),
    /// Has a real Collector check the configuration.
    Check(check::Arguments),
    /// Lists the backends that a manifest can name, with their settings.
    Backends(backends::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Render(arguments) => render::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Backends(arguments) => backends::run(arguments),
    }
}

/// Which Collector of a manifest.
#[derive(Debug, clap::Args)]
struct Source {
    /// The manifest file.
    manifest: PathBuf,
    /// Where the Collector stands: beside the applications, or in the tier that agents send to.
    #[arg(long, value_enum, default_value_t = Tier::Agent)]
    topology: Tier,
}

/// A topology as the command line has it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tier {
    Agent,
    Gateway,
}

impl From<Tier> for Topology {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Agent => Self::Agent,
            Tier::Gateway => Self::Gateway,
        }
    }
}

impl Source {
    /// The configuration of a Collector that is written like this and runs there; warnings go to standard error.
    fn configuration(&self, format: Format, site: Site) -> Result<Configuration, Failure> {
        let manifest = Manifest::read(&self.manifest)?;
        let Checked {
            deployment, targets, ..
        } = Checked::of(&manifest)?;
        let mut configuration = Configuration::new(&deployment, targets, self.topology.into(), site);
        configuration.warnings.extend(format.warning(&deployment));
        if !configuration.warnings.is_empty() {
            crate::report(&Report {
                file: &manifest.file,
                text: Some(&manifest.text),
                diagnostics: &configuration.warnings,
            });
        }
        Ok(configuration)
    }

    /// How a document was made, whatever the machine: the manifest's name without its directory.
    fn command(&self, format: Format) -> String {
        let file = self.manifest.file_name().unwrap_or_default().to_string_lossy();
        let format = match format {
            Format::Config => "",
            Format::HelmValues => " --format helm-values",
            Format::Operator => " --format operator",
        };
        format!(
            "floe-telemetry collector render {file} --topology {}{format}",
            Topology::from(self.topology).word()
        )
    }
}

/// What stands in the header of a document.
fn origin(command: &str) -> Origin<'_> {
    Origin {
        command,
        version: env!("CARGO_PKG_VERSION"),
    }
}
