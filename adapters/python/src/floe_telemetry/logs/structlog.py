"""structlog's records: with the fields, and to the Collector with theirs as attributes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry._logs import LoggerProvider
from opentelemetry.util.types import AnyValue

from floe_telemetry._once import warn_once
from floe_telemetry.logs.emission import any_value, emit, exception_attributes
from floe_telemetry.logs.fields import FIELDS, current_fields, text_of
from floe_telemetry.logs.levels import passes

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
_NOT_ATTRIBUTES: Final = frozenset(
    ("event", "exc_info", "stack_info", "level", "logger", "timestamp", "_record", "_from_structlog")
)

_provider: LoggerProvider | None = None
_emitting: Final[ContextVar[tuple[str, int] | None]] = ContextVar("emitting", default=None)
"""The logger and the level of the record that is made next, where the processor sent it."""


def set_provider(provider: LoggerProvider | None) -> None:
    """Where records go; nowhere without."""
    global _provider
    _provider = provider


def structlog_processor(logger: Any, method: str, event: Any) -> Any:
    """A processor of structlog: it adds `trace_id`, `span_id`, `trace_flags` and `floe.namespace`, and hands
    the record to OpenTelemetry. Put it last before the renderer, whether structlog prints by itself or by
    `logging`, where the record is not sent a second time:

        structlog.configure(processors=[..., floe_telemetry.logs.structlog_processor, JSONRenderer()])

    A field that the application gave stays as it is. Never raises.
    """
    try:
        return _processed(logger, method, event)
    except Exception as error:
        _lost(error)
        return event


def _lost(error: Exception) -> None:
    kind = type(error).__name__
    warn_once(f"structlog {kind}", "a record of structlog could not be exported: %r", error)


def emitted(name: str, level: int) -> bool:
    """Whether the record that is made now by this logger was sent by the processor."""
    if _emitting.get() != (name, level):
        return False
    _emitting.set(None)
    return True


def _processed(logger: Any, method: str, event: Any) -> Any:
    while isinstance(logger, logging.LoggerAdapter):
        logger = logger.logger
    target = logger if isinstance(logger, logging.Logger) else None
    if not isinstance(event, MutableMapping):  # rendered already
        if target is None and isinstance(event, (str, bytes)) and _provider is not None:
            text = event.decode(errors="replace") if isinstance(event, bytes) else event
            _emit(_provider, None, method, {"event": text})
        return event
    if "_record" in event:  # of `ProcessorFormatter`, which shows a record that its logger exports
        fields: Mapping[str, Any] = vars(event["_record"])
    elif target is not None and isinstance(event.get("extra"), dict) and "event" not in event:
        return event  # of `render_to_log_kwargs`: the logger's arguments, which takes no others
    else:
        fields = current_fields()
        if _provider is not None:
            try:
                _emit(_provider, target, method, event)
            except Exception as error:
                _lost(error)
    for name in FIELDS:
        if fields.get(name):
            event.setdefault(name, fields[name])
    return event


def _emit(
    provider: LoggerProvider, target: logging.Logger | None, method: str, event: Mapping[str, Any]
) -> None:
    level = _LEVELS.get(method.lower(), logging.INFO)
    name = target.name if target is not None else str(event.get("logger", "structlog"))
    if target is not None:
        if not target.isEnabledFor(level):
            return
        _emitting.set((name, level))
    if not passes(name, level):
        return
    attributes: dict[str, AnyValue] = {
        str(key): any_value(value) for key, value in event.items() if key not in _NOT_ATTRIBUTES
    }
    error = event.get("exc_info")
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        attributes |= exception_attributes(error)
    elif "exception" in attributes:  # rendered by structlog's format_exc_info
        attributes["exception.stacktrace"] = attributes.pop("exception")
    if "stack" in attributes:  # rendered by structlog's StackInfoRenderer
        attributes["code.stacktrace"] = attributes.pop("stack")
    body = next((event[key] for key in ("event", "message", "msg") if key in event), "")
    emit(provider, name, level, text_of(body), attributes=attributes)
