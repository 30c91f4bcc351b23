//! Telemetry of one process as text, each trace at its end: what a host prints in development, with no receiver at hand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::TraceId;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::logs::render_logs;
use crate::metrics::Metrics;
use crate::metrics_table::render_metrics;
use crate::model::{LogEntry, SpanRecord, Trace};
use crate::text::Style;
use crate::tree::render_trace;

/// The flag of a span whose parent is in another process (opentelemetry-proto, `SpanFlags`).
const PARENT_IS_REMOTE: u32 = 0x200;
/// Most traces that are held; of more, the oldest is shown as it is.
const TRACES: usize = 1_000;
/// Most spans and log records that are held of one trace; with more it is shown as it is, and goes on.
const PARTS: usize = 10_000;
/// Most metric streams.
const STREAMS: usize = 10_000;

/// Holds what a process sends until the end of its trace, and makes text of it.
#[derive(Debug)]
pub struct Console {
    style: Style,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    traces: HashMap<TraceId, Trace>,
    /// The traces by age.
    order: VecDeque<TraceId>,
    metrics: Metrics,
}

impl Console {
    /// A console that holds nothing.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            held: Mutex::new(Held {
                traces: HashMap::new(),
                order: VecDeque::new(),
                metrics: Metrics::new(STREAMS),
            }),
        }
    }

    /// Takes spans, and answers the traces that ended with them: a trace ends in a process with the span that has no parent there.
    pub fn spans(&self, request: &ExportTraceServiceRequest) -> String {
        let (mut due, mut ended) = (Vec::new(), Vec::new());
        let mut held = self.lock();
        for (trace, id, record) in SpanRecord::all(request) {
            if record.span.parent_span_id.is_empty() || record.span.flags & PARENT_IS_REMOTE != 0 {
                ended.push(trace);
            }
            due.extend(held.hold(trace, |trace| {
                trace.spans.insert(id, record);
            }));
        }
        due.extend(ended.into_iter().filter_map(|id| held.take(id)));
        drop(held);
        self.text(&due)
    }

    /// Takes log records, and answers those of no trace.
    pub fn logs(&self, request: &ExportLogsServiceRequest) -> String {
        let (mut due, mut loose) = (Vec::new(), Vec::new());
        let mut held = self.lock();
        for (trace, entry) in LogEntry::all(request) {
            match trace {
                Some(trace) => due.extend(held.hold(trace, |trace| trace.logs.push(entry))),
                None => loose.push(entry),
            }
        }
        drop(held);
        self.text(&due) + &render_logs(&loose, &self.style)
    }

    /// Takes metrics, which are shown at the end.
    pub fn metrics(&self, request: &ExportMetricsServiceRequest) {
        self.lock().metrics.record(request);
    }

    /// Answers what is left: traces that never ended, and the metrics.
    pub fn rest(&self) -> String {
        let mut held = self.lock();
        let order = std::mem::take(&mut held.order);
        let due: Vec<_> = order.iter().filter_map(|id| held.traces.remove(id)).collect();
        let metrics = std::mem::replace(&mut held.metrics, Metrics::new(STREAMS));
        drop(held);
        self.text(&due) + &render_metrics(&metrics, &self.style)
    }

    fn text(&self, traces: &[Trace]) -> String {
        traces
            .iter()
            .map(|trace| render_trace(trace, &self.style) + "\n")
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Puts a part into its trace, and answers the trace that there is no more room for.
    fn hold(&mut self, id: TraceId, put: impl FnOnce(&mut Trace)) -> Option<Trace> {
        if !self.traces.contains_key(&id) {
            self.order.push_back(id);
        }
        let trace = self.traces.entry(id).or_insert_with(|| Trace::new(id));
        put(trace);
        if trace.spans.len() + trace.logs.len() > PARTS {
            return self.take(id);
        }
        match self.order.front().copied() {
            Some(oldest) if self.traces.len() > TRACES => self.take(oldest),
            _ => None,
        }
    }

    fn take(&mut self, id: TraceId) -> Option<Trace> {
        self.order.retain(|held| *held != id);
        self.traces.remove(&id)
    }
}
