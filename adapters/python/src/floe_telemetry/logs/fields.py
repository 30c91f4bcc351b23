"""The fields that every record has. Most records are seen by nobody, so what is put on them is made once a
context.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final
from weakref import ref

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from floe_telemetry.contract import AttributeValue

FIELDS: Final = ("trace_id", "span_id", "trace_flags", "floe.namespace")
EMITTED: Final = "_floe_emitted"
"""Set on a record that went to OpenTelemetry."""
_OF_OTHERS: Final = "_floe_of_others"
"""On each record that has the fields: the names among them whose values the application gave."""
_STANDARD: Final = frozenset(
    (*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName")
)
_STRUCTLOGS: Final = frozenset(("_logger", "_name", "_record", "_from_structlog"))
_DAGSTERS: Final = frozenset(("dagster_meta", "dagster_event", "dagster_event_batch_metadata"))
_NOT_EXTRA: Final = _STANDARD | _STRUCTLOGS | _DAGSTERS | {EMITTED, _OF_OTHERS}
_OF_STRUCTLOG: Final = _NOT_EXTRA | {"event"}
_MOST_KEPT: Final = 256

_namespace: AttributeValue = ""
_left_out: Final[set[str]] = set()
"""Loggers whose records are for their own handlers alone."""
_made: dict[int, tuple[ref[Context], dict[str, Any]]] = {}
"""Fields by the id of their context, as long as that is the one which they were made of."""


def current_fields() -> Mapping[str, Any]:
    """The fields of the current span."""
    context = get_current()
    known = _made.get(id(context))
    if known is not None and known[0]() is context:  # contexts never change
        return known[1]
    fields = _fields(trace.get_current_span(context).get_span_context())
    if len(_made) >= _MOST_KEPT:
        _made.clear()
    _made[id(context)] = ref(context), fields
    return fields


def _fields(span: SpanContext) -> dict[str, Any]:
    ids = ("", "", "")
    if span.is_valid:
        ids = (f"{span.trace_id:032x}", f"{span.span_id:016x}", f"{span.trace_flags:02x}")
    return dict(zip(FIELDS, (*ids, _namespace), strict=True))


def add_fields(record: logging.LogRecord) -> None:
    """Puts the fields on a record, once. A value that the application gave stays: many platforms' log formats
    know a `trace_id` of their own.
    """
    attributes = record.__dict__
    if _OF_OTHERS in attributes:
        return
    fields = current_fields()
    of_others = tuple(name for name in fields if name in attributes)
    attributes.update({**fields, **{name: attributes[name] for name in of_others}} if of_others else fields)
    attributes[_OF_OTHERS] = of_others


def context_of(record: logging.LogRecord) -> Context | None:
    """The context of the span whose ids are on the record, where the current context has none: a listener
    of a queue has another than the one who logged. `None` is the current one.
    """
    if trace.get_current_span().get_span_context().is_valid or _of_others(record):
        return None
    try:
        ids = [int(getattr(record, name), 16) for name in FIELDS[:3]]
    except (AttributeError, TypeError, ValueError):
        return None
    span = SpanContext(ids[0], ids[1], False, TraceFlags(ids[2] & 0xFF))
    return trace.set_span_in_context(NonRecordingSpan(span)) if span.is_valid else None


def message_of(record: logging.LogRecord) -> str:
    """What was logged. Of structlog's `wrap_for_formatter`, the message is a dict."""
    if _is_structlogs(record):
        return text_of(record.msg["event"])  # type: ignore[index]
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit, or that have no text: what was written is left
        return text_of(record.msg)


def extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """The further fields of a record."""
    left_out = _NOT_EXTRA.union(FIELDS).difference(_of_others(record))
    extra = {name: value for name, value in vars(record).items() if name not in left_out}
    if _is_structlogs(record):
        of_structlog: dict[Any, Any] = record.msg  # type: ignore[assignment]
        extra |= {text_of(name): of_structlog[name] for name in of_structlog if name not in _OF_STRUCTLOG}
    return extra


def exception_of(record: logging.LogRecord) -> BaseException | None:
    """The exception of a record. `makeLogRecord` takes any of the forms that a logging call takes."""
    found: Any = record.exc_info
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple) and len(found) > 1:
        found = found[1]
    return found if isinstance(found, BaseException) else None


def _is_structlogs(record: logging.LogRecord) -> bool:
    return isinstance(record.msg, dict) and "event" in record.msg


def text_of(value: object) -> str:
    """A value's text. Classes of the application may fail to say it."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__} without text>"


def _of_others(record: logging.LogRecord) -> tuple[str, ...]:
    names = vars(record).get(_OF_OTHERS, ())
    return names if isinstance(names, tuple) else ()


def set_namespace(namespace: AttributeValue) -> None:
    """The namespace of all records from now on."""
    global _namespace
    _namespace = namespace
    _made.clear()


def leave_out(*names: str) -> None:
    """Records of these loggers are for their own handlers alone from now on: they get no fields and are not
    exported.
    """
    _left_out.update(names)


def is_left_out(name: str) -> bool:
    """Whether records of this logger are for its own handlers alone."""
    return name in _left_out
