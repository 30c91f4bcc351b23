//! Variables of the environment: lines `NAME=value`. What says where telemetry goes, and as whom, can be an error; whatever else is wrong is ignored aloud.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::Policy;
use floe_policy::bindings::exports::floe::telemetry::configuration::Variable;
use floe_policy::bindings::exports::floe::telemetry::types::{Severity, SpanKind};
use floe_telemetry_fuzz::{MANIFEST, NONE, batches, exporters, warnings, well_said};

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
                let strict = ["_ENDPOINT", "_HEADERS", "_CERTIFICATE", "_CLIENT_KEY"];
                let strict = strict.iter().any(|end| diagnostic.path.ends_with(end));
                // Files for TLS are of a section: one without the other is said there.
                let section = diagnostic.path.ends_with("tls");
                assert!(
                    strict || section || matches!(diagnostic.severity, Severity::Warning),
                    "{diagnostic:?}"
                );
            }
            // Headers hold credentials.
            for variable in variables
                .iter()
                .filter(|variable| variable.name.ends_with("_HEADERS"))
            {
                for value in variable
                    .value
                    .split(',')
                    .filter_map(|pair| Some(pair.split_once('=')?.1.trim()))
                {
                    assert!(
                        value.len() < 24
                            || found.iter().all(|diagnostic| !diagnostic.message.contains(value))
                    );
                }
            }
        }
        Ok((policy, plan)) => {
            for code in warnings(&plan.warnings) {
                assert!(
                    ["FLOE-M009", "FLOE-M013", "FLOE-M014", "FLOE-M015"].contains(&code),
                    "{code}"
                );
            }
            batches(&plan.batches);
            exporters(&plan.exporters);
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
