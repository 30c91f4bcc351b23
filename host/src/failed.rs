//! Operations that sampling did not keep and that may fail yet: they wait, within bounds, for what becomes of their trace.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceFlags, TraceId};
use opentelemetry_sdk::trace::SpanData;

use crate::attribute;
use crate::bindings::exports::floe::telemetry::configuration::Buffer;
use crate::clock::Clock;
use crate::span_context::{CONTINUED, public_flags};

/// In the context in which an operation's span starts, and in no other.
#[derive(Debug)]
pub(crate) struct OperationStart;

/// The operations that wait.
#[derive(Debug)]
pub(crate) struct FailedOperations {
    spans: usize,
    longest: Duration,
    attributes: Vec<KeyValue>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    traces: HashMap<TraceId, Trace>,
    /// The traces, oldest first.
    order: VecDeque<TraceId>,
    /// Spans that wait, in all traces.
    spans: usize,
}

#[derive(Debug)]
struct Trace {
    since: Duration,
    open: Vec<SpanId>,
    ended: VecDeque<SpanData>,
    failed: bool,
}

impl FailedOperations {
    /// The operations that wait within these bounds; nothing if none may.
    pub(crate) fn new(bounds: &Buffer, clock: Arc<dyn Clock>) -> Option<Self> {
        (bounds.spans > 0).then(|| Self {
            spans: bounds.spans as usize,
            longest: Duration::from_secs(u64::from(bounds.seconds)),
            attributes: attribute::to_static(&bounds.attributes),
            clock,
            waiting: Mutex::default(),
        })
    }

    /// An operation's span started, and is not sampled.
    pub(crate) fn started(&self, span: &SpanContext) {
        let now = self.clock.now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.forget_spans_before(now.saturating_sub(self.longest));
        if let Some(trace) = waiting.traces.get_mut(&span.trace_id()) {
            trace.open.push(span.span_id());
            return;
        }
        // As many operations that are never ended are remembered as spans may wait.
        if waiting.traces.len() >= self.spans
            && let Some(oldest) = waiting.order.front().copied()
        {
            waiting.forget(oldest);
        }
        waiting.order.push_back(span.trace_id());
        waiting.traces.insert(
            span.trace_id(),
            Trace {
                since: now,
                open: vec![span.span_id()],
                ended: VecDeque::new(),
                failed: false,
            },
        );
    }

    /// A span that is not sampled ended. Answers with what goes out now: nothing, or all that waits of a trace that failed.
    pub(crate) fn ended(&self, span: SpanData) -> Vec<SpanData> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let id = span.span_context.trace_id();
        let Some(trace) = waiting.traces.get_mut(&id) else {
            return Vec::new();
        };
        let Some(at) = trace
            .open
            .iter()
            .position(|open| *open == span.span_context.span_id())
        else {
            return Vec::new(); // no operation
        };
        trace.open.swap_remove(at);
        trace.failed |= matches!(span.status, Status::Error { .. });
        trace.ended.push_back(span);
        let out = if trace.failed {
            std::mem::take(&mut trace.ended)
        } else {
            VecDeque::new()
        };
        let over = trace.open.is_empty();
        waiting.spans = waiting.spans + 1 - out.len();
        if over {
            waiting.forget(id);
        }
        while waiting.spans > self.spans && waiting.forget_oldest_span() {}
        out.into_iter().map(|span| self.kept(span)).collect()
    }

    /// The span as one that is sampled. Its trace began elsewhere, as far as its probability is concerned: nothing is known of it.
    fn kept(&self, mut span: SpanData) -> SpanData {
        let context = &span.span_context;
        span.span_context = SpanContext::new(
            context.trace_id(),
            context.span_id(),
            public_flags(context) | TraceFlags::SAMPLED | CONTINUED,
            false,
            context.trace_state().clone(),
        );
        span.attributes.extend(self.attributes.iter().cloned());
        span
    }
}

impl Waiting {
    fn forget(&mut self, id: TraceId) {
        if let Some(trace) = self.traces.remove(&id) {
            self.spans -= trace.ended.len();
        }
        // Mostly the newest or the oldest.
        if let Some(at) = self.order.iter().rposition(|known| *known == id) {
            self.order.remove(at);
        }
    }

    /// Whether there was one.
    fn forget_oldest_span(&mut self) -> bool {
        let oldest = self.order.iter().find_map(|id| {
            let trace = self.traces.get_mut(id)?;
            trace.ended.pop_front()
        });
        self.spans -= usize::from(oldest.is_some());
        oldest.is_some()
    }

    /// What waits of the traces that began before; their operations that are open may still fail.
    fn forget_spans_before(&mut self, time: Duration) {
        for id in &self.order {
            let Some(trace) = self.traces.get_mut(id).filter(|trace| trace.since < time) else {
                return;
            };
            self.spans -= trace.ended.len();
            trace.ended.clear();
        }
    }
}
