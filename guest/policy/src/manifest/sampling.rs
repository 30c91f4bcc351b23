//! `sampling`: ratios by mode, rules, a limit, and failed operations.

use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::{ITEMS, Mode};
use crate::bindings::exports::floe::telemetry::sampling::ParentMode;
use crate::bindings::exports::floe::telemetry::types::{KeyValue, SpanKind};
use crate::diagnostic::{self, Place};
use crate::fields::{Field, Findings};
use crate::kinds::{Attribute, Boolean, Choice, Integer, Name, Rate, Ratio};
use crate::pattern::Pattern;
use crate::sampling::{Ratios, Rule, Sampling, Share};
use crate::schema::nullable;
use crate::settings::{Kind, Names, Settings, Visitor};
use crate::yaml::Value;

/// Most rules: each span of a new name is compared with all of them.
const RULES: usize = 64;
/// Longest wait for a failure: a day.
const SECONDS: RangeInclusive<u32> = 1..=86_400;
const PARENTS: &[(&str, ParentMode)] = &[("follow", ParentMode::Follow), ("ignore", ParentMode::Ignore)];

/// The section, with floe's defaults.
#[derive(Debug, Clone)]
pub struct SamplingSettings {
    ratios: Ratios,
    rules: Vec<RuleSettings>,
    parent: ParentMode,
    limit: f64,
    failed: KeepFailed,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self {
            ratios: Ratios {
                dev: 1.0,
                staging: 0.5,
                prod: 0.1,
            },
            rules: Vec::new(),
            parent: ParentMode::Follow,
            limit: 0.0,
            failed: KeepFailed::default(),
        }
    }
}

impl Settings for SamplingSettings {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "dev",
            "Probability of keeping a new trace in dev.",
            Ratio,
            &mut self.ratios.dev,
        );
        visitor.setting(
            "staging",
            "Probability of keeping a new trace in staging.",
            Ratio,
            &mut self.ratios.staging,
        );
        visitor.setting(
            "prod",
            "Probability of keeping a new trace in prod.",
            Ratio,
            &mut self.ratios.prod,
        );
        visitor.setting(
            "parent",
            "Whether a parent's decision holds: `follow` or `ignore`.",
            Choice(PARENTS),
            &mut self.parent,
        );
        visitor.setting(
            "max_traces_per_second",
            "Most traces that a process starts in a second; without it there is no limit.",
            Rate,
            &mut self.limit,
        );
        visitor.setting("keep_failed", "Whether failed operations of traces that are not kept go out all the same: true, false, or bounds.", KeepFailedKind, &mut self.failed);
        visitor.list(
            "rules",
            "Rules, of which the first that matches a span decides.",
            RULES,
            &mut self.rules,
        );
    }
}

impl SamplingSettings {
    /// How traces are sampled in a mode.
    pub fn sampling(&self, mode: Mode) -> Sampling {
        let share = Share {
            ratios: self.ratios,
            parent: self.parent,
        };
        Sampling {
            mode,
            share,
            rules: self.rules.iter().map(|rule| rule.rule(share)).collect(),
            limit: self.limit,
            failed_spans: if self.failed.enabled { self.failed.spans } else { 0 },
            failed_seconds: self.failed.seconds,
        }
    }
}

/// `keep_failed`.
#[derive(Debug, Clone, Copy)]
struct KeepFailed {
    enabled: bool,
    spans: u32,
    seconds: u32,
}

impl Default for KeepFailed {
    fn default() -> Self {
        let Sampling {
            failed_spans,
            failed_seconds,
            ..
        } = Sampling::default();
        Self {
            enabled: true,
            spans: failed_spans,
            seconds: failed_seconds,
        }
    }
}

/// A boolean, or a mapping with bounds.
struct KeepFailedKind;

