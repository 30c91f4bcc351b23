//! Printing while things arrive.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::TraceId;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::logs::render_logs;
use crate::metrics_table::render_metrics;
use crate::report::render_dropped;
use crate::store::{Dropped, Store};
use crate::text::Style;
use crate::tree::render_with;

/// When to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveOptions {
    /// A trace is printed when its root is there and nothing was added to it for this long.
    pub quiet: Duration,
    /// How often to print the metrics if they changed; `None` prints them at the end only.
    pub metrics_every: Option<Duration>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(2),
            metrics_every: None,
        }
    }
}

/// Prints what a [`Store`] receives: traces when they seem complete, again when more of them came, log records
/// without a trace as they come, and metrics.
#[derive(Debug)]
pub struct LivePrinter {
    store: Arc<Store>,
    options: LiveOptions,
    style: Style,
    /// What was printed of each trace.
    printed: HashMap<TraceId, u64>,
    logs_printed: u64,
    metrics_printed: u64,
    metrics_due: Option<Instant>,
    dropped_printed: Dropped,
}

impl LivePrinter {
    /// A printer that has printed nothing.
    pub fn new(store: Arc<Store>, options: LiveOptions, style: Style) -> Self {
        Self {
            store,
            options,
            style,
            printed: HashMap::new(),
            logs_printed: 0,
            metrics_printed: 0,
            metrics_due: None,
            dropped_printed: Dropped::default(),
        }
    }

    /// Prints until `shutdown`, and then what was not printed yet. `shutdown` is best when the receiver has
    /// ended, so that nothing comes after it.
    pub async fn run(
        mut self,
        out: &mut (impl Write + Send),
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let pace = (self.options.quiet / 4).clamp(Duration::from_millis(10), Duration::from_millis(500));
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            let ended = tokio::select! {
                biased;
                () = &mut shutdown => true,
                _ = ticks.tick() => false,
            };
            let text = self.print(ended);
            out.write_all(text.as_bytes())?;
            out.flush()?;
            if ended {
                return Ok(());
            }
        }
    }

    /// What is due now, or everything that is left.
    fn print(&mut self, everything: bool) -> String {
        let now = Instant::now();
        let mut parts = Vec::new();

        let traces = self.store.progress();
        let held: HashSet<_> = traces.iter().map(|(id, _)| *id).collect();
        self.printed.retain(|id, _| held.contains(id));
        for (id, progress) in traces {
            let quiet = now.duration_since(progress.updated) >= self.options.quiet;
            let earlier = self.printed.get(&id).copied();
            let due = earlier != Some(progress.revision) && (everything || progress.rooted && quiet);
            let Some(trace) = due.then(|| self.store.trace(id)).flatten() else {
                continue;
            };
            let remark = if earlier.is_some() { "updated" } else { "" };
            parts.push(render_with(&trace, &self.style, remark));
            self.printed.insert(id, progress.revision);
        }

        let (logs, seen) = self.store.logs_after(self.logs_printed);
        self.logs_printed = seen;
        parts.push(render_logs(&logs, &self.style));

        if (everything || self.metrics_are_due(now))
            && let Some((metrics, revision)) = self.store.metrics_after(self.metrics_printed)
        {
            self.metrics_printed = revision;
            parts.push(render_metrics(&metrics, &self.style));
        }

        let dropped = self.store.dropped();
        if dropped != self.dropped_printed && (everything || parts.iter().any(|part| !part.is_empty())) {
            self.dropped_printed = dropped;
            parts.push(render_dropped(&dropped, &self.style));
        }
        parts.retain(|part| !part.is_empty());
        parts.iter().map(|part| format!("{part}\n")).collect()
    }

    fn metrics_are_due(&mut self, now: Instant) -> bool {
        let Some(every) = self.options.metrics_every else {
            return false;
        };
        let due = *self.metrics_due.get_or_insert(now + every);
        if now < due {
            return false;
        }
        self.metrics_due = Some(now + every);
        true
    }
}
