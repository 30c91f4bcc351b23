//! The manifest's telemetry settings: which there are, their types and their defaults. A module a section; whoever adds a setting adds it to its
//! section's `visit` and uses it where the plan is made.

use serde_json::Value as Json;

use crate::bindings::exports::floe::telemetry::configuration::Variable;
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, KeyValue, Severity};
use crate::fields::{Field, Findings};
use crate::layers::{Layer, TELEMETRY};
use crate::reader::{self, Journal};
use crate::settings::Kind as _;
use crate::sources::Sources;
use crate::yaml::Node;

pub mod authentication;
pub mod baggage;
pub mod batch;
pub mod collector;
pub mod destinations;
pub mod endpoint;
pub mod exporter;
pub mod header;
pub mod logging;
pub mod operations;
pub mod redaction;
pub mod reference;
pub mod resource;
pub mod sampling;
pub mod telemetry;
pub mod vendor;

use destinations::Destinations;
use telemetry::Telemetry;

/// Times that a setting may have.
pub const MILLISECONDS: std::ops::RangeInclusive<u32> = 1..=3_600_000;
/// Numbers of items that a queue may have. An SDK may take the memory of a queue at its start.
pub const ITEMS: std::ops::RangeInclusive<u32> = 1..=100_000;

/// Where floe runs, and so what is sampled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Development.
    #[default]
    Dev,
    /// Staging.
    Staging,
    /// Production.
    Prod,
}

impl Mode {
    /// The words of the manifest.
    pub const WORDS: [&'static str; 3] = ["dev", "staging", "prod"];

    /// From a word of [`Self::WORDS`].
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "dev" => Some(Self::Dev),
            "staging" => Some(Self::Staging),
            "prod" => Some(Self::Prod),
            _ => None,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Prod => "prod",
        }
    }
}

/// The telemetry settings of a manifest under the variables and the settings of code. Findings may hold errors; all of them come in one go.
pub fn read(
    text: &str,
    variables: &[Variable],
    settings: &[KeyValue],
    findings: &mut Findings,
    journal: &mut Journal,
) -> Option<Telemetry> {
    let sources = Sources::read(text, findings)?;
    let telemetry = of(
        &sources.layered(variables, settings, findings),
        sources.configured,
        findings,
        journal,
    );
    environments(&sources, findings);
    Some(telemetry)
}

/// What an environment overrides is checked wherever the manifest is, with what it makes wrong of the rest.
fn environments(sources: &Sources, findings: &mut Findings) {
    let check = |document: &Node, mode| {
        let (mut findings, mut journal) = (Findings::new(), Journal::default());
        let telemetry = of(document, sources.configured, &mut findings, &mut journal);
        telemetry.console(mode, &mut findings, &mut journal);
        telemetry.exporters(&[], &mut findings, &mut journal);
        findings
    };
    let mut modes = sources.modes().peekable();
    if modes.peek().is_none() {
        return;
    }
    // Variables may mend what is wrong without any override.
    let without = check(sources.document(), Mode::default());
    for mode in modes {
        let own = Layer::Environment(mode).path(TELEMETRY);
        for mut found in check(&sources.environment(mode), mode) {
            if found.path.starts_with(&own) {
                findings.push(found);
            } else if !without.contains(&found) && !findings.contains(&found) {
                found.message = format!("{} (in the environment `{}`)", found.message, mode.word());
                findings.push(found);
            }
        }
    }
}

/// Reads a tree of layers.
fn of(document: &Node, configured: bool, findings: &mut Findings, journal: &mut Journal) -> Telemetry {
    let mut read = Telemetry::default();
    read.enabled = configured;
    let telemetry = document
        .at(&["observability", "telemetry"])
        .map(|node| Field::at(TELEMETRY, node));
    reader::read(&mut read, TELEMETRY, telemetry.as_ref(), findings, journal);
    destinations::read(document, findings, journal);
    read
}

/// Whether a finding refuses the input.
pub fn is_error(found: &Diagnostic) -> bool {
    found.severity == Severity::Error
}

/// The JSON Schema of the backends.
pub fn backends_schema() -> Json {
    Destinations.schema()
}
