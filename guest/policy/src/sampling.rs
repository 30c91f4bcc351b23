//! Sampling: intents by rule, decisions beside a parent, and the pace at which traces start.

use crate::attribute::attribute;
use crate::bindings::exports::floe::telemetry::configuration::{Buffer, Rule as RuleAttributes, Sampler};
use crate::bindings::exports::floe::telemetry::sampling::{Decision, Pacing, ParentMode, SamplingIntent};
use crate::bindings::exports::floe::telemetry::types::{KeyValue, SpanKind};
use crate::manifest::Mode;
use crate::otel_trace_state;
use crate::pattern::Pattern;
use crate::probability::{self, threshold, to_th};
use crate::tracestate::TraceState;

/// How traces are sampled. The default keeps nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Where floe runs.
    pub mode: Mode,
    /// Where no rule matches.
    pub share: Share,
    /// The first that matches decides.
    pub rules: Vec<Rule>,
    /// Most traces that a process starts in a second; 0 where there is no limit.
    pub limit: f64,
    /// Most spans that wait for a failure; 0 where failed operations are not kept.
    pub failed_spans: u32,
    /// Longest wait of those spans, in seconds.
    pub failed_seconds: u32,
}

/// Which traces are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// With which probability.
    pub ratios: Ratios,
    /// What the parent means.
    pub parent: ParentMode,
}

/// Probability of keeping a new trace, by mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratios {
    /// In dev.
    pub dev: f64,
    /// In staging.
    pub staging: f64,
    /// In prod.
    pub prod: f64,
}

impl Ratios {
    /// The same in every mode.
    pub fn all(ratio: f64) -> Self {
        Self {
            dev: ratio,
            staging: ratio,
            prod: ratio,
        }
    }

    fn of(&self, mode: Mode) -> f64 {
        match mode {
            Mode::Dev => self.dev,
            Mode::Staging => self.staging,
            Mode::Prod => self.prod,
        }
    }
}

/// A rule of the manifest. All that it names must match.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Span name.
    pub name: Option<Pattern>,
    /// Name of the instrumentation scope.
    pub scope: Option<Pattern>,
    /// Span kind.
    pub kind: Option<SpanKind>,
    /// Span attributes: each one's value, or `None` where any value will do.
    pub attributes: Vec<(String, Option<serde_json::Value>)>,
    /// What is kept.
    pub share: Share,
    /// Attributes that the spans get.
    pub adds: Vec<KeyValue>,
}

/// Value of `floe.sampling.kept`.
const KEPT_FAILED: &str = "failed";

impl Default for Sampling {
    fn default() -> Self {
        Self {
            mode: Mode::Dev,
            share: Share {
                ratios: Ratios::all(0.0),
                parent: ParentMode::Follow,
            },
            rules: Vec::new(),
            limit: 0.0,
            failed_spans: 2_048,
            failed_seconds: 3_600,
        }
    }
}

impl Sampling {
    /// The intent of the first rule that matches.
    pub fn intent(&self, scope: &str, name: &str, kind: SpanKind, attributes: &[KeyValue]) -> SamplingIntent {
        let matching = self
            .rules
            .iter()
            .enumerate()
            .find(|(_, rule)| rule.matches(scope, name, kind, attributes));
        let (rule, share) = match matching {
            Some((at, rule)) => (at as u32 + 1, rule.share),
            None => (0, self.share),
        };
        let threshold = threshold(share.ratios.of(self.mode));
        SamplingIntent {
            threshold,
            parent: share.parent,
            rule,
            tracestate: of_root(threshold),
        }
    }

    /// What a host's sampler needs beside intents.
    pub fn plan(&self) -> Sampler {
        let mut dependencies: Vec<String> = Vec::new();
        for (key, _) in self.rules.iter().flat_map(|rule| &rule.attributes) {
            if !dependencies.contains(key) {
                dependencies.push(key.clone());
            }
        }
        let nothing = RuleAttributes {
            attributes: Vec::new(),
        };
        let of_rules = self.rules.iter().map(|rule| RuleAttributes {
            attributes: rule.adds.clone(),
        });
        Sampler {
            tracestate: of_root(threshold(self.share.ratios.of(self.mode))),
            named: self
                .rules
                .iter()
                .any(|rule| rule.name.is_some() || rule.kind.is_some()),
            scoped: self.rules.iter().any(|rule| rule.scope.is_some()),
            dependencies,
            rules: std::iter::once(nothing).chain(of_rules).collect(),
            limit: self.limit,
            failed: Buffer {
                spans: self.failed_spans,
                seconds: self.failed_seconds,
                attributes: vec![attribute(crate::attribute::SAMPLING_KEPT, KEPT_FAILED)],
            },
        }
    }
}

impl Rule {
    fn matches(&self, scope: &str, name: &str, kind: SpanKind, attributes: &[KeyValue]) -> bool {
        let has = |(key, wanted): &(String, Option<serde_json::Value>)| {
            let found = attributes.iter().find(|found| found.key == *key);
            match (found, wanted) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(found), Some(wanted)) => {
                    serde_json::from_str(&found.value).is_ok_and(|found: serde_json::Value| found == *wanted)
                }
            }
        };
        self.name.as_ref().is_none_or(|pattern| pattern.matches(name))
            && self.scope.as_ref().is_none_or(|pattern| pattern.matches(scope))
            && self.kind.is_none_or(|wanted| wanted == kind)
            && self.attributes.iter().all(has)
    }
}

