//! Admission: what a file must be before anything in it runs, whatever its world.

use std::path::Path;

use sha2::{Digest, Sha256};
use wasmtime::component;

use crate::bindings::exports::floe::telemetry::describe::Info;
use crate::cache;
use crate::engine::engine;
use crate::error::Problem;

/// Version of the contract that this host speaks; its minor version is the one that counts before 1.0.
const CONTRACT: &str = "0.1.0";
/// Largest component in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A compiled component, of which nothing has run.
pub(crate) struct Admitted {
    pub(crate) component: component::Component,
    /// SHA-256 of the file in hexadecimal digits.
    pub(crate) digest: String,
}

/// The bytes of a component's file.
pub(crate) fn read(path: &Path, help: &str) -> Result<Vec<u8>, Problem> {
    let unreadable = |reason: String| {
        Problem::new(
            "FLOE-C001",
            format!("the component {} cannot be read: {reason}", path.display()),
            help,
        )
    };
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if size > LARGEST {
        return Err(unreadable(format!("it is larger than {LARGEST} bytes")));
    }
    std::fs::read(path).map_err(|error| unreadable(error.to_string()))
}

/// Checks and compiles a component.
pub(crate) fn admit(bytes: &[u8], help: &str) -> Result<Admitted, Problem> {
    match bytes.get(..8) {
        // Component Model binary format: version 0x0d, layer 1.
        Some(b"\0asm\x0d\0\x01\0") => {}
        Some(b"\0asm\x01\0\0\0") => {
            return Err(Problem::new(
                "FLOE-C003",
                "this is a core WebAssembly module, not a component",
                help,
            ));
        }
        _ => {
            return Err(Problem::new(
                "FLOE-C002",
                "this is not a WebAssembly component",
                help,
            ));
        }
    }
    let digest = hex(&Sha256::digest(bytes));
    let component = cache::compiled(engine()?, bytes, &digest).map_err(|error| {
        Problem::new(
            "FLOE-C002",
            format!("the component is truncated or broken: {}", first_line(&error)),
            help,
        )
    })?;
    Ok(Admitted { component, digest })
}

/// Refuses a component that asks for more than its host gives.
pub(crate) fn imports(
    admitted: &Admitted,
    given: impl Fn(&str) -> bool,
    what: &str,
    help: &str,
) -> Result<(), Problem> {
    match admitted
        .component
        .component_type()
        .imports(engine()?)
        .find(|(import, _)| !given(import))
    {
        Some((import, _)) => Err(Problem::new(
            "FLOE-C004",
            format!("the component asks for {import}, and {what}"),
            help,
        )),
        None => Ok(()),
    }
}

/// The refusal of a component that does not have a world's exports, or not of their types.
pub(crate) fn other_world(world: &str, error: &wasmtime::Error, help: &str) -> Problem {
    Problem::new(
        "FLOE-C004",
        format!(
            "the component is not of the world `{world}`: {}",
            first_line(error)
        ),
        help,
    )
}

/// Refuses a component that was built against another minor version of the contract.
pub(crate) fn contract(info: &Info) -> Result<(), Problem> {
    if minor(&info.contract) == minor(CONTRACT) {
        return Ok(());
    }
    Err(Problem::new(
        "FLOE-C005",
        format!(
            "the component speaks contract {}, this host {CONTRACT}",
            info.contract
        ),
        "use a component of the host's minor version",
    ))
}

/// What a WebAssembly error says, on one line and without where in the component it was.
pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    error
        .chain()
        .filter_map(|cause| cause.to_string().lines().next().map(str::to_owned))
        .filter(|line| !line.starts_with("error while executing at wasm backtrace"))
        .collect::<Vec<_>>()
        .join(": ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn minor(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}
