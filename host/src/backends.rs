//! Telemetry backends: the built-in component and those of a directory. A third party's may be written in any language, and gets an empty WASI context
//! where its language asks for WASI: no files, no environment, no network, no arguments.

use std::path::{Path, PathBuf};

use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::admission;
use crate::bindings::exports::floe::telemetry::describe::Info;
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, KeyValue};
use crate::bindings::telemetry_backends::exports::floe::telemetry::backends::{self, Backend, Fragment};
use crate::bindings::telemetry_backends::exports::floe::telemetry::describe;
use crate::engine::engine;
use crate::error::Problem;
use crate::instance::{self, Limits, State};

/// The directory of third parties' backends, where the manifest names none.
const VARIABLE: &str = "FLOE_TELEMETRY_BACKENDS";
const HELP: &str =
    "take it out of the directory of backends, or put a component of the world `telemetry-backends` there";

static BUILT_IN: &[u8] = include_bytes!(env!("FLOE_BACKENDS_COMPONENT_FILE"));

/// What a component's imports of WASI see: nothing.
struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State<Wasi> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context.context,
            table: &mut self.context.table,
        }
    }
}

/// A component's functions, before it is instantiated. The world's types are part of theirs: whether it exports them by themselves as well makes no difference.
struct Functions {
    pre: InstancePre<State<Wasi>>,
    describe: describe::GuestIndices,
    backends: backends::GuestIndices,
}

impl Functions {
    fn new(pre: InstancePre<State<Wasi>>) -> wasmtime::Result<Self> {
        Ok(Self {
            describe: describe::GuestIndices::new(&pre)?,
            backends: backends::GuestIndices::new(&pre)?,
            pre,
        })
    }

    fn instantiate(&self, store: &mut Store<State<Wasi>>) -> wasmtime::Result<Exports> {
        let instance = self.pre.instantiate(&mut *store)?;
        Ok(Exports {
            describe: self.describe.load(&mut *store, &instance)?,
            backends: self.backends.load(&mut *store, &instance)?,
        })
    }
}

/// An instance's functions.
struct Exports {
    describe: describe::Guest,
    backends: backends::Guest,
}

type Instance = instance::Instance<Wasi, Exports>;

/// A component of backends that passed every check.
pub struct BackendsComponent {
    functions: Functions,
    limits: Limits,
    /// Who it is.
    pub info: Info,
    /// SHA-256 of the file in hexadecimal digits.
    pub digest: String,
    /// The file; the built-in component has none.
    pub file: Option<PathBuf>,
    /// What it offers.
    pub backends: Vec<Backend>,
}

impl std::fmt::Debug for BackendsComponent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendsComponent")
            .field("info", &self.info)
            .field("digest", &self.digest)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl BackendsComponent {
    fn new(bytes: &[u8], file: Option<&Path>) -> Result<Self, Problem> {
        let engine = engine()?;
        let admitted = admission::admit(bytes, HELP)?;
        admission::imports(
            &admitted,
            |import| import.starts_with("wasi:"),
            "a backend gets an empty WASI and nothing else",
            "build it against the world `telemetry-backends` alone",
        )?;
        let limits = match admitted.component.component_type().imports(engine).len() {
            0 => Limits::LINEAR,
            _ => Limits::INTERPRETER,
        };
        let mut linker = Linker::<State<Wasi>>::new(engine);
        let functions = wasmtime_wasi::p2::add_to_linker_sync(&mut linker)
            .and_then(|()| linker.instantiate_pre(&admitted.component))
            .and_then(Functions::new)
            .map_err(|error| admission::other_world("telemetry-backends", &error, HELP))?;
        let mut instance = instantiate(&functions, limits, file)?;
        let info = instance
            .call(|exports, store| exports.describe.call_describe(store))
            .map(|info| Info {
                name: info.name,
                version: info.version,
                contract: info.contract,
            })
            .map_err(|reason| fault(file, &reason))?;
        admission::contract(&info)?;
        let backends = instance
            .call(|exports, store| exports.backends.call_list(store))
            .map_err(|reason| fault(file, &reason))?;
        Ok(Self {
            functions,
            limits,
            info,
            digest: admitted.digest,
            file: file.map(Path::to_owned),
            backends,
        })
    }

    /// The component that this crate carries.
    fn built_in() -> Result<Self, Problem> {
        Self::new(BUILT_IN, None)
    }

    fn from_file(file: &Path) -> Result<Self, Problem> {
        admission::from_file(file, HELP, |bytes| Self::new(bytes, Some(file)))
            .map_err(|problem| problem.about(&file.display().to_string()))
    }

    /// Renders the fragment of one of its backends for a version of the Collector, or answers everything that is wrong with the settings.
    pub fn render(
        &self,
        name: &str,
        settings: &[KeyValue],
        collector: &str,
    ) -> Result<Result<Fragment, Vec<Diagnostic>>, Problem> {
        let file = self.file.as_deref();
        instantiate(&self.functions, self.limits, file)?
            .call(|exports, store| exports.backends.call_render(store, name, settings, collector))
            .map_err(|reason| fault(file, &reason))
    }

    /// What messages call it: the file, if it has one.
    pub fn shown(&self) -> String {
        shown(self.file.as_deref())
    }
}

