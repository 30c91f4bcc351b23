//! A configured component: a pool of instances, and its functions as Rust calls them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use wasmtime::Store;

use crate::bindings::exports::floe::telemetry::collector::Deployment;
use crate::bindings::exports::floe::telemetry::configuration::{Explained, Instrument, Plan, Variable};
use crate::bindings::exports::floe::telemetry::describe::Info;
use crate::bindings::exports::floe::telemetry::operations::{Beginning, Ending, OperationKind};
use crate::bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
use crate::bindings::exports::floe::telemetry::sampling::{Decision, Pacing, SamplingIntent};
use crate::bindings::exports::floe::telemetry::types::{
    Attributes, Diagnostic, Exception, KeyValue, SpanKind,
};
use crate::bindings::{Policy as Exports, PolicyPre};
use crate::bounds::bounded;
use crate::component::Component;
use crate::engine::engine;
use crate::error::{Error, Problem, counted};
use crate::instance::{self, Limits, State};
use crate::manifest::Manifest;

/// Idle instances that are kept; more than this many threads at once only cost the making of further ones.
const IDLE: usize = 16;

type Instance = instance::Instance<(), Exports>;

#[derive(Debug, Clone)]
struct Configuration {
    manifest: String,
    variables: Vec<Variable>,
    settings: Vec<KeyValue>,
}

impl Configuration {
    /// A manifest with the variables that a component asks for.
    fn of(component: &Component, manifest: &Manifest) -> Result<Self, Problem> {
        let names = Policy::unconfigured(component.clone())
            .call(|exports, store| exports.floe_telemetry_configuration().call_variables(store))?;
        Ok(Self {
            manifest: manifest.text.clone(),
            variables: names
                .into_iter()
                .filter_map(|name| manifest.variable(&name).map(|value| Variable { name, value }))
                .collect(),
            settings: manifest.settings.clone(),
        })
    }
}

/// A component with its configuration. Any number of threads may call it at once.
#[derive(Clone)]
pub struct Policy {
    component: Result<Component, Problem>,
    configuration: Option<Arc<Configuration>>,
    /// `plan.sampler.tracestate`.
    tracestate: Arc<str>,
    idle: Arc<ArrayQueue<Instance>>,
    calls: Arc<AtomicU64>,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("component", &self.component)
            .field("idle", &self.idle.len())
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// The policy of a process without configuration: context propagates, no span is kept.
    pub fn unconfigured(component: Component) -> Self {
        Self::of(Ok(component), None, "")
    }

    /// A policy that answers every call with why there is none.
    pub fn unavailable(problem: Problem) -> Self {
        Self::of(Err(problem), None, "")
    }

    fn of(
        component: Result<Component, Problem>,
        configuration: Option<Arc<Configuration>>,
        tracestate: &str,
    ) -> Self {
        Self {
            component,
            configuration,
            tracestate: tracestate.into(),
            idle: Arc::new(ArrayQueue::new(IDLE)),
            calls: Arc::default(),
        }
    }

    /// Configures a component.
    pub fn configure(component: Component, manifest: &Manifest) -> Result<(Self, Plan), Error> {
        let configuration = Configuration::of(&component, manifest)?;
        let mut instance = instantiate(&component.pre)?;
        let plan = configured(&mut instance, &configuration)?
            .map_err(|diagnostics| refused(manifest, diagnostics))?;
        let policy = Self::of(
            Ok(component),
            Some(Arc::new(configuration)),
            &plan.sampler.tracestate,
        );
        let _ = policy.idle.push(instance);
        Ok((policy, plan))
    }

    /// Where each effective value of a manifest comes from.
    pub fn explain(component: Component, manifest: &Manifest) -> Result<Vec<Explained>, Error> {
        let configuration = Configuration::of(&component, manifest)?;
        Self::unconfigured(component)
            .call(|exports, store| {
                exports.floe_telemetry_configuration().call_explain(
                    store,
                    &configuration.manifest,
                    &configuration.variables,
                    &configuration.settings,
                )
            })?
            .map_err(|diagnostics| refused(manifest, diagnostics))
    }

    /// What a manifest says about the Collector and its backends.
    pub fn deployment(component: Component, manifest: &Manifest) -> Result<Deployment, Error> {
        let configuration = Configuration::of(&component, manifest)?;
        Self::unconfigured(component)
            .call(|exports, store| {
                exports.floe_telemetry_collector().call_plan(
                    store,
                    &configuration.manifest,
                    &configuration.variables,
                )
            })?
            .map_err(|diagnostics| refused(manifest, diagnostics))
    }

    /// The component that decides, if there is one.
    pub fn component(&self) -> Option<&Component> {
        self.component.as_ref().ok()
    }

    /// What a trace says that starts here and is kept with no rule and no limit at work.
    pub(crate) fn tracestate(&self) -> &str {
        &self.tracestate
    }

    /// How often the component was asked so far. Spans do not count up here: an intent answers for all of a name.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// `propagation.extract`.
    pub fn extract(&self, traceparent: &str, tracestate: &str, baggage: &str) -> Result<Extraction, Problem> {
        self.call(|exports, store| {
            exports
                .floe_telemetry_propagation()
                .call_extract(store, traceparent, tracestate, baggage)
        })
    }

    /// `propagation.inject`.
    pub fn inject(
        &self,
        trace: u128,
        span: u64,
        flags: u8,
        tracestate: &str,
        baggage: &str,
    ) -> Result<Headers, Problem> {
        let (high, low) = ((trace >> 64) as u64, trace as u64);
        self.call(|exports, store| {
            exports
                .floe_telemetry_propagation()
                .call_inject(store, high, low, span, flags, tracestate, baggage)
        })
    }

