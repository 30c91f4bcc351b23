//! Time, as an adapter that tests turn by hand.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// A clock that never goes back.
pub trait Clock: Debug + Send + Sync {
    /// Time since a moment of the clock's own.
    fn now(&self) -> Duration;
}

/// The operating system's monotonic clock, from when this was made.
#[derive(Debug, Clone)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
