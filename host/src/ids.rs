//! Ids of spans: random, or given where others know them already.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

thread_local! {
    static GIVEN: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// The SDK's generator, but for the span that [`given`] starts.
#[derive(Debug, Default)]
pub(crate) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        GIVEN
            .get()
            .map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        GIVEN.get().map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}

/// Starts a span with these ids. Below a parent the trace is the parent's.
pub(crate) fn given<T>(ids: (TraceId, SpanId), start: impl FnOnce() -> T) -> T {
    GIVEN.set(Some(ids));
    let span = start();
    GIVEN.set(None);
    span
}
