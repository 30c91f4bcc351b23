//! A destination of the manifest with what its backend made of it.

use std::collections::BTreeMap;

use floe_telemetry::bindings::exports::floe::telemetry::collector::{Destination, Setting};
use floe_telemetry::bindings::exports::floe::telemetry::types::Signal;
use floe_telemetry::{Backends, BackendsComponent, Diagnostic, KeyValue, Problem};

use crate::diagnostic::{self, Place};
use crate::fragment::Fragment;

/// A backend that the Collector sends to.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name in component ids: the backend's, with a number where a manifest has it twice.
    pub(crate) name: String,
    /// The signals that are sent to it.
    pub(crate) signals: Vec<Signal>,
    pub(crate) fragment: Fragment,
    /// Kubernetes secret with the variables that it needs; empty if none is named.
    pub(crate) secret: String,
    /// The component that it comes from, as a person reads it.
    pub(crate) provenance: String,
    /// What deserves attention but was accepted.
    pub warnings: Vec<Diagnostic>,
    destination: Destination,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum Unrendered {
    /// The manifest is wrong: all that was found, what deserves attention too.
    Refused(Vec<Diagnostic>),
    /// A component failed.
    Problem(Problem),
}

impl From<Problem> for Unrendered {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Target {
    /// Renders every destination, or answers all that is wrong with any of them.
    pub fn render(
        destinations: &[Destination],
        backends: &Backends,
        version: &str,
    ) -> Result<Vec<Self>, Unrendered> {
        let mut targets: Vec<Self> = Vec::new();
        let mut errors = Vec::new();
        let mut counts = BTreeMap::new();
        for destination in destinations {
            let count = counts.entry(&destination.backend).or_insert(0_u32);
            *count += 1;
            let name = match *count {
                1 => destination.backend.clone(),
                further => format!("{}-{further}", destination.backend),
            };
            match Self::one(destination, name, backends, version) {
                Ok(mut target) => {
                    target.warnings.extend(sent_twice(&target, &targets));
                    targets.push(target);
                }
                Err(Unrendered::Refused(mut found)) => errors.append(&mut found),
                Err(problem) => return Err(problem),
            }
        }
        if errors.is_empty() {
            return Ok(targets);
        }
        errors.extend(targets.into_iter().flat_map(|target| target.warnings));
        Err(Unrendered::Refused(errors))
    }

    fn one(
        destination: &Destination,
        name: String,
        backends: &Backends,
        version: &str,
    ) -> Result<Self, Unrendered> {
        let place = place(destination);
        let Some((backend, component)) = backends.find(&destination.backend) else {
            return Err(Unrendered::Refused(vec![unknown(
                place,
                &destination.backend,
                backends,
            )]));
        };
        let mut errors = Vec::new();
        errors.extend(other_version(destination, component));
        for signal in &destination.signals {
            if !backend.signals.contains(signal) {
                errors.push(place.error(
                    diagnostic::SIGNAL_NOT_TAKEN,
                    format!("{} takes no {}", destination.backend, word(*signal)),
                    format!("it takes {}", words(&backend.signals)),
                ));
            }
        }
        let settings: Vec<KeyValue> = destination
            .settings
            .iter()
            .map(|setting| KeyValue {
                key: setting.name.clone(),
                value: setting.value.clone(),
            })
            .collect();
        let rendered = component
            .render(&destination.backend, &settings, version)?
            .map_err(|found| located(found, destination));
        let rendered = match rendered {
            Ok(rendered) if errors.is_empty() => rendered,
            Ok(_) => return Err(Unrendered::Refused(errors)),
            Err(mut found) => {
                errors.append(&mut found);
                return Err(Unrendered::Refused(errors));
            }
        };
        let warnings = located(rendered.warnings.clone(), destination);
        let fragment = Fragment::read(rendered).map_err(|reason| {
            Unrendered::Refused(vec![place.error(
                diagnostic::BROKEN_FRAGMENT,
                format!("{} made no configuration of {name}: {reason}", component.shown()),
                "this is a fault of the component; use another version of it",
            )])
        })?;
        // What the settings leave out, such as Splunk's logs without an HTTP Event Collector, is not taken either.
        let taken: Vec<Signal> = fragment
            .pipelines
            .iter()
            .map(|pipeline| pipeline.signal)
            .collect();
        let signals = match destination.signals.is_empty() {
            true => taken,
            false => {
                for signal in &destination.signals {
                    if !taken.contains(signal) {
                        errors.push(place.error(
                            diagnostic::SIGNAL_NOT_TAKEN,
                            format!(
                                "{} takes no {} with these settings",
                                destination.backend,
                                word(*signal)
                            ),
                            "`floe-telemetry collector backends` lists its settings",
                        ));
                    }
                }
                destination.signals.clone()
            }
        };
        if !errors.is_empty() {
            return Err(Unrendered::Refused(errors));
        }
        Ok(Self {
            name,
            signals,
            fragment,
            secret: destination.secret.clone(),
            provenance: provenance(component),
            warnings,
            destination: destination.clone(),
        })
    }

