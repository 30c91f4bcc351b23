//! The pace at which this process starts traces, where the manifest limits it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::TraceState;

use crate::clock::Clock;
use crate::policy::Policy;
use crate::sampler::RANDOMNESS;
use crate::warning;

const SECOND: Duration = Duration::from_secs(1);
/// Shortest and longest time between two questions.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(60);

/// Counts traces that want to start, and asks the policy once in a while how many may.
pub(crate) struct Pacer {
    policy: Policy,
    limit: f64,
    clock: Arc<dyn Clock>,
    window: Mutex<Window>,
}

struct Window {
    since: Duration,
    until: Duration,
    rate: f64,
    threshold: u64,
    state: TraceState,
    budget: u32,
    offered: u64,
    kept: u32,
}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Pacer {
    pub(crate) fn new(policy: Policy, limit: f64, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self {
            policy,
            limit,
            window: Mutex::new(Window {
                since: now,
                until: now,
                rate: -1.0,
                threshold: 0,
                state: TraceState::NONE,
                budget: limit.max(1.0) as u32,
                offered: 0,
                kept: 0,
            }),
            clock,
        }
    }

    /// Whether a trace of this randomness, which its intent keeps from `threshold` on, may start, and its `tracestate` if the pace and not
    /// the intent says it.
    pub(crate) fn start(&self, randomness: u64, threshold: u64) -> Option<Option<TraceState>> {
        // What a rule never keeps does not want to start.
        if threshold > RANDOMNESS {
            return None;
        }
        let now = self.clock.now();
        let mut window = self.window();
        if now >= window.until {
            // The others go on by the old pace, at its end, while this one asks for a new one.
            let (rate, offered, seconds) = (window.rate, window.offered, (now - window.since).as_secs_f64());
            window.until = now + SECOND;
            (window.since, window.offered, window.kept) = (now, 0, 0);
            drop(window);
            let asked = self.policy.pace(self.limit, rate, offered, seconds);
            window = self.window();
            match &asked {
                Ok(pacing) => {
                    window.rate = pacing.rate;
                    window.threshold = pacing.threshold;
                    window.state = pacing.tracestate.parse().unwrap_or_default();
                    window.budget = pacing.budget;
                    window.until = now + length(pacing.seconds);
                }
                // The limit holds all the same; what is kept is no fair sample then.
                Err(_) => {
                    window.threshold = 0;
                    window.budget = self.limit.max(1.0) as u32;
                    window.until = now + length(1.0 / self.limit).max(SECOND);
                }
            }
            if let Err(problem) = asked {
                drop(window);
                warning::once(&problem, "traces are kept up to the limit");
                window = self.window();
            }
        }
        window.offered += 1;
        let keep = randomness >= threshold.max(window.threshold) && window.kept < window.budget;
        if !keep {
            return None;
        }
        window.kept += 1;
        Some((window.threshold > threshold).then(|| window.state.clone()))
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number of seconds as long as a pace may hold; what is none is one second.
fn length(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(SECOND, |length| length.clamp(SHORTEST, LONGEST))
}
