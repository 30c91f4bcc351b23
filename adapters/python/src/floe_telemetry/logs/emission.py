"""Records on their way to OpenTelemetry's logger of the same name."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_value
from opentelemetry.util.types import AnyValue

from floe_telemetry._once import warn_once
from floe_telemetry.logs.fields import EMITTED, context_of, exception_of, extra_of, message_of, text_of
from floe_telemetry.operation import exception_info

_OWN_LOGGERS: Final = ("opentelemetry", "urllib3", "requests", "grpc")
_SEVERITIES: Final = (
    (logging.CRITICAL, SeverityNumber.FATAL, "FATAL"),
    (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
    (logging.WARNING, SeverityNumber.WARN, "WARN"),
    (logging.INFO, SeverityNumber.INFO, "INFO"),
    (logging.DEBUG, SeverityNumber.DEBUG, "DEBUG"),
)
_STANDARD_NAMES: Final = frozenset(
    ("CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET")
)
_DEEPEST: Final = 16
_INT64: Final = 1 << 63
_MOST_NESTED: Final = 2


class _Depth(threading.local):
    """How many of our handlers this thread is in."""

    now = 0


_depth: Final = _Depth()


@contextmanager
def guarded(what: str) -> Iterator[bool]:
    """Nothing of ours reaches the call that logs, but what interrupts it: Ctrl-C arrives anywhere.

    What is shown of a record may itself log, and so on for ever. Answers whether that is still bounded.
    """
    _depth.now += 1
    try:
        yield _depth.now <= _MOST_NESTED
    except Exception as error:
        warn_once(f"{what} {type(error).__name__}", "%s: a record was lost: %r", what, error)
    finally:
        _depth.now -= 1


class OtlpHandler(logging.Handler):
    """Hands records to OpenTelemetry's logger of the same name, under the current span, or under the one
    whose ids the record has.

    What a record carries in `extra` becomes attributes. Records of the export machinery are left out: they
    would make more of themselves.
    """

    def __init__(self, provider: LoggerProvider, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._provider = provider

    def handle(self, record: logging.LogRecord) -> bool:
        """Emits a record that passes the filters. No lock is held: the processor's queue needs none."""
        with guarded("telemetry of logs") as bounded:
            if bounded and (passed := self.filter(record)):
                self.emit(passed if isinstance(passed, logging.LogRecord) else record)
                return True
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Emits a record."""
        if is_exportable(record):
            emit_record(self._provider, record, message_of(record), {})


def is_exportable(record: logging.LogRecord) -> bool:
    """Whether a record is not of the export's own making."""
    return not (str(record.name).startswith(_OWN_LOGGERS) or get_value(_SUPPRESS_INSTRUMENTATION_KEY))


def emit_record(
    provider: LoggerProvider, record: logging.LogRecord, body: str, attributes: dict[str, AnyValue]
) -> None:
    """Emits a record of the standard library once, whichever handlers it passes."""
    if not vars(record).get(EMITTED):
        setattr(record, EMITTED, True)
        emit(
            provider,
            str(record.name),
            record.levelno,
            body,
            timestamp=int(record.created * 1e9) if isinstance(record.created, (int, float)) else None,
            attributes=_attributes(record) | attributes,
            context=context_of(record),
            level_name=record.levelname,
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
    level_name: str | None = None,
) -> None:
    """Emits a log record of this logger in this context, by default the current one. The name of a level that
    is not the standard library's is kept.
    """
    severity, text = next(
        ((n, t) for least, n, t in _SEVERITIES if level >= least), (SeverityNumber.TRACE, "TRACE")
    )
    if level_name and level_name not in _STANDARD_NAMES and not level_name.startswith("Level "):
        text = level_name
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
    info = exception_info(error)
    return {
        "exception.type": info.type,
        "exception.message": info.message,
        "exception.stacktrace": info.stacktrace.rstrip("\n"),
    }


def any_value(value: Any, around: tuple[int, ...] = ()) -> AnyValue:
    """A value as OpenTelemetry knows it. What is no scalar, list or mapping is its text, and so is a number
    of more than 64 bits.
    """
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return _digits(value)
    if value is None or isinstance(value, (str, bool, int, float, bytes)):
        return value
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        if id(value) in around or len(around) >= _DEEPEST:  # a list may hold itself
            return "..."
        inside = (*around, id(value))
        try:
            if isinstance(value, Mapping):
                return {text_of(key): any_value(each, inside) for key, each in value.items()}
            return [any_value(each, inside) for each in value]
        except RecursionError:
            raise
        except Exception:  # a collection of the application's own that fails, or changes meanwhile
            return text_of(value)
    return text_of(value)


def _digits(value: int) -> str:
    """Python refuses to write numbers of thousands of digits as decimals."""
    return str(value) if value.bit_length() < 10_000 else hex(value)


def _attributes(record: logging.LogRecord) -> dict[str, AnyValue]:
    attributes = {name: any_value(value) for name, value in extra_of(record).items()}
    for name, value in (
        ("code.function.name", record.funcName),
        ("code.file.path", record.pathname),
        ("code.line.number", record.lineno),
        ("thread.id", record.thread),
        ("thread.name", record.threadName),
        ("code.stacktrace", record.stack_info),
        ("floe.log.task", vars(record).get("taskName")),
    ):
        if value is not None and value != "":
            attributes[name] = any_value(value)
    if record.processName not in (None, "", "MainProcess"):
        attributes["floe.log.process"] = any_value(record.processName)
    if (error := exception_of(record)) is not None:
        attributes |= exception_attributes(error)
    elif record.exc_text:  # of a record that came from another process, which had the exception
        attributes["exception.stacktrace"] = any_value(record.exc_text)
    return attributes
