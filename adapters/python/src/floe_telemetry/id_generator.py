"""Ids of spans: random ones, unless they are given."""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from floe_telemetry.ids import next_ids


class IdGenerator(RandomIdGenerator):
    """Draws ids, unless they are given."""

    def generate_span_id(self) -> int:
        """The span ID that is given, or a random one."""
        ids = next_ids()
        return super().generate_span_id() if ids is None else ids.span_id

    def generate_trace_id(self) -> int:
        """The trace ID that is given, or a random one."""
        ids = next_ids()
        return super().generate_trace_id() if ids is None else ids.trace_id
