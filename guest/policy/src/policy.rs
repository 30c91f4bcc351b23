//! A configured policy: what an instance keeps between calls.

use crate::attribute;
use crate::baggage;
use crate::bindings::exports::floe::telemetry::configuration::{Plan, Variable};
use crate::bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
use crate::bindings::exports::floe::telemetry::sampling::{ParentMode, SamplingIntent};
use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::configuration;
use crate::manifest::Manifest;
use crate::sampling;
use crate::trace_context::{self, TraceParent};

/// What decides. The default is the policy of a process without configuration: context propagates, no span is kept.
#[derive(Debug, Default)]
pub struct Policy {
    manifest: Manifest,
    threshold: Option<u64>,
}

impl Policy {
    /// Configures a policy from a manifest and environment variables.
    pub fn configure(manifest: &str, variables: &[Variable]) -> Result<(Self, Plan), Vec<Diagnostic>> {
        let (manifest, warnings) = configuration::configure(manifest, variables)?;
        let plan = configuration::plan(&manifest, warnings);
        let threshold = manifest
            .enabled
            .then(|| sampling::threshold(manifest.ratios.of(manifest.mode)));
        Ok((Self { manifest, threshold }, plan))
    }

    /// The intent is the same for all spans: the mode's threshold, and the parent respected.
    pub fn intent(&self) -> SamplingIntent {
        SamplingIntent {
            threshold: self.threshold.unwrap_or(sampling::NONE),
            parent: ParentMode::Follow,
            rule: 0,
        }
    }

    /// Incoming headers.
    pub fn extract(&self, traceparent: &str, tracestate: &str, baggage: &str) -> Extraction {
        let baggage::Canonical {
            text: baggage,
            mut problems,
        } = baggage::canonical(baggage, &[]);
        let mut extraction = Extraction {
            high: 0,
            low: 0,
            span: 0,
            flags: 0,
            tracestate: String::new(),
            baggage,
            problems: Vec::new(),
        };
        if !traceparent.is_empty() {
            match TraceParent::parse(traceparent) {
                Ok(parent) => {
                    (extraction.high, extraction.low) = ((parent.trace >> 64) as u64, parent.trace as u64);
                    (extraction.span, extraction.flags) = (parent.span, parent.flags);
                    // A tracestate without a valid traceparent is not used (section 4.2).
                    match trace_context::tracestate(tracestate) {
                        Ok(state) => extraction.tracestate = state,
                        Err(found) => problems.push(found),
                    }
                }
                Err(found) => problems.push(found),
            }
        }
        extraction.problems = problems;
        extraction
    }

    /// Outgoing headers.
    pub fn inject(&self, parent: TraceParent, tracestate: &str, baggage: &str) -> Headers {
        let valid = parent.trace != 0 && parent.span != 0;
        Headers {
            traceparent: if valid { parent.format() } else { String::new() },
            tracestate: if valid {
                trace_context::tracestate(tracestate).unwrap_or_default()
            } else {
                String::new()
            },
            baggage: self.child_baggage(baggage),
        }
    }

    /// Baggage with this configuration's `floe.*` members where they are absent.
    pub fn child_baggage(&self, baggage: &str) -> String {
        let identity = &self.manifest.identity;
        let members = [
            (attribute::NAMESPACE, identity.namespace.as_str()),
            (attribute::PRODUCT_NAME, identity.product_name.as_str()),
            (attribute::PRODUCT_VERSION, identity.product_version.as_str()),
            (attribute::MODE, self.manifest.mode.word()),
        ];
        baggage::canonical(baggage, if self.manifest.enabled { &members } else { &[] }).text
    }
}
