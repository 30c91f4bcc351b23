//! A floe compile of the telemetry part of a manifest: load, validate, generate.

use std::fs;
use std::path::{Path, PathBuf};

use floe_telemetry::{Component, Error, Manifest, Operation, Policy, Problem};

use crate::plan;

/// Compiles a manifest into `telemetry.json` in `directory`, by the stages of a compile.
pub(crate) fn compile(compile: &Operation<'_>, manifest: &Path, directory: &Path) -> Result<PathBuf, Error> {
    let manifest = compile.stage("load").run(|operation| {
        let manifest = Manifest::read(manifest)?;
        operation.fact("bytes", manifest.text.len() as i64);
        tracing::info!(floe.compile.manifest = manifest.file, "manifest loaded");
        Ok::<_, Problem>(manifest)
    })?;
    let plan = compile.stage("validate").run(|operation| {
        let (_, plan) = Policy::configure(Component::load()?, &manifest)?;
        operation.fact("warnings", plan.warnings.len() as i64);
        tracing::info!(floe.compile.environment = plan.environment, "manifest valid");
        Ok::<_, Error>(plan)
    })?;
    compile
        .stage("generate")
        .run(|operation| {
            let artifact = directory.join("telemetry.json");
            let text = format!("{:#}\n", plan::shown(&plan));
            operation.fact("bytes", text.len() as i64);
            fs::create_dir_all(directory)
                .and_then(|()| fs::write(&artifact, text))
                .map_err(|error| {
                    Problem::new(
                        "FLOE-E002",
                        format!("{} cannot be written: {error}", artifact.display()),
                        "make the directory writable",
                    )
                })?;
            tracing::info!(floe.compile.artifact = %artifact.display(), "artifacts written");
            Ok::<_, Problem>(artifact)
        })
        .map_err(Error::from)
}
