"""Baggage members as attributes of spans and log records: those that the plan lists, and no others.

Registered only where the plan lists some.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from opentelemetry.baggage import get_all
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import Span, SpanProcessor

from floe_telemetry._once import warn_once


class BaggageAttributes:
    """Which members of a context's baggage become attributes. Keys of the process's own attributes never do,
    whatever the patterns say: they tell whose telemetry it is, and baggage is what others sent.
    """

    def __init__(self, patterns: Sequence[str], own: Collection[str]) -> None:
        self._own: Final = frozenset(own)
        self._keys: Final = frozenset(pattern for pattern in patterns if not pattern.endswith("*"))
        self._prefixes: Final = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))

    def of(self, context: Context | None) -> dict[str, str]:
        """The attributes; of the current context if none is given."""
        return {
            key: str(value)
            for key, value in get_all(context).items()
            if (key in self._keys or key.startswith(self._prefixes)) and key not in self._own
        }


class BaggageSpanProcessor(SpanProcessor):
    """Gives spans the attributes as they start. An attribute that is set already wins."""

    def __init__(self, attributes: BaggageAttributes) -> None:
        self._attributes: Final = attributes

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A span starts."""
        try:
            found = self._attributes.of(parent_context)
            if found:
                own = span.attributes or {}
                span.set_attributes({key: value for key, value in found.items() if key not in own})
        except Exception as error:  # this is the application's own call
            warn_once("baggage of spans", "a span has no attributes of baggage: %r", error)


class BaggageLogProcessor(LogRecordProcessor):
    """Gives log records the attributes. An attribute that is set already wins."""

    def __init__(self, attributes: BaggageAttributes) -> None:
        self._attributes: Final = attributes

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """A record is emitted."""
        try:
            record = log_record.log_record
            found = self._attributes.of(record.context)
            if found:
                record.attributes = {**found, **(record.attributes or {})}
        except Exception as error:  # this is the application's own call
            warn_once("baggage of logs", "a log record has no attributes of baggage: %r", error)

    def shutdown(self) -> None:
        """Nothing is open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits in here."""
        return True