impl Kind for KeepFailedKind {
    type Value = KeepFailed;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<KeepFailed> {
        let mut keep = KeepFailed::default();
        if let Value::Boolean(enabled) = field.value() {
            return Some(KeepFailed {
                enabled: *enabled,
                ..keep
            });
        }
        if field.entries().is_none() {
            field.wrong_type(
                "true, false, or a mapping with keys of enabled, max_spans, max_seconds",
                findings,
            );
            return None;
        }
        let section = field.section(&["enabled", "max_spans", "max_seconds"], findings)?;
        if let Some(spans) = section.get("max_spans") {
            keep.spans = spans.integer(ITEMS, findings)?;
        }
        if let Some(seconds) = section.get("max_seconds") {
            keep.seconds = seconds.integer(SECONDS, findings)?;
        }
        if let Some(enabled) = section.get("enabled") {
            keep.enabled = enabled.boolean(findings)?;
        }
        Some(keep)
    }

    fn json(&self, value: &KeepFailed) -> Json {
        json!({"enabled": value.enabled, "max_spans": value.spans, "max_seconds": value.seconds})
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [{"type": "boolean"}, {"type": "object", "additionalProperties": false, "properties": {
            "enabled": nullable(Boolean.schema()),
            "max_spans": nullable(Integer(ITEMS).schema()),
            "max_seconds": nullable(Integer(SECONDS).schema()),
        }}]})
    }
}

/// One of `rules`.
#[derive(Debug, Default, Clone)]
struct RuleSettings {
    matching: Match,
    ratio: Option<RuleRatio>,
    parent: Option<ParentMode>,
    attributes: Attributes,
}

impl Settings for RuleSettings {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.section(
            "match",
            "What a span must be like; a rule without conditions matches all.",
            &mut self.matching,
        );
        visitor.maybe(
            "ratio",
            "Probability of keeping a trace: a number, or one for each mode.",
            RatioKind,
            &mut self.ratio,
        );
        visitor.maybe(
            "parent",
            "Whether a parent's decision holds: `follow` or `ignore`; by default as for the other spans.",
            Choice(PARENTS),
            &mut self.parent,
        );
        visitor.section(
            "attributes",
            "Attributes that the spans get.",
            &mut self.attributes,
        );
    }

    fn check(&self, place: &Place, findings: &mut Findings) {
        if self.ratio.is_none() && !place.is_refused("ratio", findings) {
            findings.push(place.error(
                diagnostic::MISSING_VALUE,
                "the rule has no `ratio`",
                "write `ratio: 0` to keep none, `ratio: 1` to keep all, or one for each of dev, staging and prod",
            ));
        }
    }
}

impl RuleSettings {
    /// A mode that the rule does not name has the share of the rest.
    fn rule(&self, share: Share) -> Rule {
        let ratios = match self.ratio {
            None => share.ratios,
            Some(RuleRatio { dev, staging, prod }) => Ratios {
                dev: dev.unwrap_or(share.ratios.dev),
                staging: staging.unwrap_or(share.ratios.staging),
                prod: prod.unwrap_or(share.ratios.prod),
            },
        };
        let pattern = |text: &Option<String>| text.as_deref().map(Pattern::new);
        Rule {
            name: pattern(&self.matching.name),
            scope: pattern(&self.matching.scope),
            kind: self.matching.kind,
            attributes: self.matching.attributes.0.clone(),
            share: Share {
                ratios,
                parent: self.parent.unwrap_or(share.parent),
            },
            adds: self
                .attributes
                .0
                .iter()
                .map(|(key, value)| KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
        }
    }
}

/// `ratio` of a rule.
#[derive(Debug, Default, Clone, Copy)]
struct RuleRatio {
    dev: Option<f64>,
    staging: Option<f64>,
    prod: Option<f64>,
}

/// A number, or a mapping of modes.
struct RatioKind;

impl Kind for RatioKind {
    type Value = RuleRatio;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<RuleRatio> {
        if !matches!(field.value(), Value::Mapping(_)) {
            let ratio = field.ratio(findings)?;
            return Some(RuleRatio {
                dev: Some(ratio),
                staging: Some(ratio),
                prod: Some(ratio),
            });
        }
        let modes = field.section(&Mode::WORDS, findings)?;
        let mut ratio = |mode: &str| {
            modes
                .get(mode)
                .map(|field| field.ratio(findings))
                .map_or(Ok(None), |found| found.map(Some).ok_or(()))
        };
        let (dev, staging, prod) = (ratio("dev"), ratio("staging"), ratio("prod"));
        let (Ok(dev), Ok(staging), Ok(prod)) = (dev, staging, prod) else {
            return None;
        };
        if dev.or(staging).or(prod).is_none() {
            findings.push(field.place().error(
                diagnostic::MISSING_VALUE,
                "the ratio names no mode",
                "write one for dev, staging or prod",
            ));
            return None;
        }
        Some(RuleRatio { dev, staging, prod })
    }

