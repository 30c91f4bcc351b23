"""Records on their way to OpenTelemetry's logger of the same name."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_value
from opentelemetry.util.types import AnyValue

from floe_telemetry.logs.fields import EMITTED, context_of, message_and_extra
from floe_telemetry.operation import type_name

_OWN_LOGGERS: Final = ("opentelemetry", "urllib3", "requests", "grpc")
_SEVERITIES: Final = (
    (logging.CRITICAL, SeverityNumber.FATAL, "FATAL"),
    (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
    (logging.WARNING, SeverityNumber.WARN, "WARN"),
    (logging.INFO, SeverityNumber.INFO, "INFO"),
    (logging.DEBUG, SeverityNumber.DEBUG, "DEBUG"),
)
_DEEPEST: Final = 16
_INT64: Final = 1 << 63
_formatter: Final = logging.Formatter()


class OtlpHandler(logging.Handler):
    """Hands records to OpenTelemetry's logger of the same name, under the current span, or under the one
    whose ids the record has.

    What a record carries in `extra` becomes attributes. Records of the export machinery are left out: they
    would make more of themselves.
    """

    def __init__(self, provider: LoggerProvider, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._provider = provider

    def createLock(self) -> None:
        """None is needed: the processor's queue is safe for threads."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Emits a record."""
        if record.name.startswith(_OWN_LOGGERS) or get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            return
        try:
            emit_record(self._provider, record, message_and_extra(record)[0], {})
        except Exception:
            self.handleError(record)


def emit_record(
    provider: LoggerProvider, record: logging.LogRecord, body: str, attributes: dict[str, AnyValue]
) -> None:
    """Emits a record of the standard library once, whichever handlers it passes."""
    if not vars(record).get(EMITTED):
        setattr(record, EMITTED, True)
        emit(
            provider,
            record.name,
            record.levelno,
            body,
            timestamp=int(record.created * 1e9),
            attributes=_attributes(record) | attributes,
            context=context_of(record),
        )


def emit(
    provider: LoggerProvider,
    name: str,
    level: int,
    body: str,
    *,
    timestamp: int | None = None,
    attributes: dict[str, AnyValue] | None = None,
    context: Context | None = None,
    event_name: str | None = None,
) -> None:
    """Emits a log record of this logger in this context, by default the current one."""
    severity, text = next(
        ((n, t) for least, n, t in _SEVERITIES if level >= least), (SeverityNumber.TRACE, "TRACE")
    )
    now = time.time_ns()
    provider.get_logger(name).emit(
        LogRecord(
            timestamp=timestamp or now,
            observed_timestamp=now,
            context=context,
            severity_number=severity,
            severity_text=text,
            body=body,
            attributes=attributes,
            event_name=event_name,
        )
    )


def exception_attributes(error: BaseException) -> dict[str, AnyValue]:
    """The exception as OpenTelemetry's attributes."""
    return {
        "exception.type": type_name(type(error)),
        "exception.message": str(error),
        "exception.stacktrace": _formatter.formatException((type(error), error, error.__traceback__)),
    }


def any_value(value: Any, around: tuple[int, ...] = ()) -> AnyValue:
    """A value as OpenTelemetry knows it. What is no scalar, list or mapping is its text, and so is a number
    of more than 64 bits.
    """
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return str(value)
    if value is None or isinstance(value, (str, bool, int, float, bytes)):
        return value
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        if id(value) in around or len(around) >= _DEEPEST:  # a list may hold itself
            return "..."
        inside = (*around, id(value))
        if isinstance(value, Mapping):
            return {str(key): any_value(each, inside) for key, each in value.items()}
        return [any_value(each, inside) for each in value]
    return str(value)


def _attributes(record: logging.LogRecord) -> dict[str, AnyValue]:
    attributes = {name: any_value(value) for name, value in message_and_extra(record)[1].items()}
    attributes["code.function.name"] = record.funcName
    attributes["code.file.path"] = record.pathname
    attributes["code.line.number"] = record.lineno
    if record.exc_info and record.exc_info[1] is not None:
        attributes |= exception_attributes(record.exc_info[1])
    return attributes
