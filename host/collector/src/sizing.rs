//! How large a Collector must be for a load. docs/collector.md has the same rule in words, with an example worked out.

use floe_telemetry::bindings::exports::floe::telemetry::collector::{Load, TailSampling};
use floe_telemetry::bindings::exports::floe::telemetry::types::Signal;

use crate::configuration::Topology;

/// Items a second that one core takes in, checks, queues and sends.
const ITEMS_A_CORE: u64 = 10_000;
/// Items a second of one member of the gateway tier: two cores.
const ITEMS_A_MEMBER: u64 = 2 * ITEMS_A_CORE;
/// Spans of a trace, for what is kept a trace.
const SPANS_A_TRACE: u64 = 10;
/// Traces that are remembered at least.
const LEAST_TRACES: u64 = 1_000;
/// Items of one request: at 1 KiB an item half of the 4 MiB that a gRPC server takes by default.
const LARGEST_BATCH: u64 = 2_048;
const SMALLEST_BATCH: u64 = 256;
/// Items that a queue holds at least.
const LEAST_QUEUE: u64 = 10_000;
/// MiB that a Collector needs with nothing in it, and for what is on its way.
const BASE_MIB: u64 = 192;
/// An item in memory takes so many times what it takes on the wire.
const IN_MEMORY: u64 = 2;
/// A file of a queue does not shrink, and has free pages: so many times what is in it.
const ON_DISK: u64 = 2;
const MIB: u64 = 1024 * 1024;

/// Bytes of an item as OTLP, before compression.
fn bytes(signal: Signal) -> u64 {
    match signal {
        Signal::Traces => 1024,
        Signal::Logs => 512,
        Signal::Metrics => 256,
    }
}

/// What one Collector of a tier is sized for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Collectors of the tier.
    pub replicas: u64,
    /// Items a second of each signal, of one Collector.
    spans: u64,
    logs: u64,
    points: u64,
    /// Seconds that its queues last.
    outage: u64,
    /// What tail sampling remembers, if there is any.
    pub traces: Option<Traces>,
    /// MiB of memory that the process may have in all.
    pub memory: u64,
    /// MiB on disk for its queues; 0 if they are in memory.
    pub disk: u64,
    /// Thousandths of a core.
    pub cpu: u64,
}

/// What tail sampling remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traces {
    /// Traces that wait or were decided.
    pub number: u64,
    /// New traces a second.
    pub new: u64,
    /// Kept traces whose decision outlives them.
    pub kept: u64,
}

impl Sizes {
    /// The sizes for a load. `queues` has a signal for every queue: one an exporter and signal.
    pub(crate) fn new(
        load: &Load,
        topology: Topology,
        tail: Option<&TailSampling>,
        queues: &[Signal],
        on_disk: bool,
    ) -> Self {
        let all = u64::from(load.spans) + u64::from(load.logs) + u64::from(load.points);
        // An agent has the load of its machine. Of the gateway tier one member may be away, and the others carry all.
        let (replicas, carrying) = match topology {
            Topology::Agent => (1, 1),
            Topology::Gateway => {
                let carrying = all.div_ceil(ITEMS_A_MEMBER).max(1);
                (carrying + 1, carrying)
            }
        };
        let share = |rate: u32| u64::from(rate).div_ceil(carrying);
        let mut sizes = Self {
            replicas,
            spans: share(load.spans),
            logs: share(load.logs),
            points: share(load.points),
            outage: u64::from(load.outage),
            traces: None,
            memory: 0,
            disk: 0,
            cpu: (all.div_ceil(carrying) * 1000).div_ceil(ITEMS_A_CORE).max(100),
        };
        let queued: u64 = queues
            .iter()
            .map(|signal| sizes.queue(*signal) * bytes(*signal))
            .fold(0, u64::saturating_add);
        let mut memory = BASE_MIB * MIB;
        match on_disk {
            true => {
                sizes.disk = (queued.saturating_mul(ON_DISK))
                    .div_ceil(MIB)
                    .next_multiple_of(256)
            }
            false => memory = memory.saturating_add(queued.saturating_mul(IN_MEMORY)),
        }
        if let Some(tail) = tail {
            let new = sizes.spans.div_ceil(SPANS_A_TRACE).max(1);
            // Twice what waits: a trace that was decided stays so long that its late spans follow it.
            let number = (2 * new * u64::from(tail.wait)).max(LEAST_TRACES);
            sizes.traces = Some(Traces {
                number,
                new,
                kept: 4 * number,
            });
            memory = memory.saturating_add(number * SPANS_A_TRACE * bytes(Signal::Traces) * IN_MEMORY);
        }
        // memory_limiter refuses at four fifths of it.
        sizes.memory = (memory / 4 * 5).div_ceil(MIB).next_multiple_of(64);
        sizes
    }