    /// `propagation.child-baggage`.
    pub fn child_baggage(&self, baggage: &str) -> Result<String, Problem> {
        self.call(|exports, store| {
            exports
                .floe_telemetry_propagation()
                .call_child_baggage(store, baggage)
        })
    }

    /// `sampling.intent`.
    pub fn intent(
        &self,
        scope: &str,
        name: &str,
        kind: SpanKind,
        attributes: &[KeyValue],
    ) -> Result<SamplingIntent, Problem> {
        self.call(|exports, store| {
            exports
                .floe_telemetry_sampling()
                .call_intent(store, scope, name, kind, attributes)
        })
    }

    /// `sampling.decide`.
    pub fn decide(&self, low: u64, tracestate: &str, threshold: u64) -> Result<Decision, Problem> {
        self.call(|exports, store| {
            exports
                .floe_telemetry_sampling()
                .call_decide(store, low, tracestate, threshold)
        })
    }

    /// `sampling.pace`.
    pub fn pace(&self, limit: f64, rate: f64, offered: u64, seconds: f64) -> Result<Pacing, Problem> {
        self.call(|exports, store| {
            exports
                .floe_telemetry_sampling()
                .call_pace(store, limit, rate, offered, seconds)
        })
    }

    /// `operations.begin`. Facts are the text of a JSON object.
    pub fn begin(&self, kind: OperationKind, name: &str, facts: &Attributes) -> Result<Beginning, Problem> {
        self.call(|exports, store| {
            exports
                .floe_telemetry_operations()
                .call_begin(store, kind, name, facts)
        })
    }

    /// `operations.end`.
    pub fn end(
        &self,
        kind: OperationKind,
        name: &str,
        status: &str,
        seconds: f64,
        facts: &Attributes,
        error: Option<&Exception>,
    ) -> Result<Ending, Problem> {
        self.call(|exports, store| {
            exports
                .floe_telemetry_operations()
                .call_end(store, kind, name, status, seconds, facts, error)
        })
    }

    /// `errors.classify`.
    pub fn classify(&self, error: &Exception) -> Result<Exception, Problem> {
        self.call(|exports, store| exports.floe_telemetry_errors().call_classify(store, error))
    }

    /// `errors.redact`. As many texts come back as were given.
    pub fn redact(&self, texts: &[String]) -> Result<Vec<String>, Problem> {
        let redacted =
            self.call(|exports, store| exports.floe_telemetry_errors().call_redact(store, texts))?;
        as_many(redacted, texts)
    }

    /// `errors.names-secret`. As many answers come back as names were given.
    pub fn names_secret(&self, names: &[String]) -> Result<Vec<bool>, Problem> {
        let secret =
            self.call(|exports, store| exports.floe_telemetry_errors().call_names_secret(store, names))?;
        as_many(secret, names)
    }

    /// `metrics.instrument`: an application's own instrument as it is created, or what is wrong with it.
    pub fn instrument(&self, asked: &Instrument) -> Result<Result<Instrument, Vec<Diagnostic>>, Problem> {
        self.call(|exports, store| exports.floe_telemetry_metrics().call_instrument(store, asked))
    }

    /// Calls an instance of the pool. One that trapped is thrown away: it would answer nothing any more.
    fn call<T>(
        &self,
        function: impl FnOnce(&Exports, &mut Store<State<()>>) -> wasmtime::Result<T>,
    ) -> Result<T, Problem> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut instance = match self.idle.pop() {
            Some(instance) => instance,
            None => self.instance()?,
        };
        let answer = instance.call(function).map_err(fault)?;
        let _ = self.idle.push(instance);
        Ok(answer)
    }

    fn instance(&self) -> Result<Instance, Problem> {
        let component = self.component.as_ref().map_err(Clone::clone)?;
        let mut instance = instantiate(&component.pre)?;
        if let Some(configuration) = &self.configuration {
            // The same text was accepted before; a component that refuses it now is not deterministic.
            configured(&mut instance, configuration)?
                .map_err(|_| fault("it refused what it had accepted".to_owned()))?;
        }
        Ok(instance)
    }
}

/// Answers, if there is one for each text.
fn as_many<T>(answers: Vec<T>, texts: &[String]) -> Result<Vec<T>, Problem> {
    if answers.len() == texts.len() {
        return Ok(answers);
    }
    Err(fault(format!(
        "it gave {} for {}",
        counted(answers.len() as u64, "answer"),
        counted(texts.len() as u64, "text")
    )))
}

fn refused(manifest: &Manifest, diagnostics: Vec<Diagnostic>) -> Error {
    Error::Manifest {
        file: manifest.file.clone(),
        diagnostics,
    }
}

/// `configuration.configure`.
fn configured(
    instance: &mut Instance,
    configuration: &Configuration,
) -> Result<Result<Plan, Vec<Diagnostic>>, Problem> {
    instance
        .call(|exports, store| {
            exports.floe_telemetry_configuration().call_configure(
                store,
                &configuration.manifest,
                &configuration.variables,
                &configuration.settings,
            )
        })
        .map(|plan| plan.map(bounded))
        .map_err(fault)
}

/// Asks a component who it is: its first call.
pub(crate) fn describe(pre: &PolicyPre<State<()>>) -> Result<Info, Problem> {
    instantiate(pre)?
        .call(|exports, store| exports.floe_telemetry_describe().call_describe(store))
        .map_err(fault)
}

fn instantiate(pre: &PolicyPre<State<()>>) -> Result<Instance, Problem> {
    Instance::new(engine()?, Limits::LINEAR, (), |store| pre.instantiate(store))
        .map_err(|missing| missing.problem(fault))
}

fn fault(reason: String) -> Problem {
    Problem::new(
        "FLOE-C006",
        format!("the policy component failed: {reason}"),
        "this is a fault of the component; use another version of it",
    )
}
