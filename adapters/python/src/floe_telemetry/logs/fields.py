"""The fields that every record has. Most records are seen by nobody, so what is put on them is made once a
context.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import ref

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from floe_telemetry.contract import AttributeValue

FIELDS: Final = ("trace_id", "span_id", "trace_flags", "floe.namespace")
EMITTED: Final = "_floe_emitted"
"""Set on a record that went to OpenTelemetry."""
_STANDARD: Final = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"))
_STRUCTLOGS: Final = frozenset(("_logger", "_name", "_record", "_from_structlog"))
_DAGSTERS: Final = frozenset(("dagster_meta", "dagster_event", "dagster_event_batch_metadata"))
_NOT_EXTRA: Final = _STANDARD | _STRUCTLOGS | _DAGSTERS | {*FIELDS, EMITTED}
_MOST_KEPT: Final = 256

_plain_factory: Callable[..., logging.LogRecord] | None = None
_namespace: AttributeValue = ""
_without: Final[set[str]] = set()
"""Loggers whose records get no fields."""
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


def context_of(record: logging.LogRecord) -> Context | None:
    """The context of the span whose ids are on the record, where the current context has none: a listener
    of a queue has another than the one who logged. `None` is the current one.
    """
    if trace.get_current_span().get_span_context().is_valid:
        return None
    try:
        ids = [int(getattr(record, name), 16) for name in FIELDS[:3]]
    except (AttributeError, TypeError, ValueError):
        return None
    span = SpanContext(ids[0], ids[1], False, TraceFlags(ids[2]))
    return trace.set_span_in_context(NonRecordingSpan(span)) if span.is_valid else None


def message_and_extra(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """What was logged, and the further fields. Of structlog's `wrap_for_formatter`, the message is a dict."""
    extra = {name: value for name, value in vars(record).items() if name not in _NOT_EXTRA}
    if isinstance(record.msg, dict) and "event" in record.msg:
        of_structlog = {str(name): value for name, value in record.msg.items() if name not in _NOT_EXTRA}
        return str(of_structlog.pop("event")), {**of_structlog, **extra}
    return record.getMessage(), extra


def install_fields(namespace: AttributeValue, emitted: Callable[[str], bool]) -> None:
    """Puts the fields on each record that is made from now on. `emitted` says whether the record that a
    logger of this name makes went to OpenTelemetry already.
    """
    global _plain_factory, _namespace
    factory = _plain_factory = logging.getLogRecordFactory()
    _namespace = namespace
    _made.clear()

    def with_fields(name: str, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(name, *args, **kwargs)
        if name in _without:
            return record
        record.__dict__.update(current_fields())
        if emitted(name):
            setattr(record, EMITTED, True)
        return record

    logging.setLogRecordFactory(with_fields)


def leave_out(*names: str) -> None:
    """Records of these loggers get no fields from now on: only handlers that show the message see them."""
    _without.update(names)


def uninstall_fields() -> None:
    """Takes back what `install_fields` did."""
    global _plain_factory
    if _plain_factory:
        logging.setLogRecordFactory(_plain_factory)
        _plain_factory = None