    /// Items that a queue of a signal holds: what comes in an outage, and a quarter more.
    pub(crate) fn queue(&self, signal: Signal) -> u64 {
        let rate = match signal {
            Signal::Traces => self.spans,
            Signal::Metrics => self.points,
            Signal::Logs => self.logs,
        };
        (rate * self.outage * 5).div_ceil(4).max(LEAST_QUEUE)
    }

    /// Most items of one request: what comes in a second, within bounds.
    pub(crate) fn batch(&self) -> u64 {
        self.spans
            .max(self.logs)
            .max(self.points)
            .clamp(SMALLEST_BATCH, LARGEST_BATCH)
    }

    /// MiB above which `memory_limiter` refuses what comes in.
    pub(crate) fn limit(&self) -> u64 {
        self.memory * 4 / 5
    }

    /// The sizes as lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "{}, {} and {} a second each, {} s without a backend",
                counted(self.spans, "span"),
                counted(self.logs, "log record"),
                counted(self.points, "metric point"),
                self.outage
            ),
            format!(
                "{} {}, {} MiB of memory{}",
                thousandths(self.cpu),
                match self.cpu {
                    ..1000 => "of a core",
                    1000 => "core",
                    _ => "cores",
                },
                self.memory,
                match self.disk {
                    0 => String::new(),
                    disk => format!(", {disk} MiB of disk for queues"),
                }
            ),
        ];
        if self.replicas > 1 {
            lines.push(format!("{} Collectors, one of which may be away", self.replicas));
        }
        lines
    }
}

/// A number of things, by the name of one.
fn counted(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

fn thousandths(number: u64) -> String {
    format!("{}.{:03}", number / 1000, number % 1000)
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(spans: u32, logs: u32, points: u32, outage: u32) -> Load {
        Load {
            spans,
            logs,
            points,
            outage,
        }
    }

    /// The example of docs/collector.md.
    #[test]
    fn the_documented_example() {
        let tail = TailSampling {
            wait: 30,
            errors: true,
            slow: 0,
            ratio: 0.1,
        };
        let queues = [Signal::Traces, Signal::Metrics, Signal::Logs];
        let load = load(20_000, 10_000, 5_000, 600);
        let sizes = Sizes::new(&load, Topology::Gateway, Some(&tail), &queues, true);
        // 35,000 items a second: two members of 20,000, and one that may be away.
        assert_eq!(sizes.replicas, 3);
        // 10,000 spans a second each: 10,000 * 600 * 5/4.
        assert_eq!(sizes.queue(Signal::Traces), 7_500_000);
        assert_eq!(sizes.queue(Signal::Metrics), 1_875_000);
        assert_eq!(sizes.queue(Signal::Logs), 3_750_000);
        // (7.5 M * 1024 + 1.875 M * 256 + 3.75 M * 512) * 2 bytes = 19,226 MiB.
        assert_eq!(sizes.disk, 19_456);
        assert_eq!(
            sizes.traces,
            Some(Traces {
                number: 60_000,
                new: 1_000,
                kept: 240_000
            })
        );
        // (192 MiB + 60,000 * 10 * 1024 * 2 bytes) * 5/4 = 1,704.9 MiB.
        assert_eq!(sizes.memory, 1_728);
        assert_eq!(sizes.cpu, 1_750);
        assert_eq!(sizes.batch(), 2_048);
        assert!(sizes.lines().iter().any(|line| line.starts_with("1.75 cores, ")));
    }

    #[test]
    fn small_and_large_loads() {
        let small = Sizes::new(&load(1, 1, 1, 1), Topology::Agent, None, &[Signal::Traces], false);
        assert_eq!((small.replicas, small.cpu, small.batch()), (1, 100, 256));
        assert_eq!(small.queue(Signal::Traces), 10_000);
        assert_eq!(small.memory, 320);
        assert_eq!(
            small.lines(),
            [
                "1 span, 1 log record and 1 metric point a second each, 1 s without a backend",
                "0.1 of a core, 320 MiB of memory"
            ]
        );
        let most = load(10_000_000, 10_000_000, 10_000_000, 86_400);
        for topology in [Topology::Agent, Topology::Gateway] {
            for on_disk in [false, true] {
                let large = Sizes::new(&most, topology, None, &[Signal::Traces; 64], on_disk);
                assert!(large.limit() < large.memory);
                // `limit_mib` is a number of 32 bits.
                assert!(topology == Topology::Agent || large.limit() < u64::from(u32::MAX));
            }
        }
    }

    #[test]
    fn more_load_is_never_smaller() {
        let mut before = 0;
        for spans in (0..2_000_000).step_by(9_999) {
            let sizes = Sizes::new(
                &load(spans, 0, 0, 60),
                Topology::Gateway,
                None,
                &[Signal::Traces],
                false,
            );
            let all = sizes.replicas * sizes.memory;
            assert!(
                sizes.memory >= 320 && all + 64 * sizes.replicas >= before,
                "{spans}"
            );
            before = all;
        }
    }
}
