//! A manifest and all that a command can check of it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use floe_telemetry::{
    Backends, Component, Deployment, Diagnostic, Error, Manifest, Plan, Policy, Problem, Severity,
};
use floe_telemetry_collector::{Target, Unrendered};

/// The variable that chooses the environment.
const MODE: &str = "FLOE_MODE";
/// Every environment.
const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];

/// A manifest that nothing is wrong with, under this process's environment.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What a process sets up.
    pub(crate) plan: Plan,
    /// What the Collector's configuration is made from.
    pub(crate) deployment: Deployment,
    /// The backends' parts of it.
    pub(crate) targets: Vec<Target>,
    /// What deserves attention but was accepted.
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Checked {
    /// Checks a manifest: its settings, and those of its backends.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, Error> {
        Self::under(manifest, &[])
    }

    /// Checks the backends of every environment, not of this one alone.
    pub(crate) fn everywhere(manifest: &Manifest) -> Result<Self, Error> {
        Self::under(manifest, &ENVIRONMENTS)
    }

    /// Everything that is wrong comes in one go, in the order of the manifest.
    fn under(manifest: &Manifest, environments: &[&'static str]) -> Result<Self, Error> {
        let component = Component::load()?;
        let mut found = Vec::new();
        let plan = kept(Policy::configure(component.clone(), manifest), &mut found)?.map(|(_, plan)| plan);
        found.extend(plan.iter().flat_map(|plan| plan.warnings.clone()));
        let mut collectors = Collectors {
            component,
            manifest,
            backends: BTreeMap::new(),
        };
        let collector = collectors.under(manifest, &mut found)?;
        let own = own(
            plan.as_ref(),
            collector.as_ref().map(|(deployment, _)| deployment),
        );
        let others = environments
            .iter()
            .copied()
            .filter(|name| own.as_deref() != Some(*name));
        let elsewhere = elsewhere(&mut collectors, others, &found)?;
        found.extend(elsewhere);
        let mut seen = BTreeSet::new();
        found.retain(|found| seen.insert(key(found)));
        found.sort_by_key(|found| (found.line == 0, found.line, found.column));
        match (plan, collector) {
            (Some(plan), Some((deployment, targets))) if !found.iter().any(is_error) => Ok(Self {
                plan,
                deployment,
                targets,
                warnings: found,
            }),
            _ => Err(Error::Manifest {
                file: manifest.file.clone(),
                diagnostics: found,
            }),
        }
    }
}

/// The environment whose overrides hold in this process, as far as it is known: `floe.mode`, which the name of the deployment's environment follows if nobody gives
/// it another.
fn own(plan: Option<&Plan>, deployment: Option<&Deployment>) -> Option<String> {
    plan.and_then(|plan| plan.attributes.iter().find(|pair| pair.key == "floe.mode"))
        .and_then(|mode| serde_json::from_str(&mode.value).ok())
        .or_else(|| deployment.map(|deployment| deployment.environment.clone()))
}

/// What is found in other environments and not in this process's, with their names. Their variables are not those of this process.
fn elsewhere(
    collectors: &mut Collectors<'_>,
    others: impl Iterator<Item = &'static str>,
    own: &[Diagnostic],
) -> Result<Vec<Diagnostic>, Error> {
    let own: BTreeSet<Key> = own.iter().map(key).collect();
    let mut only: BTreeMap<Key, (Diagnostic, Vec<&str>)> = BTreeMap::new();
    for environment in others {
        let manifest = collectors
            .manifest
            .clone()
            .with_variables(move |name| (name == MODE).then(|| environment.to_owned()));
        let mut found = Vec::new();
        collectors.under(&manifest, &mut found)?;
        for finding in found {
            if own.contains(&key(&finding)) || own.contains(&key(&named(finding.clone(), &[environment]))) {
                continue;
            }
            let (_, names) = only.entry(key(&finding)).or_insert_with(|| (finding, Vec::new()));
            if !names.contains(&environment) {
                names.push(environment);
            }
        }
    }
    Ok(only
        .into_values()
        .map(|(finding, names)| named(finding, &names))
        .collect())
}