    pub(crate) fn place(&self) -> Place<'_> {
        place(&self.destination)
    }
}

fn place(destination: &Destination) -> Place<'_> {
    Place {
        path: &destination.path,
        line: destination.line,
        column: destination.column,
    }
}

/// Says so where an earlier target sends the same signals in the same way. One backend at two endpoints is two places.
fn sent_twice(target: &Target, earlier: &[Target]) -> Option<Diagnostic> {
    earlier.iter().find_map(|other| {
        let both: Vec<Signal> = target
            .signals
            .iter()
            .filter(|signal| other.signals.contains(signal))
            .copied()
            .collect();
        (!both.is_empty() && target.fragment == other.fragment).then(|| {
            target.place().warning(
                diagnostic::SENT_TWICE,
                format!(
                    "{} gets {} more than once: `{}` has the same settings",
                    target.destination.backend,
                    words(&both),
                    other.destination.path
                ),
                "take one of them out, or give each settings or `signals` of its own",
            )
        })
    })
}

fn unknown(place: Place<'_>, name: &str, backends: &Backends) -> Diagnostic {
    let mut names: Vec<&str> = backends
        .list()
        .map(|(backend, _)| backend.name.as_str())
        .collect();
    names.sort_unstable();
    let near = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4);
    let help = match near {
        Some((_, known)) => format!("did you mean `{known}`?"),
        None => format!(
            "write one of: {}; or put the component that offers it into the directory of backends",
            names.join(", ")
        ),
    };
    place.error(
        diagnostic::UNKNOWN_BACKEND,
        format!("there is no backend {name:?}"),
        help,
    )
}

fn other_version(destination: &Destination, component: &BackendsComponent) -> Option<Diagnostic> {
    (!destination.version.is_empty() && destination.version != component.info.version).then(|| {
        place(destination).error(
            diagnostic::OTHER_VERSION,
            format!(
                "{} is of version {} here, and the manifest asks for {}",
                destination.backend, component.info.version, destination.version
            ),
            format!(
                "write that version, or replace {} by the one that is asked for",
                component.shown()
            ),
        )
    })
}

/// Diagnostics of a backends component, which name a setting, at the setting's place in the manifest; what names no setting that is there, at the destination's.
fn located(found: Vec<Diagnostic>, destination: &Destination) -> Vec<Diagnostic> {
    let by_name: BTreeMap<&str, &Setting> = destination
        .settings
        .iter()
        .map(|setting| (setting.name.as_str(), setting))
        .collect();
    found
        .into_iter()
        .map(|finding| {
            let (path, line, column) = match by_name.get(finding.path.as_str()) {
                Some(setting) => (setting.path.clone(), setting.line, setting.column),
                None => (destination.path.clone(), destination.line, destination.column),
            };
            Diagnostic {
                path,
                line,
                column,
                ..finding
            }
        })
        .collect()
}

/// Name, version and the file's digest, by which a rendering can be told from one of another component.
fn provenance(component: &BackendsComponent) -> String {
    let digest: String = component.digest.chars().take(16).collect();
    format!(
        "{} {}, sha256 {digest}",
        component.info.name, component.info.version
    )
}

/// A signal's name.
pub(crate) fn word(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

fn words(signals: &[Signal]) -> String {
    let words: Vec<&str> = signals.iter().map(|signal| word(*signal)).collect();
    words.join(", ")
}
