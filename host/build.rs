//! Embeds the policy component: the one that `FLOE_POLICY_COMPONENT` names, or else one built here from `guest/policy`, or else, in the packaged crate, which is
//! without these sources, the one in `component/`. With the feature `backends` also the built-in backends, which stand beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=FLOE_POLICY_COMPONENT");
    let policy = match env::var_os("FLOE_POLICY_COMPONENT") {
        Some(file) => PathBuf::from(file),
        None if Path::new(&variable("CARGO_MANIFEST_DIR")?)
            .join("../guest/policy")
            .is_dir() =>
        {
            build()?
        }
        None => packaged()?,
    };
    copy(&policy, "FLOE_POLICY_COMPONENT_FILE")?;
    if env::var_os("CARGO_FEATURE_BACKENDS").is_some() {
        let backends = policy.with_file_name("floe_backends.wasm");
        copy(&backends, "FLOE_BACKENDS_COMPONENT_FILE")?;
    }
    Ok(())
}

/// Names a copy of our own in a variable of the compiler: the file outside may change while this crate is compiled.
fn copy(source: &Path, name: &str) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", source.display());
    let file = source
        .file_name()
        .ok_or_else(|| format!("{} names no file", source.display()))?;
    let copy = Path::new(&variable("OUT_DIR")?).join(file);
    fs::copy(source, &copy).map_err(|error| format!("{}: {error}", source.display()))?;
    println!("cargo::rustc-env={name}={}", copy.display());
    Ok(())
}

/// The component that `just package` puts into the crate.
fn packaged() -> Result<PathBuf, String> {
    let file = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("component/floe_policy.wasm");
    if file.is_file() {
        Ok(file)
    } else {
        Err(format!(
            "{} is missing: make the crate with `just package`, or name a component with FLOE_POLICY_COMPONENT",
            file.display()
        ))
    }
}

fn build() -> Result<PathBuf, String> {
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("..");
    for path in ["guest/policy", "guest/backends", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    // A target directory of its own: cargo's lock on the outer one is held while this runs.
    let target = Path::new(&variable("OUT_DIR")?).join("component");
    let status = Command::new(variable("CARGO")?)
        .args([
            "build",
            "--package",
            "floe-telemetry-policy",
            "--package",
            "floe-telemetry-backends",
            "--profile",
            "component",
            "--target",
            TARGET,
        ])
        .current_dir(&workspace)
        .env("CARGO_TARGET_DIR", &target)
        // What cargo sets for this crate's own build would be wrong for the component.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !status.success() {
        return Err(format!(
            "the components were not built ({status}); is the target there? rustup target add {TARGET}"
        ));
    }
    Ok(target.join(TARGET).join("component").join("floe_policy.wasm"))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