    fn json(&self, value: &RuleRatio) -> Json {
        match value {
            RuleRatio {
                dev: Some(dev),
                staging: Some(staging),
                prod: Some(prod),
            } if dev == staging && staging == prod => json!(dev),
            RuleRatio { dev, staging, prod } => [("dev", dev), ("staging", staging), ("prod", prod)]
                .into_iter()
                .filter_map(|(mode, ratio)| ratio.map(|ratio| (mode.to_owned(), json!(ratio))))
                .collect(),
        }
    }

    fn schema(&self) -> Json {
        let modes: serde_json::Map<String, Json> = Mode::WORDS
            .iter()
            .map(|mode| ((*mode).to_owned(), nullable(Ratio.schema())))
            .collect();
        json!({"anyOf": [Ratio.schema(), {"type": "object", "additionalProperties": false, "minProperties": 1, "properties": modes}]})
    }
}

/// `match` of a rule.
#[derive(Debug, Default, Clone)]
struct Match {
    name: Option<String>,
    scope: Option<String>,
    kind: Option<SpanKind>,
    attributes: Conditions,
}

impl Settings for Match {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        const KINDS: &[(&str, SpanKind)] = &[
            ("internal", SpanKind::Internal),
            ("server", SpanKind::Server),
            ("client", SpanKind::Client),
            ("producer", SpanKind::Producer),
            ("consumer", SpanKind::Consumer),
        ];
        visitor.maybe(
            "name",
            "Span name; `*` stands for any text.",
            Name,
            &mut self.name,
        );
        visitor.maybe(
            "scope",
            "Name of the instrumentation scope; `*` stands for any text.",
            Name,
            &mut self.scope,
        );
        visitor.maybe("kind", "Span kind.", Choice(KINDS), &mut self.kind);
        visitor.section(
            "attributes",
            "Attributes that the span starts with: values, or `*` for any.",
            &mut self.attributes,
        );
    }
}

/// `attributes` of `match`: an absent value is any.
#[derive(Debug, Default, Clone)]
struct Conditions(Vec<(String, Option<Json>)>);

impl Settings for Conditions {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        let names = Names {
            allow: |name, _| !name.is_empty(),
            pattern: ".",
            help: "write the name of a span attribute",
        };
        let mut found = Vec::new();
        visitor.others(
            names,
            "The value that the attribute must have, or `*`.",
            Attribute,
            &mut found,
        );
        self.0 = found
            .into_iter()
            .filter_map(|(key, value)| match serde_json::from_str(&value) {
                Ok(Json::String(text)) if text == "*" => Some((key, None)),
                Ok(value) => Some((key, Some(value))),
                Err(_) => None,
            })
            .collect();
    }
}

/// `attributes` of a rule.
#[derive(Debug, Default, Clone)]
struct Attributes(Vec<(String, String)>);

impl Settings for Attributes {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        // floe.* say whose telemetry it is and what it is of.
        let names = Names {
            allow: |name, _| !name.is_empty() && !name.starts_with("floe."),
            pattern: "^(?!floe\\.).",
            help: "choose another name: floe.* say whose telemetry it is and what it is of",
        };
        visitor.others(names, "The value that the spans get.", Attribute, &mut self.0);
    }
}
