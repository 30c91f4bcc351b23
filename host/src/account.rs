//! What becomes of a signal's items: each is delivered, waits, or is dropped for a reason, and the sum is what was produced, at any time.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use floe_telemetry_otlp::{Accepted, Failure, Observer};

use crate::bindings::exports::floe::telemetry::types::Signal;
use crate::error::counted;
use crate::warning;

/// Why an item was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The queue had no room.
    QueueFull,
    /// The Collector took the export but not this item (OTLP's partial success).
    Rejected,
    /// The Collector answered what no retry mends.
    Refused,
    /// No export succeeded within its time, retries included.
    Unavailable,
    /// It is larger than a request may be.
    TooLarge,
    /// Time ran out as the process ended, or it was produced after that.
    Shutdown,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::QueueFull,
        Self::Rejected,
        Self::Refused,
        Self::Unavailable,
        Self::TooLarge,
        Self::Shutdown,
    ];

    /// The word for it, the same in every host.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::TooLarge => "too_large",
            Self::Shutdown => "shutdown",
        }
    }

    fn of(failure: &Failure) -> Self {
        match failure {
            Failure::TooLarge(_) => Self::TooLarge,
            failure if failure.is_transient() => Self::Unavailable,
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many items were dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped([u64; DropReason::ALL.len()]);

impl Dropped {
    /// How many were dropped for a reason.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or_default()
    }

    /// How many were dropped for each reason for which some were.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let counts = DropReason::ALL.map(|reason| (reason, self.get(reason)));
        counts.into_iter().filter(|(_, count)| *count > 0)
    }

    /// How many were dropped.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, reason: DropReason, count: u64) {
        if let Some(known) = self.0.get_mut(reason as usize) {
            *known += count;
        }
    }
}

/// What became of one signal's items: `produced = delivered + queued + dropped.total()`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignalCounts {
    /// Spans that ended and log records that were emitted, as far as sampling and levels keep them; data points that were collected for an export.
    pub produced: u64,
    /// Accepted by the Collector.
    pub delivered: u64,
    /// Waiting, or being exported.
    pub queued: u64,
    /// Lost.
    pub dropped: Dropped,
}

/// What became of all that was produced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans.
    pub traces: SignalCounts,
    /// Data points.
    pub metrics: SignalCounts,
    /// Log records.
    pub logs: SignalCounts,
}

/// The account of one signal.
#[derive(Debug)]
pub(crate) struct Account {
    signal: Signal,
    endpoint: String,
    /// Most items that may wait or be exported.
    most: u64,
    produced: AtomicU64,
    /// Delivered or dropped. It changes under the ledger's lock only.
    settled: AtomicU64,
    closed: AtomicBool,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    delivered: u64,
    dropped: Dropped,
    /// Why the last export failed, or was rejected in part.
    reason: Option<String>,
    /// The reasons for which a loss was said.
    said: Vec<DropReason>,
}

impl Account {
    /// The account of a signal that goes to an endpoint, of which so many items may wait.
    pub(crate) fn new(signal: Signal, endpoint: String, most: u64) -> Self {
        Self {
            signal,
            endpoint,
            most,
            produced: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            ledger: Mutex::default(),
        }
    }

    /// An account that nobody reads.
    pub(crate) fn unread() -> Self {
        Self::new(Signal::Traces, String::new(), u64::MAX)
    }

    /// An item was produced. Answers whether there is room for it.
    pub(crate) fn admit(&self) -> bool {
        let produced = self.produced.fetch_add(1, Ordering::SeqCst) + 1;
        if self.closed.load(Ordering::SeqCst) {
            self.write_off();
            self.say(DropReason::Shutdown, "telemetry has ended");
            return false;
        }
        if produced.saturating_sub(self.settled.load(Ordering::SeqCst)) <= self.most {
            return true;
        }
        self.settle(|ledger| {
            ledger.dropped.add(DropReason::QueueFull, 1);
            1
        });
        self.say(DropReason::QueueFull, "the queue is full");
        false
    }

    pub(crate) fn counts(&self) -> SignalCounts {
        let ledger = self.ledger();
        // Whatever is settled was produced before.
        let settled = ledger.delivered + ledger.dropped.total();
        let produced = self.produced.load(Ordering::SeqCst);
        SignalCounts {
            produced,
            delivered: ledger.delivered,
            queued: produced.saturating_sub(settled),
            dropped: ledger.dropped,
        }
    }

    /// Why the last export failed, or what of it was rejected.
    pub(crate) fn reason(&self) -> Option<String> {
        self.ledger().reason.clone()
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Telemetry ended: what waits is lost, and so is what is produced from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.write_off();
    }

