//! Tracers that tell the sampler what the SDK does not: the scope of a span, and that its trace began elsewhere.

use std::cell::Cell;

use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use crate::attribute::interned;
use crate::span_context;

thread_local! {
    static SCOPE: Cell<&'static str> = const { Cell::new("") };
}

/// The scope of the span that this thread is starting; empty where no intent depends on it.
pub(crate) fn current() -> &'static str {
    SCOPE.get()
}

/// The SDK's provider, whose tracers say their scope where intents depend on it.
#[derive(Debug, Clone)]
pub struct ScopedTracerProvider {
    inner: SdkTracerProvider,
    scoped: bool,
}

/// A tracer of a [`ScopedTracerProvider`].
#[derive(Debug, Clone)]
pub struct ScopedTracer {
    inner: SdkTracer,
    scope: Option<&'static str>,
}

impl ScopedTracerProvider {
    pub(crate) fn new(inner: SdkTracerProvider, scoped: bool) -> Self {
        Self { inner, scoped }
    }
}

impl TracerProvider for ScopedTracerProvider {
    type Tracer = ScopedTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> ScopedTracer {
        ScopedTracer {
            scope: self.scoped.then(|| interned(scope.name())),
            inner: self.inner.tracer_with_scope(scope),
        }
    }
}

impl Tracer for ScopedTracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        let marked = span_context::marked(parent);
        let parent = marked.as_ref().unwrap_or(parent);
        let Some(scope) = self.scope else {
            return self.inner.build_with_context(builder, parent);
        };
        let before = SCOPE.replace(scope);
        let span = self.inner.build_with_context(builder, parent);
        SCOPE.set(before);
        span
    }
}
