"""The current span's context as text, for log lines and carriers of one's own."""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry import trace


class SpanContext(NamedTuple):
    """A span's ids and flags, in lower-case hexadecimal digits."""

    trace_id: str
    span_id: str
    trace_flags: str

    @classmethod
    def current(cls) -> SpanContext | None:
        """That of the current span; `None` where there is none."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return None
        return cls(f"{found.trace_id:032x}", f"{found.span_id:016x}", f"{found.trace_flags:02x}")
