//! Span contexts as floe's sampler, propagator and exporter share them.
//!
//! The SDK copies a `TraceState` for every span, three allocations each, and never sets the random flag. So a trace that starts here
//! carries no `tracestate` inside this process: a bit of the trace flags, which the SDK hands on to children, tells the spans of traces that
//! came from elsewhere, and to all others propagator and exporter give what they would have carried.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};

/// W3C Trace Context, Level 2, section 3.2.2.5: sampled and random. The others are zero on output.
pub(crate) const KNOWN: TraceFlags = TraceFlags::new(0b11);
/// The trace id is random (Level 2, section 3.2.2.5.2).
pub(crate) const RANDOM: TraceFlags = TraceFlags::new(0b10);
/// Inside this process only: the trace began elsewhere.
pub(crate) const CONTINUED: TraceFlags = TraceFlags::new(0b1000_0000);

/// Whether the trace of a span began elsewhere: we say about it what we were told and no more.
pub(crate) fn is_continued(span: &SpanContext) -> bool {
    span.is_remote() || has(span.trace_flags(), CONTINUED)
}

/// A context whose parent came by somebody else's propagator, as ours would have made it.
pub(crate) fn marked(context: &Context) -> Option<Context> {
    let span = context.span();
    let parent = span.span_context();
    if !parent.is_remote() || has(parent.trace_flags(), CONTINUED) {
        return None;
    }
    Some(context.with_remote_span_context(SpanContext::new(
        parent.trace_id(),
        parent.span_id(),
        parent.trace_flags() | CONTINUED,
        true,
        parent.trace_state().clone(),
    )))
}

/// Whether a flag is set.
pub(crate) fn has(flags: TraceFlags, flag: TraceFlags) -> bool {
    flags & flag == flag
}

/// The flags as others see them.
pub(crate) fn public_flags(span: &SpanContext) -> TraceFlags {
    let flags = span.trace_flags() & KNOWN;
    // The SDK's ids are random in all bits.
    if is_continued(span) { flags } else { flags | RANDOM }
}

/// What a trace that started here, and is kept with no rule and no limit at work, says of its probability.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unsaid {
    /// The header.
    pub(crate) text: String,
    /// The same for the SDK.
    pub(crate) state: TraceState,
}

impl Unsaid {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            state: text.parse().unwrap_or_default(),
        }
    }

    /// Whether this is what a span leaves unsaid.
    pub(crate) fn by(&self, span: &SpanContext) -> bool {
        span.is_sampled() && !is_continued(span) && span.trace_state().get("ot").is_none()
    }

    /// The span's context as others see it.
    pub(crate) fn public(&self, span: &SpanContext) -> SpanContext {
        let state = span.trace_state();
        let state = if !self.by(span) {
            state.clone()
        } else if state == &TraceState::NONE {
            self.state.clone()
        } else {
            // The application's members stay behind ours, which is the newest.
            self.state
                .get("ot")
                .and_then(|value| state.insert("ot", value).ok())
                .unwrap_or_else(|| state.clone())
        };
        SpanContext::new(
            span.trace_id(),
            span.span_id(),
            public_flags(span),
            span.is_remote(),
            state,
        )
    }
}
