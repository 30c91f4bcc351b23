//! An instance of a component: its store with its limits, and the deadline of every call.

use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};

use crate::admission::first_line;
use crate::engine::unable;
use crate::error::Problem;
use crate::platform;

/// What an instance may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Largest memory in bytes.
    memory: usize,
    /// Epochs that one call may take.
    deadline: u64,
}

impl Limits {
    /// For components that do linear work on bounded input: far above what any takes.
    pub(crate) const LINEAR: Self = Self {
        memory: 64 * 1024 * 1024,
        deadline: 200,
    };
    /// For components that bring a language's interpreter along, which has to start within the first call.
    #[cfg(feature = "backends")]
    pub(crate) const INTERPRETER: Self = Self {
        memory: 512 * 1024 * 1024,
        deadline: 3000,
    };
}

/// What a store holds: the limits of its instance, and what the imports of its component need.
#[derive(Debug)]
pub(crate) struct State<T> {
    limits: StoreLimits,
    #[cfg_attr(
        not(feature = "backends"),
        expect(dead_code, reason = "a policy imports nothing")
    )]
    pub(crate) context: T,
}

/// Why there is no instance.
#[derive(Debug)]
pub(crate) enum NoInstance {
    /// The component trapped, or asked for more than its limits.
    Component(String),
    /// This process cannot give what an instance needs, such as address space.
    Process(String),
}

impl NoInstance {
    fn of(error: &wasmtime::Error) -> Self {
        let reason = first_line(error);
        if platform::refused(error.root_cause()) {
            Self::Process(reason)
        } else {
            Self::Component(reason)
        }
    }

    /// The problem; `fault` makes one of the component.
    pub(crate) fn problem(self, fault: impl FnOnce(String) -> Problem) -> Problem {
        match self {
            Self::Component(reason) => fault(reason),
            Self::Process(reason) => unable(&reason),
        }
    }
}

/// An instance with its exports. One whose call failed answers nothing any more and must be thrown away.
pub(crate) struct Instance<T: 'static, E> {
    store: Store<State<T>>,
    exports: E,
    deadline: u64,
}

impl<T, E> Instance<T, E> {
    /// A new one.
    pub(crate) fn new(
        engine: &Engine,
        limits: Limits,
        context: T,
        instantiate: impl FnOnce(&mut Store<State<T>>) -> wasmtime::Result<E>,
    ) -> Result<Self, NoInstance> {
        let state = State {
            limits: StoreLimitsBuilder::new()
                .memory_size(limits.memory)
                .instances(64)
                .tables(64)
                .memories(8)
                .build(),
            context,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(limits.deadline);
        let exports = instantiate(&mut store).map_err(|error| NoInstance::of(&error))?;
        Ok(Self {
            store,
            exports,
            deadline: limits.deadline,
        })
    }

    /// Calls an export; answers what trapped or ran out of time or memory.
    pub(crate) fn call<A>(
        &mut self,
        function: impl FnOnce(&E, &mut Store<State<T>>) -> wasmtime::Result<A>,
    ) -> Result<A, String> {
        // Before every call: a deadline set once would be spent by the calls before.
        self.store.set_epoch_deadline(self.deadline);
        function(&self.exports, &mut self.store).map_err(|error| first_line(&error))
    }
}
