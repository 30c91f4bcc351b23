//! A manifest and all that a command can check of it.

use std::path::{Path, PathBuf};

use floe_telemetry::{Backends, Component, Deployment, Diagnostic, Error, Manifest, Plan, Policy, Problem};
use floe_telemetry_collector::{Target, Unrendered};

/// A manifest that nothing is wrong with, under this process's environment.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What a process sets up.
    pub(crate) plan: Plan,
    /// What the Collector's configuration is made from.
    pub(crate) deployment: Deployment,
    /// The backends' parts of it.
    pub(crate) targets: Vec<Target>,
}

impl Checked {
    /// Checks a manifest: its settings, and those of its backends.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, Error> {
        let component = Component::load()?;
        let (_, plan) = Policy::configure(component.clone(), manifest)?;
        let deployment = Policy::deployment(component, manifest)?;
        let backends = Backends::load(directory(manifest, &deployment).as_deref())?;
        let targets = rendered(manifest, &deployment, &backends)?;
        Ok(Self {
            plan,
            deployment,
            targets,
        })
    }

    /// Checks the backends of every environment, not of this one alone.
    pub(crate) fn environments(manifest: &Manifest) -> Result<(), Error> {
        for environment in ["dev", "staging", "prod"] {
            let variables = manifest.clone();
            let manifest = manifest.clone().with_variables(move |name| match name {
                "FLOE_MODE" => Some(environment.to_owned()),
                name => variables.variable(name),
            });
            let deployment = Policy::deployment(Component::load()?, &manifest)?;
            let backends = Backends::load(directory(&manifest, &deployment).as_deref())?;
            rendered(&manifest, &deployment, &backends)?;
        }
        Ok(())
    }

    /// What deserves attention but was accepted.
    pub(crate) fn warnings(&self) -> Vec<Diagnostic> {
        self.plan.warnings.clone()
    }
}

fn rendered(manifest: &Manifest, deployment: &Deployment, backends: &Backends) -> Result<Vec<Target>, Error> {
    Target::render(&deployment.destinations, backends, &deployment.version).map_err(|unrendered| {
        match unrendered {
            Unrendered::Refused(diagnostics) => Error::Manifest {
                file: manifest.file.clone(),
                diagnostics,
            },
            Unrendered::Problem(problem) => problem.into(),
        }
    })
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
        severity: floe_telemetry::Severity::Error,
        path: String::new(),
        line: 0,
        column: 0,
        message: problem.message.clone(),
        help: problem.help.clone(),
    }
}
