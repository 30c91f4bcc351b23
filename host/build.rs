//! Embeds the policy component: the one that `FLOE_POLICY_COMPONENT` names, or else one built here from `guest/policy`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    match component() {
        Ok(component) => {
            println!(
                "cargo::rustc-env=FLOE_POLICY_COMPONENT_FILE={}",
                component.display()
            );
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn component() -> Result<PathBuf, String> {
    println!("cargo::rerun-if-env-changed=FLOE_POLICY_COMPONENT");
    let source = match env::var_os("FLOE_POLICY_COMPONENT") {
        Some(file) => PathBuf::from(file),
        None => build()?,
    };
    println!("cargo::rerun-if-changed={}", source.display());
    // A copy of our own: the file outside may change while this crate is compiled.
    let copy = Path::new(&variable("OUT_DIR")?).join("floe_policy.wasm");
    fs::copy(&source, &copy).map_err(|error| format!("{}: {error}", source.display()))?;
    Ok(copy)
}

fn build() -> Result<PathBuf, String> {
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("..");
    for path in ["guest/policy", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    // A target directory of its own: cargo's lock on the outer one is held while this runs.
    let target = Path::new(&variable("OUT_DIR")?).join("component");
    let status = Command::new(variable("CARGO")?)
        .args([
            "build",
            "--package",
            "floe-telemetry-policy",
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
            "the policy component was not built ({status}); is the target there? rustup target add {TARGET}"
        ));
    }
    Ok(target.join(TARGET).join("component").join("floe_policy.wasm"))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
