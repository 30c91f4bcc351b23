//! The policy component: which file decides.

use std::path::Path;

use wasmtime::component::Linker;

use crate::admission;
use crate::bindings::PolicyPre;
use crate::bindings::exports::floe::telemetry::describe::Info;
use crate::engine::engine;
use crate::error::Problem;
use crate::instance::State;
use crate::policy;

/// The variable that names another component than the one this crate carries.
pub(crate) const VARIABLE: &str = "FLOE_TELEMETRY_COMPONENT";
const HELP: &str =
    "build one with `just policy`, or unset FLOE_TELEMETRY_COMPONENT to use the built-in policy";

static BUILT_IN: &[u8] = include_bytes!(env!("FLOE_POLICY_COMPONENT_FILE"));

/// A policy component that passed every check.
#[derive(Clone)]
pub struct Component {
    pub(crate) pre: PolicyPre<State<()>>,
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
        admission::from_file(path, HELP, Self::from_bytes)
    }

    /// The component in these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        let admitted = admission::admit(bytes, HELP)?;
        admission::imports(
            &admitted,
            |_| false,
            "a policy gets nothing",
            "build it for a target without imports, as CONTRIBUTING.md says",
        )?;
        let pre = Linker::<State<()>>::new(engine()?)
            .instantiate_pre(&admitted.component)
            .and_then(PolicyPre::new)
            .map_err(|error| admission::other_world("policy", &error, HELP))?;
        let info = policy::describe(&pre)?;
        admission::contract(&info)?;
        Ok(Self {
            pre,
            info,
            digest: admitted.digest,
        })
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
