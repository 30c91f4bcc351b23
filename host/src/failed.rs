//! Operations that sampling did not keep and that may fail yet: they wait, within bounds, for what becomes of their trace.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SpanData;

use crate::attribute;
use crate::bindings::exports::floe::telemetry::configuration::Buffer;
use crate::clock::Clock;
use crate::span_context::{CONTINUED, public_flags};

/// In the context in which an operation's span starts, and in no other.
#[derive(Debug)]
pub(crate) struct OperationStart {
    /// The parent to name if the operation goes out although its trace is not sampled: its parent may be a span that nobody recorded.
    parent: Option<SpanId>,
}

impl OperationStart {
    /// The start of an operation in this context.
    pub(crate) fn below(context: &Context) -> Self {
        let span = context.span();
        let parent = span.span_context();
        let enclosing = context
            .get::<Enclosing>()
            .filter(|enclosing| enclosing.0.trace_id() == parent.trace_id())
            .map(|enclosing| enclosing.0.span_id());
        let goes_out = parent.is_sampled() || parent.is_remote() || enclosing == Some(parent.span_id());
        Self {
            parent: (!goes_out).then(|| enclosing.unwrap_or(SpanId::INVALID)),
        }
    }
}

/// The operation that a context is in.
#[derive(Debug)]
pub(crate) struct Enclosing(SpanContext);

impl Enclosing {
    /// The context of an operation's span, as one that its children are in.
    pub(crate) fn of(context: &Context) -> Context {
        context.with_value(Self(context.span().span_context().clone()))
    }
}

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
    /// When to look next for what has waited too long.
    expires: Duration,
}

#[derive(Debug)]
struct Open {
    span: SpanId,
    parent: Option<SpanId>,
}

#[derive(Debug)]
struct Trace {
    open: Vec<Open>,
    /// With the time from which it waits.
    ended: VecDeque<(Duration, SpanData)>,
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
    pub(crate) fn started(&self, span: &SpanContext, start: &OperationStart) {
        let open = Open {
            span: span.span_id(),
            parent: start.parent,
        };
        let now = self.clock.now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.forget_spans_before(now, self.longest);
        if let Some(trace) = waiting.traces.get_mut(&span.trace_id()) {
            trace.open.push(open);
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
                open: vec![open],
                ended: VecDeque::new(),
                failed: false,
            },
        );
    }

    /// A span that is not sampled ended. Answers with what goes out now: nothing, or all that waits of a trace that failed.
    pub(crate) fn ended(&self, mut span: SpanData) -> Vec<SpanData> {
        let now = self.clock.now();
        let failed = matches!(span.status, Status::Error { .. });
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.forget_spans_before(now, self.longest);
        let id = span.span_context.trace_id();
        let Some(trace) = waiting.traces.get_mut(&id) else {
            // Its trace was forgotten; what fails goes out all the same.
            return if failed { vec![self.kept(span)] } else { Vec::new() };
        };
        let is_it = |open: &Open| open.span == span.span_context.span_id();
        if let Some(at) = trace.open.iter().position(is_it)
            && let Some(parent) = trace.open.swap_remove(at).parent
        {
            span.parent_span_id = parent;
            span.parent_span_is_remote = false;
        }
        trace.failed |= failed;
        trace.ended.push_back((now, span));
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
        out.into_iter().map(|(_, span)| self.kept(span)).collect()
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

    /// What has waited too long; operations that are open may still fail. A look once a second is enough.
    fn forget_spans_before(&mut self, now: Duration, longest: Duration) {
        if now < self.expires {
            return;
        }
        self.expires = now + Duration::from_secs(1);
        for trace in self.traces.values_mut() {
            while trace
                .ended
                .front()
                .is_some_and(|(since, _)| *since + longest < now)
            {
                trace.ended.pop_front();
                self.spans -= 1;
            }
        }
    }
}
