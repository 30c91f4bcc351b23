//! What a backend is, and rendering one.

use crate::bindings::exports::floe::telemetry::backends::{self, Fragment, Signal};
use crate::bindings::exports::floe::telemetry::types::KeyValue;
use crate::catalogue::BACKENDS;
use crate::collector::Collector;
use crate::diagnostic::{self, Findings, error, shown, suggestion};
use crate::draft::Draft;
use crate::otlp::Otlp;
use crate::rule::Rule;
use crate::setting::Setting;
use crate::settings::Settings;

/// A backend.
#[derive(Debug, Clone, Copy)]
pub struct Backend {
    /// Name that a manifest uses.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Signals that it takes.
    pub signals: &'static [Signal],
    /// Its settings, in groups.
    pub settings: &'static [&'static [Setting]],
    /// Which of its settings go together, in groups.
    pub rules: &'static [&'static [Rule]],
    /// What it makes of them.
    pub build: Build,
}

/// How a fragment is written. Nothing is written where a setting that it needs was refused.
#[derive(Debug, Clone, Copy)]
pub enum Build {
    /// As for any backend that takes OTLP.
    Otlp(Otlp),
    /// By a function.
    By(fn(&mut Draft<'_>) -> Option<()>),
}

impl Backend {
    /// As the contract has it.
    pub fn described(&self) -> backends::Backend {
        backends::Backend {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            signals: self.signals.to_vec(),
            settings: self.settings().map(Setting::described).collect(),
        }
    }

    fn settings(&self) -> impl Iterator<Item = &'static Setting> + use<> {
        self.settings.iter().flat_map(|group| group.iter())
    }
}

/// A backend's fragment for a Collector, or everything that is wrong.
pub fn render(name: &str, given: &[KeyValue], collector: &str) -> Result<Fragment, Findings> {
    let mut findings = Findings::new();
    let collector = Collector::parse(collector, &mut findings);
    let Some(backend) = BACKENDS.iter().find(|backend| backend.name == name) else {
        let names = BACKENDS.map(|backend| backend.name);
        let message = format!("there is no backend {}", shown(name));
        findings.push(error(
            diagnostic::UNKNOWN_BACKEND,
            "name",
            message,
            suggestion(name, &names),
        ));
        return Err(findings);
    };
    let declared: Vec<&Setting> = backend.settings().collect();
    let settings = Settings::read(&declared, given, &mut findings);
    for rule in backend.rules.iter().flat_map(|group| group.iter()) {
        rule.check(&settings, &mut findings);
    }
    // Where the version is wrong, the rest is checked all the same.
    let mut draft = Draft::new(backend.name, collector.unwrap_or_default(), &settings, findings);
    let built = match backend.build {
        Build::Otlp(otlp) => otlp.build(&mut draft, backend.signals),
        Build::By(build) => build(&mut draft),
    };
    let fragment = draft.finish()?;
    // Of a table that is right, what is not built was refused above: a test renders every backend.
    built.map(|()| fragment).ok_or_else(|| {
        vec![error(
            diagnostic::MISSING_SETTING,
            "",
            format!("{name} cannot be rendered from these settings"),
            "report this: a setting that it needs is not declared as required",
        )]
    })
}
