"""structlog's records: with the fields, and to the Collector with theirs as attributes."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry._logs import LoggerProvider
from opentelemetry.util.types import AnyValue

from floe_telemetry._once import warn_once
from floe_telemetry.logs.emission import any_value, emit, exception_attributes
from floe_telemetry.logs.fields import current_fields
from floe_telemetry.logs.levels import passes

_LEVELS: Final = {"warn": logging.WARNING, "exception": logging.ERROR, "fatal": logging.CRITICAL}
_NOT_ATTRIBUTES: Final = frozenset(
    ("event", "exc_info", "level", "logger", "timestamp", "_record", "_from_structlog")
)

_provider: LoggerProvider | None = None
_emitting: Final[ContextVar[str | None]] = ContextVar("emitting", default=None)
"""The logger of the record that is made next, where the processor sent it."""


def set_provider(provider: LoggerProvider | None) -> None:
    """Where records go; nowhere without."""
    global _provider
    _provider = provider


def structlog_processor(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A processor of structlog: it adds `trace_id`, `span_id`, `trace_flags` and `floe.namespace`, and hands
    the record to OpenTelemetry. Put it last before the renderer, whether structlog prints by itself or by
    `logging`, where the record is not sent a second time:

        structlog.configure(processors=[..., floe_telemetry.logs.structlog_processor, JSONRenderer()])
    """
    fields = {name: value for name, value in current_fields().items() if value}
    if _provider is not None:
        try:
            _emit(_provider, logger, method, event)
        except Exception as error:
            warn_once("structlog", "a record of structlog could not be sent: %s", error)
    event.update(fields)
    return event


def emitted(name: str) -> bool:
    """Whether the record that is made now for this logger was sent by the processor."""
    if _emitting.get() != name:
        return False
    _emitting.set(None)
    return True


def _emit(provider: LoggerProvider, logger: Any, method: str, event: MutableMapping[str, Any]) -> None:
    by_logging = isinstance(logger, logging.Logger)
    name = logger.name if by_logging else str(event.get("logger", "structlog"))
    level = _LEVELS.get(method) or logging.getLevelNamesMapping().get(method.upper(), logging.INFO)
    if by_logging and not logger.isEnabledFor(level):
        return
    if by_logging:
        _emitting.set(name)
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
    emit(provider, name, level, str(event.get("event", "")), attributes=attributes)