/// A new instance, whose WASI inherits nothing and has nothing preopened; what it prints goes nowhere.
fn instantiate(functions: &Functions, limits: Limits, file: Option<&Path>) -> Result<Instance, Problem> {
    let wasi = Wasi {
        context: WasiCtx::builder().build(),
        table: ResourceTable::new(),
    };
    Instance::new(engine()?, limits, wasi, |store| functions.instantiate(store))
        .map_err(|missing| missing.problem(|reason| fault(file, &reason)))
}

fn shown(file: Option<&Path>) -> String {
    match file {
        Some(file) => file.display().to_string(),
        None => "the built-in component".to_owned(),
    }
}

fn fault(file: Option<&Path>, reason: &str) -> Problem {
    Problem::new(
        "FLOE-C006",
        format!("the backends component failed ({}): {reason}", shown(file)),
        "this is a fault of the component; use another version of it",
    )
}

/// The backends of a process: each name is offered once.
#[derive(Debug)]
pub struct Backends {
    components: Vec<BackendsComponent>,
}

impl Backends {
    /// The built-in backends, and those of every `*.wasm` in a directory, by name of the file. Without a directory that of `FLOE_TELEMETRY_BACKENDS` counts, if it
    /// is set. One file that is not what it should be, or that offers a name which another has, is an error.
    pub fn load(directory: Option<&Path>) -> Result<Self, Problem> {
        let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let mut backends = Self {
            components: vec![BackendsComponent::built_in()?],
        };
        if let Some(directory) = directory.or(variable.as_deref().map(Path::new)) {
            for file in files(directory)? {
                backends.add(BackendsComponent::from_file(&file)?)?;
            }
        }
        Ok(backends)
    }

    /// Every component, the built-in one first.
    pub fn components(&self) -> &[BackendsComponent] {
        &self.components
    }

    /// Every backend, with the component that offers it.
    pub fn list(&self) -> impl Iterator<Item = (&Backend, &BackendsComponent)> {
        self.components
            .iter()
            .flat_map(|component| component.backends.iter().map(move |backend| (backend, component)))
    }

    /// The backend of a name.
    pub fn find(&self, name: &str) -> Option<(&Backend, &BackendsComponent)> {
        self.list().find(|(backend, _)| backend.name == name)
    }

    fn add(&mut self, component: BackendsComponent) -> Result<(), Problem> {
        for (position, backend) in component.backends.iter().enumerate() {
            let name = &backend.name;
            if !is_name(name) {
                return Err(Problem::new(
                    "FLOE-C008",
                    format!(
                        "{} offers a backend with an invalid name: {name:?}",
                        component.shown()
                    ),
                    "name it by 1 to 64 lower-case letters, digits and hyphens, the first of them a letter",
                ));
            }
            let others = component
                .backends
                .iter()
                .take(position)
                .any(|other| other.name == *name);
            let holder = match others {
                true => Some(&component),
                false => self.find(name).map(|(_, holder)| holder),
            };
            if let Some(holder) = holder {
                return Err(Problem::new(
                    "FLOE-C008",
                    format!(
                        "{} and {} both offer a backend `{name}`",
                        holder.shown(),
                        component.shown()
                    ),
                    "a name means one backend, and those of the built-in component are taken: rename it, or take one of the files away",
                ));
            }
        }
        self.components.push(component);
        Ok(())
    }
}

/// The components of a directory, by name.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(
            "FLOE-C009",
            format!(
                "the directory of backends {} cannot be read: {error}",
                directory.display()
            ),
            "make the directory, or name another one",
        )
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A name that a Collector's component id may have as its second part.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["jaeger", "aws-xray", "a", "b2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Jaeger", "2b", "a/b", "a b", "a\n", "ä", &"a".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