    fn write_off(&self) {
        self.settle(|ledger| {
            let settled = ledger.delivered + ledger.dropped.total();
            let lost = self.produced.load(Ordering::SeqCst).saturating_sub(settled);
            ledger.dropped.add(DropReason::Shutdown, lost);
            lost
        });
    }

    /// Changes the ledger; `change` answers how many items it settled.
    fn settle(&self, change: impl FnOnce(&mut Ledger) -> u64) {
        let mut ledger = self.ledger();
        let settled = change(&mut ledger);
        self.settled.fetch_add(settled, Ordering::SeqCst);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a loss began, the first time for each reason. Nothing is locked while it is said.
    fn say(&self, reason: DropReason, why: &str) {
        {
            let mut ledger = self.ledger();
            if ledger.said.contains(&reason) {
                return;
            }
            ledger.said.push(reason);
        }
        let items = match self.signal {
            Signal::Traces => "spans",
            Signal::Metrics => "data points",
            Signal::Logs => "log records",
        };
        warning::undelivered(format!(
            "warning[FLOE-X007]: {items} are lost ({reason}) on their way to {}: {why}. This is said once; losses are counted\n  help: `floe-telemetry doctor MANIFEST` finds out why",
            self.endpoint
        ));
    }
}

impl Observer for Account {
    fn exporting(&self, items: u64) {
        // Points are collected as they are exported; whatever else is exported was admitted before.
        if self.signal == Signal::Metrics {
            self.produced.fetch_add(items, Ordering::SeqCst);
            if self.closed.load(Ordering::SeqCst) {
                self.write_off();
            }
        }
    }

    fn exported(&self, items: u64, result: &Result<Accepted, Failure>) {
        let (lost, why) = match result {
            Ok(accepted) => {
                let rejected = accepted.rejected.min(items);
                let said = match accepted.message.as_str() {
                    "" => String::new(),
                    message => format!(": {message}"),
                };
                (
                    (rejected > 0).then_some((DropReason::Rejected, rejected)),
                    format!(
                        "the Collector rejected {rejected} of {}{said}",
                        counted(items, "item")
                    ),
                )
            }
            Err(failure) => (Some((DropReason::of(failure), items)), failure.described()),
        };
        self.settle(|ledger| {
            // What was written off stays so: it is too late for its outcome.
            if self.closed.load(Ordering::SeqCst) {
                return 0;
            }
            if let Some((reason, count)) = lost {
                ledger.dropped.add(reason, count);
                ledger.reason = Some(why.clone());
            }
            ledger.delivered += items - lost.map_or(0, |(_, count)| count);
            items
        });
        if let Some((reason, _)) = lost {
            self.say(reason, &why);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn account(most: u64) -> Account {
        Account::new(Signal::Logs, "http://collector".to_owned(), most)
    }

    fn holds(counts: SignalCounts) -> bool {
        counts.produced == counts.delivered + counts.queued + counts.dropped.total()
    }

    #[test]
    fn each_item_is_somewhere() {
        let account = account(3);
        assert_eq!([(); 4].map(|()| account.admit()), [true, true, true, false]);
        let rejected = Accepted {
            rejected: 1,
            message: String::new(),
        };
        account.exported(2, &Ok(rejected));
        let counts = account.counts();
        assert_eq!((counts.produced, counts.delivered, counts.queued), (4, 1, 1));
        assert_eq!(
            counts.dropped.iter().collect::<Vec<_>>(),
            [(DropReason::QueueFull, 1), (DropReason::Rejected, 1)]
        );
        account.close();
        assert!(!account.admit());
        // Too late.
        account.exported(1, &Err(Failure::Timeout(Duration::ZERO)));
        let counts = account.counts();
        assert_eq!((counts.produced, counts.queued), (5, 0));
        assert_eq!(counts.dropped.get(DropReason::Shutdown), 2);
        assert!(holds(counts));
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let account = account(64);
        let failures = [
            Ok(Accepted::default()),
            Err(Failure::TooLarge(1)),
            Err(Failure::Timeout(Duration::ZERO)),
            Err(Failure::Foreign("text/html".to_owned())),
        ];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..5_000 {
                        if account.admit()
                            && let Some(result) = failures.get(number % 4)
                        {
                            account.exported(1, result);
                        }
                    }
                });
            }
            scope.spawn(|| {
                for number in 0..2_000 {
                    assert!(holds(account.counts()));
                    if number == 1_000 {
                        account.close();
                    }
                }
            });
        });
        let counts = account.counts();
        assert_eq!((counts.produced, counts.queued), (20_000, 0));
        assert!(holds(counts));
    }
}
