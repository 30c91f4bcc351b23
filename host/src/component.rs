//! Admission: what a file must be before its decisions count.

use std::path::Path;

use sha2::{Digest, Sha256};
use wasmtime::component::Linker;

use crate::bindings::PolicyPre;
use crate::bindings::exports::floe::telemetry::describe::Info;
use crate::cache;
use crate::engine::engine;
use crate::error::Problem;
use crate::policy::{self, State};

/// The variable that names another component than the one this crate carries.
const VARIABLE: &str = "FLOE_TELEMETRY_COMPONENT";
/// Version of the contract that this host speaks; its minor version is the one that counts before 1.0.
const CONTRACT: &str = "0.1.0";
/// Largest component in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
const HELP: &str =
    "build one with `just policy`, or unset FLOE_TELEMETRY_COMPONENT to use the built-in policy";

static BUILT_IN: &[u8] = include_bytes!(env!("FLOE_POLICY_COMPONENT_FILE"));

/// A policy component that passed every check.
#[derive(Clone)]
pub struct Component {
    pub(crate) pre: PolicyPre<State>,
    info: Info,
    digest: String,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("info", &self.info)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Component {
    /// The component that `FLOE_TELEMETRY_COMPONENT` names, or else the one that this crate carries.
    pub fn load() -> Result<Self, Problem> {
        match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            Some(path) => Self::from_file(Path::new(&path)),
            None => Self::built_in(),
        }
    }

    /// The component that this crate carries.
    pub fn built_in() -> Result<Self, Problem> {
        Self::from_bytes(BUILT_IN)
    }

    /// The component in a file.
    pub fn from_file(path: &Path) -> Result<Self, Problem> {
        let unreadable = |reason: String| {
            Problem::new(
                "FLOE-C001",
                format!("the component {} cannot be read: {reason}", path.display()),
                HELP,
            )
        };
        let size = std::fs::metadata(path)
            .map_err(|error| unreadable(error.to_string()))?
            .len();
        if size > LARGEST {
            return Err(unreadable(format!("it is larger than {LARGEST} bytes")));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        Self::from_bytes(&bytes)
    }

    /// The component in these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        match bytes.get(..8) {
            // Component Model binary format: version 0x0d, layer 1.
            Some(b"\0asm\x0d\0\x01\0") => {}
            Some(b"\0asm\x01\0\0\0") => {
                return Err(Problem::new(
                    "FLOE-C003",
                    "this is a core WebAssembly module, not a component",
                    HELP,
                ));
            }
            _ => {
                return Err(Problem::new(
                    "FLOE-C002",
                    "this is not a WebAssembly component",
                    HELP,
                ));
            }
        }
        let digest = hex(&Sha256::digest(bytes));
        let engine = engine()?;
        let component = cache::compiled(engine, bytes, &digest).map_err(|error| {
            Problem::new(
                "FLOE-C002",
                format!("the component is truncated or broken: {}", first_line(&error)),
                HELP,
            )
        })?;
        if let Some((import, _)) = component.component_type().imports(engine).next() {
            return Err(Problem::new(
                "FLOE-C004",
                format!("the component asks for {import}, and a policy gets nothing"),
                "build it for a target without imports, as CONTRIBUTING.md says",
            ));
        }
        let pre = Linker::<State>::new(engine)
            .instantiate_pre(&component)
            .and_then(PolicyPre::new)
            .map_err(|error| {
                Problem::new(
                    "FLOE-C004",
                    format!(
                        "the component is not of the world `policy`: {}",
                        first_line(&error)
                    ),
                    HELP,
                )
            })?;
        let info = policy::describe(engine, &pre)?;
        if minor(&info.contract) != minor(CONTRACT) {
            return Err(Problem::new(
                "FLOE-C005",
                format!(
                    "the component speaks contract {}, this host {CONTRACT}",
                    info.contract
                ),
                "use a component of the host's minor version",
            ));
        }
        Ok(Self { pre, info, digest })
    }

    /// Who it is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// SHA-256 of the file in hexadecimal digits: the same in every host that loaded the same file.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn minor(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}

pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    let chain: Vec<String> = error.chain().map(|cause| cause.to_string()).collect();
    chain.join(": ").lines().next().unwrap_or_default().to_owned()
}