/// A finding that names the environments that it is of, in the policy's words.
fn named(finding: Diagnostic, environments: &[&str]) -> Diagnostic {
    let names: Vec<String> = environments.iter().map(|name| format!("`{name}`")).collect();
    let names = match names.as_slice() {
        [name] => format!("environment {name}"),
        [names @ .., last] => format!("environments {} and {last}", names.join(", ")),
        [] => return finding,
    };
    Diagnostic {
        message: format!("{} (in the {names})", finding.message),
        ..finding
    }
}

/// What makes two findings one.
type Key = (u32, u32, String, String, String);

fn key(found: &Diagnostic) -> Key {
    (
        found.line,
        found.column,
        found.path.clone(),
        found.code.clone(),
        found.message.clone(),
    )
}

fn is_error(found: &Diagnostic) -> bool {
    found.severity == Severity::Error
}

/// The Collectors of a manifest's environments.
struct Collectors<'a> {
    component: Component,
    manifest: &'a Manifest,
    /// By directory: environments have the same one for the most part.
    backends: BTreeMap<Option<PathBuf>, Backends>,
}

impl Collectors<'_> {
    /// The Collector of a manifest under its variables, with its backends' parts. What is found is added, and nothing comes back where that is wrong.
    fn under(
        &mut self,
        manifest: &Manifest,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Option<(Deployment, Vec<Target>)>, Error> {
        let deployment = Policy::deployment(self.component.clone(), manifest);
        let Some(deployment) = kept(deployment, found)? else {
            return Ok(None);
        };
        found.extend(deployment.warnings.iter().cloned());
        let backends = match self.backends(directory(manifest, &deployment)) {
            Ok(backends) => backends,
            Err(problem) => {
                found.push(Diagnostic {
                    path: match deployment.directory.as_str() {
                        "" => String::new(),
                        _ => "observability.telemetry.collector.backends_directory".to_owned(),
                    },
                    ..as_diagnostic(&problem)
                });
                return Ok(None);
            }
        };
        match Target::render(&deployment.destinations, backends, &deployment.version) {
            Ok(targets) => {
                found.extend(targets.iter().flat_map(|target| target.warnings.clone()));
                Ok(Some((deployment, targets)))
            }
            Err(Unrendered::Refused(diagnostics)) => {
                found.extend(diagnostics);
                Ok(None)
            }
            Err(Unrendered::Problem(problem)) => {
                found.push(as_diagnostic(&problem));
                Ok(None)
            }
        }
    }

    fn backends(&mut self, directory: Option<PathBuf>) -> Result<&Backends, Problem> {
        Ok(match self.backends.entry(directory) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => {
                let backends = Backends::load(place.key().as_deref())?;
                place.insert(backends)
            }
        })
    }
}

/// What there is, or else what is wrong with the manifest among what was found. Any other failure is one of the whole check.
fn kept<T>(result: Result<T, Error>, found: &mut Vec<Diagnostic>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Manifest { diagnostics, .. }) => {
            found.extend(diagnostics);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The manifest's directory of backends, which is relative to its file.
fn directory(manifest: &Manifest, deployment: &Deployment) -> Option<PathBuf> {
    let directory = Path::new(&deployment.directory);
    (!deployment.directory.is_empty()).then(|| match Path::new(&manifest.file).parent() {
        Some(beside) => beside.join(directory),
        None => directory.to_owned(),
    })
}

/// A problem outside the manifest's text as one of its diagnostics, for machines.
pub(crate) fn as_diagnostic(problem: &Problem) -> Diagnostic {
    Diagnostic {
        code: problem.code.to_owned(),
        severity: Severity::Error,
        path: String::new(),
        line: 0,
        column: 0,
        message: problem.message.clone(),
        help: problem.help.clone(),
    }
}
