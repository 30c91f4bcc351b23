//! `observability.telemetry.sampling`: ratios by mode, rules, a limit, and failed operations.

use std::ops::RangeInclusive;

use super::{ITEMS, Mode, scalar_attribute, set};
use crate::bindings::exports::floe::telemetry::sampling::ParentMode;
use crate::bindings::exports::floe::telemetry::types::SpanKind;
use crate::diagnostic::{self, shown};
use crate::fields::{Field, Findings, Section};
use crate::pattern::Pattern;
use crate::sampling::{Ratios, Rule, Sampling, Share};
use crate::yaml::Value;

/// Most rules: each span of a new name is compared with all of them.
const RULES: usize = 64;
/// Longest wait for a failure: a day.
const SECONDS: RangeInclusive<u32> = 1..=86_400;

/// What holds without a manifest's word: floe's ratios.
pub(super) fn defaults() -> Sampling {
    Sampling {
        share: Share {
            ratios: Ratios {
                dev: 1.0,
                staging: 0.5,
                prod: 0.1,
            },
            parent: ParentMode::Follow,
        },
        ..Sampling::default()
    }
}

/// Reads the section.
pub(super) fn read(sampling: &mut Sampling, field: &Field<'_>, findings: &mut Findings) {
    const KEYS: [&str; 6] = [
        "dev",
        "staging",
        "prod",
        "rules",
        "max_traces_per_second",
        "keep_failed",
    ];
    let Some(section) = field.section(&KEYS, findings) else {
        return;
    };
    by_mode(&mut sampling.share.ratios, &section, findings);
    if let Some(field) = section.get("max_traces_per_second") {
        set(&mut sampling.limit, field.rate(findings));
    }
    if let Some(field) = section.get("keep_failed") {
        keep_failed(sampling, &field, findings);
    }
    if let Some(rules) = section.get("rules") {
        let rules = rules.list(RULES, findings);
        let share = sampling.share;
        sampling.rules = rules
            .iter()
            .filter_map(|field| rule(field, share, findings))
            .collect();
    }
}

fn by_mode(ratios: &mut Ratios, section: &Section<'_>, findings: &mut Findings) {
    for (name, ratio) in [
        ("dev", &mut ratios.dev),
        ("staging", &mut ratios.staging),
        ("prod", &mut ratios.prod),
    ] {
        set(ratio, section.get(name).and_then(|field| field.ratio(findings)));
    }
}

/// `true`, `false`, or a mapping with bounds.
fn keep_failed(sampling: &mut Sampling, field: &Field<'_>, findings: &mut Findings) {
    if let Value::Boolean(keep) = field.value() {
        if !keep {
            sampling.failed_spans = 0;
        }
        return;
    }
    let Some(section) = field.section(&["enabled", "max_spans", "max_seconds"], findings) else {
        return;
    };
    if let Some(field) = section.get("max_spans") {
        set(&mut sampling.failed_spans, field.integer(ITEMS, findings));
    }
    if let Some(field) = section.get("max_seconds") {
        set(&mut sampling.failed_seconds, field.integer(SECONDS, findings));
    }
    if section.get("enabled").and_then(|field| field.boolean(findings)) == Some(false) {
        sampling.failed_spans = 0;
    }
}

/// A rule. A mode that it does not name has the share of the rest.
fn rule(field: &Field<'_>, share: Share, findings: &mut Findings) -> Option<Rule> {
    let section = field.section(&["match", "ratio", "parent", "attributes"], findings)?;
    let mut rule = Rule {
        name: None,
        scope: None,
        kind: None,
        attributes: Vec::new(),
        share,
        adds: Vec::new(),
    };
    if let Some(conditions) = section
        .get("match")
        .and_then(|field| field.section(&["name", "scope", "kind", "attributes"], findings))
    {
        matching(&mut rule, &conditions, findings);
    }
    match section.get("ratio") {
        Some(ratio) if matches!(ratio.value(), Value::Mapping(_)) => {
            let modes = ratio.section(&Mode::WORDS, findings)?;
            if modes.fields().next().is_none() {
                findings.push(ratio.place().error(
                    diagnostic::MISSING_VALUE,
                    "the ratio names no mode",
                    "write one for dev, staging or prod",
                ));
            }
            by_mode(&mut rule.share.ratios, &modes, findings);
        }
        Some(ratio) => rule.share.ratios = Ratios::all(ratio.ratio(findings)?),
        None => {
            findings.push(field.place().error(
                diagnostic::MISSING_VALUE,
                "the rule has no `ratio`",
                "write `ratio: 0` to keep none, `ratio: 1` to keep all, or one for each of dev, staging and prod",
            ));
            return None;
        }
    }
    if section
        .get("parent")
        .and_then(|field| field.word(&["follow", "ignore"], findings))
        == Some("ignore")
    {
        rule.share.parent = ParentMode::Ignore;
    }
    if let Some(adds) = section
        .get("attributes")
        .and_then(|field| field.mapping(findings))
    {
        for (key, field) in adds.fields() {
            if key.name.is_empty() || key.name.starts_with("floe.") {
                findings.push(field.place().error(
                    diagnostic::WRONG_VALUE,
                    format!("a rule cannot set {}", shown(&key.name)),
                    "choose another name: floe.* say whose telemetry it is and what it is of",
                ));
                continue;
            }
            rule.adds.extend(scalar_attribute(key, &field, findings));
        }
    }
    Some(rule)
}

fn matching(rule: &mut Rule, conditions: &Section<'_>, findings: &mut Findings) {
    let pattern = |key: &str, findings: &mut Findings| {
        let field = conditions.get(key)?;
        field.name(findings).map(Pattern::new)
    };
    rule.name = pattern("name", findings);
    rule.scope = pattern("scope", findings);
    if let Some(field) = conditions.get("kind") {
        const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];
        rule.kind = match field.word(&KINDS, findings) {
            Some("internal") => Some(SpanKind::Internal),
            Some("server") => Some(SpanKind::Server),
            Some("client") => Some(SpanKind::Client),
            Some("producer") => Some(SpanKind::Producer),
            Some("consumer") => Some(SpanKind::Consumer),
            _ => None,
        };
    }
    if let Some(attributes) = conditions
        .get("attributes")
        .and_then(|field| field.mapping(findings))
    {
        for (key, field) in attributes.fields() {
            if let Value::Text(text) = field.value()
                && text == "*"
            {
                rule.attributes.push((key.name.clone(), None));
            } else if let Some(found) = scalar_attribute(key, &field, findings)
                && let Ok(value) = serde_json::from_str(&found.value)
            {
                rule.attributes.push((found.key, Some(value)));
            } else if matches!(field.value(), Value::Null) {
                findings.push(field.place().error(
                    diagnostic::MISSING_VALUE,
                    format!("{} has no value to compare with", shown(&key.name)),
                    "write a value, or \"*\" for any",
                ));
            }
        }
    }
}
