"""How the exceptions of spans are told: floe's operations' and those that the SDK records by itself.

As an event of the span, as a log record in its context, or as both: the plan says which
(OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN).
"""

from __future__ import annotations

import copy
import time
from typing import Final

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import StatusCode
from opentelemetry.util.types import AnyValue

from floe_telemetry._once import warn_once
from floe_telemetry.attributes import merged
from floe_telemetry.contract import ExceptionInfo, ExceptionSignals
from floe_telemetry.export import each
from floe_telemetry.policy import Policy

_EXCEPTION: Final = "exception"
_TYPE: Final = "exception.type"
_ESCAPED: Final = "exception.escaped"
"""Deprecated (semantic-conventions docs/registry/attributes/exception.md); the SDK sets it still."""
_ERROR_TYPE: Final = "error.type"
_MOST_KEPT: Final = 1024


class Exceptions:
    """Tells the exceptions of spans that end. Never raises."""

    def __init__(self, policy: Policy, signals: ExceptionSignals, provider: LoggerProvider) -> None:
        self._policy: Final = policy
        self._signals: Final = signals
        self._provider: Final = provider
        self._types: Final[dict[str, str]] = {}

    def told(self, span: ReadableSpan) -> ReadableSpan:
        """The span as it is exported; other processors keep theirs."""
        found = [event for event in span._events if event.name == _EXCEPTION]
        if not found:
            return span
        try:
            return self._told(span, found)
        except Exception as error:
            warn_once("exceptions", "the exceptions of spans stay as they were recorded: %s", error)
            return span

    def _told(self, span: ReadableSpan, found: list[Event]) -> ReadableSpan:
        if self._signals.log:
            for event in found:
                self._log(span, event)
        told = copy.copy(span)
        told._events = each(self._event, span._events)
        failed = next((event for event in reversed(found) if _made_it_fail(event, span)), None)
        if failed is not None and _ERROR_TYPE not in (span._attributes or {}):
            error_type = self._classified(str((failed.attributes or {})[_TYPE]))
            told._attributes = merged(span._attributes, {}, {_ERROR_TYPE: error_type})
        return told

    def _event(self, event: Event) -> Event | None:
        if event.name != _EXCEPTION:
            return event
        if not self._signals.event:
            return None
        attributes = {name: value for name, value in (event.attributes or {}).items() if name != _ESCAPED}
        return Event(event.name, attributes, event.timestamp)

    def _log(self, span: ReadableSpan, event: Event) -> None:
        scope = span.instrumentation_scope
        logger = self._provider.get_logger(
            scope.name if scope else "", scope.version if scope else None, scope.schema_url if scope else None
        )
        attributes: dict[str, AnyValue] = {
            name: value for name, value in (event.attributes or {}).items() if name != _ESCAPED
        }
        logger.emit(
            LogRecord(
                timestamp=event.timestamp,
                observed_timestamp=time.time_ns(),
                context=_context(span),
                severity_number=SeverityNumber.ERROR,
                severity_text="ERROR",
                attributes=attributes,
                event_name=_EXCEPTION,
            )
        )

    def _classified(self, recorded: str) -> str:
        known = self._types.get(recorded)
        if known is None:
            known = self._policy.classify(ExceptionInfo(recorded, "", "", ())).type
            if len(self._types) < _MOST_KEPT:
                self._types[recorded] = known
        return known


def _made_it_fail(event: Event, span: ReadableSpan) -> bool:
    """Whether the SDK recorded this exception as what ended the span: it describes the status by it."""
    attributes = event.attributes or {}
    recorded = attributes.get(_TYPE)
    if span.status.status_code is not StatusCode.ERROR or not isinstance(recorded, str):
        return False
    name = recorded.rpartition(".")[2]
    return span.status.description == f"{name}: {attributes.get('exception.message', '')}"


def _context(span: ReadableSpan) -> Context:
    context = span.get_span_context() or trace.INVALID_SPAN_CONTEXT
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())
