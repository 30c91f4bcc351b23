from __future__ import annotations

from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, TraceFlags

import floe_telemetry
from floe_telemetry import SpanContext


def test_the_current_spans_context_is_text() -> None:
    assert SpanContext.current() is None
    span = NonRecordingSpan(trace.SpanContext(0xABC, 0xD, True, TraceFlags(1)))
    token = context.attach(trace.set_span_in_context(span))
    try:
        found = floe_telemetry.SpanContext.current()
        assert found == SpanContext("0" * 29 + "abc", "0" * 15 + "d", "01")
    finally:
        context.detach(token)
    assert SpanContext.current() is None
