//! A configuration as text: deterministic YAML under a header that says how it was made.

use floe_telemetry::{Deployment, Diagnostic};
use serde::Serialize;

use crate::configuration::{Configuration, Site};
use crate::kubernetes::{self, Label};

/// What a configuration is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The Collector's own.
    Config,
    /// Values of the Collector's official Helm chart.
    HelmValues,
    /// A resource of the OpenTelemetry Operator.
    Operator,
}

/// What made a document.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The command.
    pub command: &'a str,
    /// Its version.
    pub version: &'a str,
}

impl Format {
    /// What a Collector with it runs on.
    pub fn site(self) -> Site {
        match self {
            Self::Config => Site::Machine,
            Self::HelmValues | Self::Operator => Site::Kubernetes,
        }
    }

    /// What deserves attention where a manifest's Collectors are written like this.
    pub fn warning(self, deployment: &Deployment) -> Option<Diagnostic> {
        match self {
            Self::Config => None,
            Self::HelmValues => kubernetes::HELM.other_gateway(&deployment.gateway),
            Self::Operator => kubernetes::OPERATOR.other_gateway(&deployment.gateway),
        }
    }

    /// The document of a configuration.
    pub fn write(
        self,
        configuration: &Configuration,
        origin: Origin<'_>,
    ) -> Result<String, serde_saphyr::SerializeError> {
        match self {
            Self::Config => text(configuration, configuration, origin),
            Self::HelmValues => text(&kubernetes::helm_values(configuration), configuration, origin),
            Self::Operator => text(&kubernetes::resource(configuration), configuration, origin),
        }
    }
}

/// The document of a NetworkPolicy that lets pods with a label reach the Collector of a configuration, and DNS, and nothing else.
pub fn network_policy(
    configuration: &Configuration,
    pipelines: &Label,
    origin: Origin<'_>,
) -> Result<String, serde_saphyr::SerializeError> {
    text(
        &kubernetes::network_policy(configuration.topology, pipelines),
        configuration,
        origin,
    )
}

fn text(
    document: &impl Serialize,
    configuration: &Configuration,
    origin: Origin<'_>,
) -> Result<String, serde_saphyr::SerializeError> {
    let mut lines = vec![
        format!("Made by floe-telemetry {}: {}", origin.version, origin.command),
        "Do not edit: change the manifest and make it anew.".to_owned(),
        String::new(),
        format!(
            "For the Collector {}, as {}, in the environment {}.",
            configuration.version,
            configuration.topology.word(),
            configuration.environment
        ),
    ];
    lines.extend(configuration.outlets.iter().map(|outlet| format!("To {outlet}.")));
    lines.push(match configuration.variables.is_empty() {
        true => "It needs no environment variables.".to_owned(),
        false => format!(
            "It needs the environment variables {}.",
            configuration.variables.join(", ")
        ),
    });
    lines.extend(
        configuration
            .sizes
            .lines()
            .into_iter()
            .map(|line| format!("Sized for {line}.")),
    );
    let header: String = lines.iter().map(|line| comment(line)).collect();
    // A statement of a processor stays on one line, so that it can be searched for.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    Ok(format!(
        "{header}{}",
        serde_saphyr::to_string_with_options(document, options)?
    ))
}

/// A line of comment, whatever is in it.
fn comment(line: &str) -> String {
    let line: String = line
        .chars()
        .map(
            |letter| match letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') {
                true => ' ',
                false => letter,
            },
        )
        .collect();
    match line.is_empty() {
        true => "#\n".to_owned(),
        false => format!("# {line}\n"),
    }
}
