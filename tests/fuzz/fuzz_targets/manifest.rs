//! Any text is a manifest or is told why not, and a refused one changes nothing.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::Policy;
use floe_policy::bindings::exports::floe::telemetry::collector;
use floe_policy::bindings::exports::floe::telemetry::configuration::Guest as _;
use floe_policy::bindings::exports::floe::telemetry::propagation::Guest as _;
use floe_policy::bindings::exports::floe::telemetry::types::{Severity, SpanKind};
use floe_policy::component::Component;
use floe_policy::sampling::decide;
use floe_telemetry_fuzz::{
    MANIFEST, NONE, are_attributes, batches, exporters, is_canonical_baggage, warnings, well_said,
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let outcome = Policy::configure(text, &[], &[]);
    match &outcome {
        Err(found) => {
            assert!(
                found
                    .iter()
                    .any(|diagnostic| matches!(diagnostic.severity, Severity::Error))
            );
            // YAML's line breaks; a parser may stand on the line after the last.
            let lines = text.matches(['\n', '\r']).count() as u32 + 1;
            for diagnostic in found {
                well_said(diagnostic);
                assert!(
                    diagnostic.line <= lines + 1,
                    "line {} of {lines}",
                    diagnostic.line
                );
            }
            Component::configure(MANIFEST.to_owned(), Vec::new(), Vec::new()).expect("a manifest");
            let before = Component::child_baggage(String::new());
            assert_eq!(
                Component::configure(text.to_owned(), Vec::new(), Vec::new())
                    .err()
                    .as_ref(),
                Some(found)
            );
            assert_eq!(Component::child_baggage(String::new()), before);
        }
        Ok((policy, plan)) => {
            warnings(&plan.warnings);
            are_attributes(&plan.resource);
            are_attributes(&plan.attributes);
            are_attributes(&plan.sampler.failed.attributes);
            assert!(plan.interval >= 1 && plan.shutdown >= 1);
            batches(&plan.batches);
            exporters(&plan.exporters);
            // What can be configured can be explained, and says what a Collector is made from.
            assert!(Component::explain(text.to_owned(), Vec::new(), Vec::new()).is_ok());
            let deployment =
                <Component as collector::Guest>::plan(text.to_owned(), Vec::new()).expect("as before");
            assert!(!deployment.destinations.is_empty());
            assert!(plan.sampler.limit.is_finite() && plan.sampler.limit >= 0.0);
            assert!(
                plan.sampler
                    .rules
                    .first()
                    .is_some_and(|rule| rule.attributes.is_empty())
            );
            for rule in &plan.sampler.rules {
                are_attributes(&rule.attributes);
            }
            for name in ["", "floe.pipeline.run", "dbt.model orders", "GET /health"] {
                let intent = policy.intent("", name, SpanKind::Internal, &[]);
                assert!(intent.threshold <= NONE);
                assert!((intent.rule as usize) < plan.sampler.rules.len());
                assert_eq!(
                    intent.tracestate,
                    decide(u64::MAX, "", intent.threshold).tracestate
                );
                assert_eq!(policy.intent("", name, SpanKind::Internal, &[]), intent);
                if intent.rule == 0 {
                    assert_eq!(intent.tracestate, plan.sampler.tracestate);
                }
            }
            let baggage = policy.child_baggage("a=1");
            is_canonical_baggage(&baggage);
            assert_eq!(policy.child_baggage(&baggage), baggage);
            assert_eq!(baggage.contains("floe.namespace="), plan.enabled);
            let again = Policy::configure(text, &[], &[]).expect("as before").1;
            assert_eq!(&again, plan);
        }
    }
});
