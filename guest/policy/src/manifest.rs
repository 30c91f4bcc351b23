//! The manifest's telemetry settings: which there are, their types and their defaults. A module a section; whoever adds a setting adds it to its
//! section's `visit` and uses it where the plan is made.

use serde_json::Value as Json;

use crate::bindings::exports::floe::telemetry::collector::Destination;
use crate::bindings::exports::floe::telemetry::configuration::Variable;
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, KeyValue, Severity};
use crate::fields::{Field, Findings};
use crate::layers::{Layer, TELEMETRY};
use crate::reader::{self, Journal};
use crate::settings::{Kind, Settings, Visitor};
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

/// What a manifest says.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The telemetry settings.
    pub telemetry: Telemetry,
    /// The backends that the Collector sends to.
    pub destinations: Vec<Destination>,
}

/// A manifest under the variables and the settings of code. Findings may hold errors; all of them come in one go.
pub fn read(
    text: &str,
    variables: &[Variable],
    settings: &[KeyValue],
    findings: &mut Findings,
    journal: &mut Journal,
) -> Option<Manifest> {
    let sources = Sources::read(text, findings)?;
    let manifest = of(
        &sources.layered(variables, settings, findings),
        sources.configured,
        findings,
        journal,
    );
    // What an environment overrides is checked wherever the manifest is.
    for mode in sources.modes() {
        let mut found = Findings::new();
        let journal = &mut Journal::default();
        let manifest = of(&sources.environment(mode), true, &mut found, journal);
        manifest.telemetry.exporters(&mut found, journal);
        let own = Layer::Environment(mode).path(TELEMETRY);
        findings.extend(found.into_iter().filter(|found| found.path.starts_with(&own)));
    }
    Some(manifest)
}

/// Reads a tree of layers.
fn of(document: &Node, configured: bool, findings: &mut Findings, journal: &mut Journal) -> Manifest {
    let mut manifest = Manifest {
        telemetry: Telemetry::default(),
        destinations: destinations::none(),
    };
    manifest.telemetry.enabled = configured;
    let telemetry = document
        .at(&["observability", "telemetry"])
        .map(|node| Field::at(TELEMETRY, node));
    reader::read(
        &mut manifest.telemetry,
        TELEMETRY,
        telemetry.as_ref(),
        findings,
        journal,
    );
    let plugins = document.get("plugins").map(|node| Field::at("plugins", node));
    let mut plugins_settings = Plugins(&mut manifest.destinations);
    // The other plugins are not ours.
    reader::read_open(
        &mut plugins_settings,
        "plugins",
        plugins.as_ref(),
        findings,
        journal,
    );
    manifest
}

/// `plugins`, as far as it is ours.
struct Plugins<'a>(&'a mut Vec<Destination>);

impl Settings for Plugins<'_> {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "telemetry_backend",
            "The backends that the Collector sends to: a name, a mapping, or a list of these.",
            Destinations,
            self.0,
        );
    }
}

/// Whether a finding refuses the input.
pub fn is_error(found: &Diagnostic) -> bool {
    found.severity == Severity::Error
}

/// The JSON Schema of the backends.
pub fn backends_schema() -> Json {
    Destinations.schema()
}
