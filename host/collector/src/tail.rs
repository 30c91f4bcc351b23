//! Tail sampling: a trace is judged when its spans have been waited for.

use floe_telemetry::bindings::exports::floe::telemetry::collector::TailSampling;
use serde_json::{Value as Json, json};

use crate::sizing::Traces;

/// The processor's configuration. A trace is kept if one of its policies keeps it.
pub(crate) fn sampling(tail: &TailSampling, traces: &Traces) -> Json {
    let mut policies = Vec::new();
    if tail.errors {
        policies.push(json!({
            "name": "failed",
            "type": "status_code",
            "status_code": {"status_codes": ["ERROR"]},
        }));
    }
    // What an SDK kept because it failed was recorded beside all sampling: it is not sampled here either (docs/sampling.md).
    policies.push(json!({
        "name": "kept-failed",
        "type": "string_attribute",
        "string_attribute": {"key": "floe.sampling.kept", "values": ["failed"]},
    }));
    if tail.slow > 0 {
        policies.push(json!({
            "name": "slow",
            "type": "latency",
            "latency": {"threshold_ms": tail.slow},
        }));
    }
    if tail.ratio > 0.0 {
        policies.push(json!({
            "name": "others",
            "type": "probabilistic",
            "probabilistic": {"sampling_percentage": percentage(tail.ratio)},
        }));
    }
    json!({
        "decision_wait": format!("{}s", tail.wait),
        "num_traces": traces.number,
        "expected_new_traces_per_sec": traces.new,
        // A pipeline's trace goes on for long after it was judged: what comes late of a kept one is kept. Of another nothing is remembered, so that a failure that
        // comes late is judged by itself.
        "decision_cache": {"sampled_cache_size": traces.kept},
        "policies": policies,
    })
}

/// A share as a percentage, without what binary fractions add to it.
fn percentage(ratio: f64) -> f64 {
    (ratio * 1e8).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_those_of_the_share() {
        for (ratio, percent) in [
            (0.1, 10.0),
            (0.07, 7.0),
            (0.29, 29.0),
            (1.0, 100.0),
            (0.00001, 0.001),
        ] {
            assert_eq!(percentage(ratio), percent);
        }
    }
}
