//! Variables of the environment: lines `NAME=value`. Only an endpoint can be an error; whatever else is wrong is ignored aloud.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::Policy;
use floe_policy::bindings::exports::floe::telemetry::configuration::Variable;
use floe_policy::bindings::exports::floe::telemetry::types::{Severity, SpanKind};
use floe_telemetry_fuzz::{MANIFEST, NONE, warnings, well_said};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut variables: Vec<Variable> = Vec::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        // An environment has a name once.
        if variables.iter().all(|known| known.name != name) {
            variables.push(Variable {
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    }
    match Policy::configure(MANIFEST, &variables, &[]) {
        Err(found) => {
            for diagnostic in &found {
                well_said(diagnostic);
                let endpoint =
                    diagnostic.path == "OTEL_EXPORTER_OTLP_ENDPOINT" && diagnostic.code == "FLOE-M006";
                assert!(
                    endpoint || matches!(diagnostic.severity, Severity::Warning),
                    "{diagnostic:?}"
                );
            }
            // A bad endpoint may hold a password.
            for diagnostic in found
                .iter()
                .filter(|diagnostic| diagnostic.path == "OTEL_EXPORTER_OTLP_ENDPOINT")
            {
                let value = variables
                    .iter()
                    .find(|variable| variable.name == diagnostic.path)
                    .map(|found| found.value.trim());
                assert!(value.is_some_and(|value| value.len() < 12 || !diagnostic.message.contains(value)));
            }
        }
        Ok((policy, plan)) => {
            for code in warnings(&plan.warnings) {
                assert_eq!(code, "FLOE-M009");
            }
            assert!(plan.warnings.len() <= variables.len());
            assert!(plan.batch.size <= plan.batch.queue && plan.batch.size >= 1);
            assert!(["dev", "staging", "prod"].contains(&plan.environment.as_str()));
            let intent = policy.intent("", "x", SpanKind::Internal, &[]);
            assert!(intent.threshold <= NONE && intent.tracestate == plan.sampler.tracestate);
            // The order of variables means nothing.
            variables.reverse();
            let mut reversed = Policy::configure(MANIFEST, &variables, &[]).expect("as before").1;
            assert_eq!(reversed.warnings.len(), plan.warnings.len());
            reversed.warnings.clone_from(&plan.warnings);
            assert_eq!(reversed, plan);
        }
    }
});
