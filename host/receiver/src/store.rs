//! What was received, in memory and bounded.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::{SpanId, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::time::Instant;

use crate::batch::{Batch, Sink};
use crate::metrics::Metrics;
use crate::model::{LogEntry, SpanRecord, Trace};

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Traces; the oldest goes first.
    pub traces: usize,
    /// Bytes of all spans and log records that belong to traces, as they were sent and a little more for each;
    /// they take two to three times as much memory.
    pub bytes: usize,
    /// Log records without a trace; the oldest goes first.
    pub logs: usize,
    /// Metric streams, that is metrics x attributes x processes; points of further streams are dropped.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            traces: 1_000,
            bytes: 256 * 1024 * 1024,
            logs: 10_000,
            streams: 10_000,
        }
    }
}

/// What did not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Whole traces.
    pub traces: u64,
    /// Spans and log records of a trace that fills the store alone.
    pub records: u64,
    /// Log records without a trace.
    pub logs: u64,
    /// Data points of metric streams beyond the limit.
    pub points: u64,
}

/// All that a store holds at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The traces, in the order in which their first parts came.
    pub traces: Vec<Trace>,
    /// Log records without a trace, in the order they came.
    pub logs: Vec<Arc<LogEntry>>,
    /// The metrics.
    pub metrics: Metrics,
    /// What did not fit.
    pub dropped: Dropped,
}

/// Keeps what was received, up to its [`Limits`], and counts what it drops.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    traces: HashMap<TraceId, HeldTrace>,
    /// The traces by age.
    order: VecDeque<TraceId>,
    bytes: usize,
    logs: VecDeque<Arc<LogEntry>>,
    logs_seen: u64,
    metrics: Metrics,
    metrics_revision: u64,
    dropped: Dropped,
}

#[derive(Debug)]
struct HeldTrace {
    trace: Trace,
    bytes: usize,
    progress: Progress,
}

/// How far a trace has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Grows with everything that is added.
    pub(crate) revision: u64,
    /// When something was added last.
    pub(crate) updated: Instant,
    /// Whether a span without a parent is there.
    pub(crate) rooted: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Store {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        let held = Held {
            traces: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            logs: VecDeque::new(),
            logs_seen: 0,
            metrics: Metrics::new(limits.streams),
            metrics_revision: 0,
            dropped: Dropped::default(),
        };
        Self {
            limits,
            held: Mutex::new(held),
        }
    }

    /// A copy of all that it holds; spans and log records are shared, not copied.
    pub fn snapshot(&self) -> Snapshot {
        let held = self.lock();
        let traces = held.order.iter().filter_map(|id| held.traces.get(id));
        Snapshot {
            traces: traces.map(|held| held.trace.clone()).collect(),
            logs: held.logs.iter().cloned().collect(),
            metrics: held.metrics.clone(),
            dropped: held.dropped(),
        }
    }

    /// One trace.
    pub fn trace(&self, id: TraceId) -> Option<Trace> {
        self.lock().traces.get(&id).map(|held| held.trace.clone())
    }

    /// What did not fit so far.
    pub fn dropped(&self) -> Dropped {
        self.lock().dropped()
    }

    /// How far each trace has come, oldest first.
    pub(crate) fn progress(&self) -> Vec<(TraceId, Progress)> {
        let held = self.lock();
        held.order
            .iter()
            .filter_map(|id| Some((*id, held.traces.get(id)?.progress)))
            .collect()
    }

    /// The log records without a trace that came after the first `seen`, and how many came in all.
    pub(crate) fn logs_after(&self, seen: u64) -> (Vec<Arc<LogEntry>>, u64) {
        let held = self.lock();
        let fresh = usize::try_from(held.logs_seen.saturating_sub(seen)).unwrap_or(usize::MAX);
        let skipped = held.logs.len().saturating_sub(fresh);
        (held.logs.iter().skip(skipped).cloned().collect(), held.logs_seen)
    }

    /// The metrics, if they are not those of `revision`, and their revision.
    pub(crate) fn metrics_after(&self, revision: u64) -> Option<(Metrics, u64)> {
        let held = self.lock();
        (held.metrics_revision != revision).then(|| (held.metrics.clone(), held.metrics_revision))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Store {
    fn accept(&self, batch: &Batch) -> io::Result<()> {
        let mut held = self.lock();
        match batch {
            Batch::Traces(request) => held.add_spans(request, &self.limits),
            Batch::Logs(request) => held.add_logs(request, &self.limits),
            Batch::Metrics(request) => {
                held.metrics.record(request);
                held.metrics_revision += 1;
            }
        }
        Ok(())
    }
}

fn span_bytes(record: &SpanRecord) -> usize {
    size_of::<SpanRecord>() + record.span.encoded_len()
}

/// A part of a trace.
enum Part {
    Span(SpanId, Arc<SpanRecord>),
    Log(Arc<LogEntry>),
}

impl Held {
    fn dropped(&self) -> Dropped {
        Dropped {
            points: self.metrics.dropped(),
            ..self.dropped
        }
    }

    fn add_spans(&mut self, request: &ExportTraceServiceRequest, limits: &Limits) {
        for (trace, id, record) in SpanRecord::all(request) {
            self.add(trace, Part::Span(id, record), limits);
        }
    }

    fn add_logs(&mut self, request: &ExportLogsServiceRequest, limits: &Limits) {
        for (trace, entry) in LogEntry::all(request) {
            match trace {
                Some(trace) => self.add(trace, Part::Log(entry), limits),
                None => self.add_loose(entry, limits),
            }
        }
    }

    fn add_loose(&mut self, entry: Arc<LogEntry>, limits: &Limits) {
        self.logs.push_back(entry);
        self.logs_seen += 1;
        while self.logs.len() > limits.logs {
            self.logs.pop_front();
            self.dropped.logs += 1;
        }
    }

    fn add(&mut self, id: TraceId, part: Part, limits: &Limits) {
        let bytes = match &part {
            Part::Span(_, record) => span_bytes(record),
            Part::Log(entry) => size_of::<LogEntry>() + entry.record.encoded_len(),
        };
        while self.bytes + bytes > limits.bytes {
            if !self.drop_oldest_but(id) {
                self.dropped.records += 1;
                return;
            }
        }
        let held = self.traces.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            let progress = Progress {
                revision: 0,
                updated: Instant::now(),
                rooted: false,
            };
            HeldTrace {
                trace: Trace::new(id),
                bytes: 0,
                progress,
            }
        });
        held.progress.revision += 1;
        held.progress.updated = Instant::now();
        held.bytes += bytes;
        self.bytes += bytes;
        match part {
            Part::Log(entry) => held.trace.logs.push(entry),
            Part::Span(span, record) => {
                held.progress.rooted |= record.parent().is_none();
                if let Some(earlier) = held.trace.spans.insert(span, record) {
                    held.bytes -= span_bytes(&earlier);
                    self.bytes -= span_bytes(&earlier);
                }
            }
        }
        while self.traces.len() > limits.traces.max(1) && self.drop_oldest_but(id) {}
    }

    /// Whether there was one.
    fn drop_oldest_but(&mut self, kept: TraceId) -> bool {
        let Some(at) = self.order.iter().position(|id| *id != kept) else {
            return false;
        };
        let Some(dropped) = self.order.remove(at).and_then(|id| self.traces.remove(&id)) else {
            return false;
        };
        self.bytes -= dropped.bytes;
        self.dropped.traces += 1;
        true
    }
}
