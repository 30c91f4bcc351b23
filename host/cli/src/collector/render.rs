//! `floe-telemetry collector render`

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use floe_telemetry::Problem;
use floe_telemetry_collector::{Format, Label, Site, network_policy};

use super::{Source, origin};
use crate::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// What to write it as.
    #[arg(long, value_enum, default_value_t = Output::Config)]
    format: Output,
    /// For Kubernetes: also writes a NetworkPolicy by which pipelines reach the Collector and nothing else. With -o it is a file beside that one, on standard
    /// output a second document.
    #[arg(long)]
    kubernetes: bool,
    /// Label of the pods that the NetworkPolicy is for.
    #[arg(long, value_name = "KEY=VALUE", default_value_t = Label::default(), requires = "kubernetes")]
    pipelines: Label,
    /// File to write; standard output by default.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A format as the command line has it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// The Collector's own configuration.
    Config,
    /// Values of the Helm chart opentelemetry-collector.
    HelmValues,
    /// A resource of the OpenTelemetry Operator.
    Operator,
}

impl From<Output> for Format {
    fn from(output: Output) -> Self {
        match output {
            Output::Config => Self::Config,
            Output::HelmValues => Self::HelmValues,
            Output::Operator => Self::Operator,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let format = Format::from(arguments.format);
    let site = match arguments.kubernetes {
        true => Site::Kubernetes,
        false => format.site(),
    };
    let configuration = arguments.source.configuration(format, site)?;
    let mut command = arguments.source.command(format);
    if arguments.kubernetes {
        command.push_str(" --kubernetes");
        if arguments.pipelines != Label::default() {
            command = format!("{command} --pipelines {}", arguments.pipelines);
        }
    }
    let document = format.write(&configuration, origin(&command))?;
    let policy = arguments
        .kubernetes
        .then(|| network_policy(&configuration, &arguments.pipelines, origin(&command)))
        .transpose()?;
    match &arguments.output {
        None => {
            crate::say(document.trim_end());
            if let Some(policy) = policy {
                crate::say(format_args!("---\n{}", policy.trim_end()));
            }
        }
        Some(file) => {
            write(file, &document)?;
            if let Some(policy) = policy {
                write(&file.with_extension("networkpolicy.yaml"), &policy)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, text: &str) -> Result<(), Problem> {
    fs::write(file, text).map_err(|error| {
        let directory = file
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty());
        let help = match (error.kind(), directory) {
            (ErrorKind::NotFound, Some(directory)) => {
                format!("make the directory first: mkdir -p {}", directory.display())
            }
            (ErrorKind::IsADirectory, _) => "name a file in it".to_owned(),
            (ErrorKind::NotADirectory, _) => "a part of the path is a file: name another one".to_owned(),
            _ => "name a file that this user may write".to_owned(),
        };
        Problem::new(
            "FLOE-E002",
            format!("{} cannot be written: {error}", file.display()),
            help,
        )
    })
}
