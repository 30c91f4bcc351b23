//! The world `policy`: each export hands on to the module that decides.

use std::cell::RefCell;

use crate::bindings::exports::floe::telemetry::collector::{self, Deployment};
use crate::bindings::exports::floe::telemetry::configuration::{Explained, Instrument, Plan, Variable};
use crate::bindings::exports::floe::telemetry::describe::Info;
use crate::bindings::exports::floe::telemetry::operations::{Beginning, Ending, OperationKind};
use crate::bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
use crate::bindings::exports::floe::telemetry::sampling::{Decision, Pacing, SamplingIntent};
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, Exception, KeyValue, SpanKind};
use crate::bindings::exports::floe::telemetry::{
    configuration, describe, errors, metrics, operations, propagation, sampling,
};
use crate::configuration::configure;
use crate::reader::Journal;
use crate::trace_context::TraceParent;
use crate::{Policy, attribute, deployment, error, instrument, operation, sampling as decisions, variables};

/// Version of `wit/` that this component is built against; a test compares the two.
pub const CONTRACT: &str = "0.1.0";

/// The component. Natively each thread is an instance.
#[derive(Debug)]
pub struct Component;

thread_local! {
    static POLICY: RefCell<Policy> = RefCell::default();
}

impl describe::Guest for Component {
    fn describe() -> Info {
        Info {
            name: "floe-policy".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            contract: CONTRACT.to_owned(),
        }
    }
}

impl configuration::Guest for Component {
    fn variables() -> Vec<String> {
        variables::names()
    }

    fn configure(
        manifest: String,
        variables: Vec<Variable>,
        settings: Vec<KeyValue>,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let (policy, plan) = Policy::configure(&manifest, &variables, &settings)?;
        POLICY.set(policy);
        Ok(plan)
    }

    fn explain(
        manifest: String,
        variables: Vec<Variable>,
        settings: Vec<KeyValue>,
    ) -> Result<Vec<Explained>, Vec<Diagnostic>> {
        let mut journal = Journal::default();
        configure(&manifest, &variables, &settings, &mut journal)?;
        Ok(journal.into_explained())
    }
}

impl collector::Guest for Component {
    fn plan(manifest: String, variables: Vec<Variable>) -> Result<Deployment, Vec<Diagnostic>> {
        deployment::deployment(&manifest, &variables)
    }
}

impl propagation::Guest for Component {
    fn extract(traceparent: String, tracestate: String, baggage: String) -> Extraction {
        POLICY.with_borrow(|policy| policy.extract(&traceparent, &tracestate, &baggage))
    }

    fn inject(high: u64, low: u64, span: u64, flags: u8, tracestate: String, baggage: String) -> Headers {
        let parent = TraceParent {
            trace: u128::from(high) << 64 | u128::from(low),
            span,
            flags,
        };
        POLICY.with_borrow(|policy| policy.inject(parent, &tracestate, &baggage))
    }

    fn child_baggage(baggage: String) -> String {
        POLICY.with_borrow(|policy| policy.child_baggage(&baggage))
    }
}

impl sampling::Guest for Component {
    fn intent(scope: String, name: String, kind: SpanKind, attributes: Vec<KeyValue>) -> SamplingIntent {
        POLICY.with_borrow(|policy| policy.intent(&scope, &name, kind, &attributes))
    }

    fn decide(low: u64, tracestate: String, threshold: u64) -> Decision {
        decisions::decide(low, &tracestate, threshold)
    }

    fn pace(limit: f64, rate: f64, offered: u64, seconds: f64) -> Pacing {
        decisions::pace(limit, rate, offered, seconds)
    }
}

impl operations::Guest for Component {
    fn begin(kind: OperationKind, name: String, facts: String) -> Beginning {
        operation::begin(kind, &name, &attribute::entries(&facts))
    }

    fn end(
        kind: OperationKind,
        name: String,
        status: String,
        seconds: f64,
        facts: String,
        error: Option<Exception>,
    ) -> Ending {
        POLICY.with_borrow(|policy| {
            operation::end(
                kind,
                &name,
                &status,
                seconds,
                &attribute::entries(&facts),
                error.as_ref(),
                policy.redactor(),
            )
        })
    }
}

impl errors::Guest for Component {
    fn classify(error: Exception) -> Exception {
        POLICY.with_borrow(|policy| error::classify(&error, policy.redactor()))
    }

    fn redact(texts: Vec<String>) -> Vec<String> {
        POLICY.with_borrow(|policy| texts.iter().map(|text| policy.redactor().redact(text)).collect())
    }

    fn names_secret(names: Vec<String>) -> Vec<bool> {
        POLICY.with_borrow(|policy| {
            let names_secret = |name: &String| policy.redactor().names_secret(name);
            names.iter().map(names_secret).collect()
        })
    }
}

impl metrics::Guest for Component {
    fn instrument(asked: Instrument) -> Result<Instrument, Vec<Diagnostic>> {
        POLICY.with_borrow(|policy| instrument::checked(asked, policy.redactor()))
    }
}

#[cfg(target_family = "wasm")]
#[expect(unreachable_pub, unsafe_code, reason = "generated")]
mod exported {
    crate::bindings::export!(Component with_types_in crate::bindings);
    use super::Component;
}