/// The `tracestate` of a kept root; empty where none is kept.
fn of_root(threshold: u64) -> String {
    if threshold >= probability::NONE {
        return String::new();
    }
    format!("{}=th:{}", otel_trace_state::KEY, to_th(threshold))
}

/// Decides a span against its parent's `tracestate`, which is dropped if it is none.
pub fn decide(low: u64, tracestate: &str, threshold: u64) -> Decision {
    let state = TraceState::parse(tracestate).unwrap_or_default();
    // An `ot` that is none says nothing, and ours takes its place.
    let before = state.otel().unwrap_or_default();
    let mut after = before.clone().unwrap_or_default();
    let keep = after.randomness(low) >= threshold;
    after.threshold = keep.then_some(threshold);
    let tracestate = if before.as_ref() == Some(&after) {
        state.format()
    } else {
        state.format_with_otel(&after.format())
    };
    Decision { keep, tracestate }
}

/// How much of the newest window the smoothed rate takes over.
const NEWEST: f64 = 0.5;

/// The pace for the next window: as long as a whole number of traces takes, about a second or longer.
pub fn pace(limit: f64, rate: f64, offered: u64, seconds: f64) -> Pacing {
    if !limit.is_finite() || limit <= 0.0 {
        return Pacing {
            rate,
            threshold: 0,
            tracestate: of_root(0),
            budget: u32::MAX,
            seconds: 1.0,
        };
    }
    let measured = offered as f64 / seconds;
    let rate = match (rate >= 0.0, measured.is_finite()) {
        (_, false) => rate,
        (false, true) => measured,
        (true, true) => rate + NEWEST * (measured - rate),
    };
    let threshold = if rate > limit { threshold(limit / rate) } else { 0 };
    let budget = limit.ceil();
    Pacing {
        rate,
        threshold,
        tracestate: of_root(threshold),
        budget: budget as u32,
        seconds: budget / limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probability::{NONE, RANDOMNESS};

    #[test]
    fn a_burst_is_bounded_at_once_and_its_rate_is_learnt() {
        let first = pace(100.0, -1.0, 0, 0.0);
        assert_eq!((first.threshold, first.budget, first.seconds), (0, 100, 1.0));
        let second = pace(100.0, first.rate, 1_000, 1.0);
        assert_eq!((second.rate, second.threshold), (1_000.0, threshold(0.1)));
        let third = pace(100.0, second.rate, 0, 1.0);
        assert_eq!((third.rate, third.threshold), (500.0, threshold(0.2)));
    }

    #[test]
    fn no_whole_number_a_second() {
        let pacing = pace(2.5, -1.0, 0, 0.0);
        assert_eq!((pacing.budget, pacing.seconds), (3, 1.2));
    }

    #[test]
    fn less_than_a_trace_a_second() {
        let pacing = pace(0.1, -1.0, 0, 0.0);
        assert_eq!((pacing.budget, pacing.seconds), (1, 10.0));
    }

    proptest::proptest! {
        #[test]
        fn a_child_at_a_lower_ratio_is_consistent_with_its_parent(low: u64, parent in 0.0_f64..=1.0, child in 0.0_f64..=1.0, rv in proptest::option::of("ot=rv:[0-9a-f]{14}")) {
            let state = rv.unwrap_or_default();
            let kept = |ratio: f64| decide(low, &state, threshold(ratio));
            let (lower, higher) = (parent.min(child), parent.max(child));
            proptest::prop_assert!(!kept(lower).keep || kept(higher).keep);
        }

        #[test]
        fn a_decision_says_its_threshold(low: u64, threshold in 0..=NONE, state in "([a-z]=[a-z]{1,3},){0,4}(ot=(th:[0-9a-f]{1,14};)?rv:[0-9a-f]{14}(;x:y)?)?") {
            let decision = decide(low, &state, threshold);
            let parsed = TraceState::parse(&decision.tracestate).unwrap();
            let otel = parsed.otel().unwrap().unwrap_or_default();
            proptest::prop_assert_eq!(otel.threshold, decision.keep.then_some(threshold));
            proptest::prop_assert_eq!(decision.keep, otel.randomness(low) >= threshold);
            // Deciding again changes nothing.
            proptest::prop_assert_eq!(&decide(low, &decision.tracestate, threshold), &decision);
        }

        #[test]
        fn the_kept_fraction_is_the_ratio(seed: u64, ratio in 0.01_f64..0.99) {
            // SplitMix64: 10,000 trace ids.
            let kept = (0..10_000_u64).filter(|n| {
                let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (z ^ (z >> 31)) & RANDOMNESS >= threshold(ratio)
            }).count() as f64;
            let deviation = (10_000.0 * ratio * (1.0 - ratio)).sqrt();
            proptest::prop_assert!((kept - 10_000.0 * ratio).abs() < 5.0 * deviation);
        }
    }
}
