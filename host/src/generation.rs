//! Numbers of configurations, by which a thread tells what it kept of one from what it kept of another.

use std::sync::atomic::{AtomicU64, Ordering};

/// A configuration's number in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Default for Generation {
    /// The next one.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
