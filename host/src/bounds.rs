//! Bounds of what a policy answers: a host uses no number, and no list, that it has not bounded itself.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::bindings::exports::floe::telemetry::configuration::{Batch, Exporter, Instrument, Plan};

/// Items of a queue.
const ITEMS: RangeInclusive<u32> = 1..=100_000;
/// Times in milliseconds.
const MILLISECONDS: RangeInclusive<u32> = 1..=3_600_000;
/// Times in seconds.
const SECONDS: u32 = 30 * 86_400;
/// Members of a list.
const MOST: usize = 4096;
/// Characters of an instrument's name (OpenTelemetry specification, "Instrument name syntax").
const LONGEST_NAME: usize = 255;

/// A plan within bounds. One of our own policy is within them already.
pub(crate) fn bounded(mut plan: Plan) -> Plan {
    for batch in [&mut plan.batches.spans, &mut plan.batches.logs] {
        *batch = self::batch(*batch);
    }
    let exporters = &mut plan.exporters;
    for exporter in [&mut exporters.traces, &mut exporters.metrics, &mut exporters.logs]
        .into_iter()
        .flatten()
    {
        self::exporter(exporter);
    }
    plan.interval = within(plan.interval, &MILLISECONDS);
    plan.shutdown = plan.shutdown.min(*MILLISECONDS.end());
    plan.operations.heartbeat = plan.operations.heartbeat.clamp(1, SECONDS);
    plan.operations.abandoned = plan.operations.abandoned.min(SECONDS);
    let sampler = &mut plan.sampler;
    sampler.failed.spans = sampler.failed.spans.min(*ITEMS.end());
    sampler.failed.seconds = sampler.failed.seconds.min(SECONDS);
    sampler.failed.attributes.truncate(MOST);
    sampler.dependencies.truncate(MOST);
    sampler.rules.truncate(MOST);
    for rule in &mut sampler.rules {
        rule.attributes.truncate(MOST);
    }
    plan.cardinality = within(plan.cardinality, &ITEMS);
    plan.resource.truncate(MOST);
    plan.attributes.truncate(MOST);
    plan.baggage.truncate(MOST);
    plan.warnings.truncate(MOST);
    plan.logging.levels.truncate(MOST);
    plan.instruments.truncate(MOST);
    let mut names = HashSet::new();
    plan.instruments.retain(|instrument| {
        let name = instrument.name.to_ascii_lowercase();
        (1..=LONGEST_NAME).contains(&name.len()) && names.insert(name)
    });
    plan.instruments.iter_mut().for_each(instrument);
    plan
}

fn within(number: u32, range: &RangeInclusive<u32>) -> u32 {
    number.clamp(*range.start(), *range.end())
}

fn batch(batch: Batch) -> Batch {
    let queue = within(batch.queue, &ITEMS);
    Batch {
        queue,
        size: batch.size.clamp(1, queue),
        delay: within(batch.delay, &MILLISECONDS),
    }
}

fn exporter(exporter: &mut Exporter) {
    exporter.timeout = within(exporter.timeout, &MILLISECONDS);
    exporter.headers.truncate(MOST);
}

/// Boundaries are finite and ascend.
pub(crate) fn instrument(instrument: &mut Instrument) {
    let boundaries = &mut instrument.boundaries;
    boundaries.truncate(MOST);
    boundaries.retain(|boundary| boundary.is_finite());
    boundaries.sort_by(f64::total_cmp);
    boundaries.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::exports::floe::telemetry::configuration::{InstrumentKind, LoggerLevel};
    use crate::component::Component;
    use crate::manifest::Manifest;
    use crate::policy::Policy;

    fn plan() -> Option<Plan> {
        let text = "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}";
        let manifest = Manifest::new("manifest", text).with_variables(|_| None);
        let component = Component::built_in().ok()?;
        Policy::configure(component, &manifest).ok().map(|(_, plan)| plan)
    }

    #[test]
    fn ours_is_within_bounds() {
        let plan = plan();
        assert!(plan.is_some());
        assert_eq!(plan.clone().map(bounded), plan);
    }

    #[test]
    fn whatever_stands_in_a_plan_is_bounded() {
        for number in [0, u32::MAX] {
            let Some(mut plan) = plan() else { panic!("no plan") };
            let batch = Batch {
                queue: number,
                size: number,
                delay: number,
            };
            (plan.batches.spans, plan.batches.logs) = (batch, batch);
            (plan.interval, plan.shutdown, plan.cardinality) = (number, number, number);
            (plan.operations.heartbeat, plan.operations.abandoned) = (number, number);
            (plan.sampler.failed.spans, plan.sampler.failed.seconds) = (number, number);
            let level = LoggerLevel {
                name: String::new(),
                level: "LOUD".to_owned(),
            };
            plan.logging.levels = vec![level; MOST + 1];
            let strange = |name: &str| Instrument {
                name: name.to_owned(),
                kind: InstrumentKind::Histogram,
                unit: "s".repeat(1000),
                description: String::new(),
                boundaries: vec![3.0, f64::NAN, 1.0, f64::INFINITY, 3.0, f64::NEG_INFINITY],
            };
            plan.instruments = ["", "a", "A", &"b".repeat(256)].map(strange).to_vec();
            let plan = bounded(plan);
            for batch in [plan.batches.spans, plan.batches.logs] {
                assert!(ITEMS.contains(&batch.queue) && (1..=batch.queue).contains(&batch.size));
                assert!(MILLISECONDS.contains(&batch.delay));
            }
            assert!(MILLISECONDS.contains(&plan.interval) && plan.shutdown <= *MILLISECONDS.end());
            assert!((1..=SECONDS).contains(&plan.operations.heartbeat) && ITEMS.contains(&plan.cardinality));
            assert!(plan.operations.abandoned <= SECONDS && plan.sampler.failed.spans <= *ITEMS.end());
            assert_eq!(plan.logging.levels.len(), MOST);
            let names: Vec<_> = plan.instruments.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(names, ["a"]);
            assert_eq!(
                plan.instruments.first().map(|one| one.boundaries.as_slice()),
                Some([1.0, 3.0].as_slice())
            );
        }
    }
}
