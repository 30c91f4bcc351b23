"""The standard library's logging: trace ids on every record, and records on their way to the Collector.

What a data engineer gets from `init()`:

- Every record has `trace_id`, `span_id`, `trace_flags` and `floe.namespace` as fields, for whatever formatter
  is in use.
- Records of the manifest's level and above go to the Collector, in addition to where they went before. The
  application's handlers, formatters and levels stay as they are, and `logging.basicConfig` and `dictConfig`
  still work after `init()`.
- A process that has set up no logging at all gets a console handler in the manifest's format and level, as
  `console()` does.
"""

from __future__ import annotations

import functools
import json
import logging
import logging.config
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.util.types import AnyValue

from floe_telemetry.contract import AttributeValue, Logging, Plan
from floe_telemetry.operation import type_name

_FIELDS: Final = ("trace_id", "span_id", "trace_flags", "floe.namespace")
_SECONDS: Final = "%Y-%m-%dT%H:%M:%S"
_EMITTED: Final = "_floe_emitted"
_STANDARD: Final = frozenset(
    (*vars(logging.makeLogRecord({})), *_FIELDS, _EMITTED, "message", "asctime", "taskName")
)
_OWN_LOGGERS: Final = ("opentelemetry", "urllib3", "requests", "grpc")
_SEVERITIES: Final = (
    (logging.CRITICAL, SeverityNumber.FATAL, "FATAL"),
    (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
    (logging.WARNING, SeverityNumber.WARN, "WARN"),
    (logging.INFO, SeverityNumber.INFO, "INFO"),
    (logging.DEBUG, SeverityNumber.DEBUG, "DEBUG"),
)


class OtlpHandler(logging.Handler):
    """Hands records to OpenTelemetry's logger of the same name, under the current span.

    Of what a record carries in `extra`, scalars become attributes. Records of the export machinery are left
    out: they would make more of themselves.
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
            emit_record(self._provider, record, record.getMessage(), {})
        except Exception:
            self.handleError(record)


def emit_record(
    provider: LoggerProvider, record: logging.LogRecord, body: str, attributes: dict[str, AnyValue]
) -> None:
    """Emits a record of the standard library once, whichever handlers it passes."""
    if not vars(record).get(_EMITTED):
        setattr(record, _EMITTED, True)
        emit(
            provider,
            record.name,
            record.levelno,
            body,
            timestamp=int(record.created * 1e9),
            attributes=_attributes(record) | attributes,
        )


def emit(
    provider: LoggerProvider,
    name: str,
    level: int,
    body: str,
    *,
    timestamp: int | None = None,
    attributes: dict[str, AnyValue] | None = None,
) -> None:
    """Emits a log record of this logger under the current span."""
    number, text = next(
        ((n, t) for least, n, t in _SEVERITIES if level >= least), (SeverityNumber.TRACE, "TRACE")
    )
    now = time.time_ns()
    provider.get_logger(name).emit(
        timestamp=timestamp or now,
        observed_timestamp=now,
        severity_number=number,
        severity_text=text,
        body=body,
        attributes=attributes,
    )


def _attributes(record: logging.LogRecord) -> dict[str, AnyValue]:
    attributes: dict[str, AnyValue] = {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and isinstance(value, (str, bool, int, float))
    }
    attributes["code.function.name"] = record.funcName
    attributes["code.file.path"] = record.pathname
    attributes["code.line.number"] = record.lineno
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        attributes["exception.type"] = type_name(type(error))
        attributes["exception.message"] = str(error)
        attributes["exception.stacktrace"] = _formatter.formatException(record.exc_info)
    return attributes


class JsonFormatter(logging.Formatter):
    """One JSON object a line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "timestamp": f"{time.strftime(_SECONDS, time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name in _FIELDS if (value := getattr(record, name, ""))},
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """A line for people, with the trace id where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without the traceback that may follow it."""
        trace_id = getattr(record, "trace_id", "")
        return super().formatMessage(record) + (f" [trace_id={trace_id}]" if trace_id else "")


_formatter: Final = logging.Formatter()
_otlp: OtlpHandler | None = None
_console: logging.Handler | None = None
_plain_factory: Callable[..., logging.LogRecord] | None = None
_original: dict[str, tuple[Any, Callable[..., None]]] = {}


def install(provider: LoggerProvider, plan: Plan) -> None:
    """Puts the fields on records, and the handler on the root logger if logs are exported."""
    global _otlp
    _install_fields(plan.attributes.get("floe.namespace", ""))
    root = logging.getLogger()
    if not root.handlers:
        # Without it the handler below would silence what Python prints when nothing is set up.
        console(plan.logging)
        root.setLevel(min(root.level, logging.getLevelNamesMapping()[plan.logging.level]))
    if plan.exporters.logs:
        _otlp = OtlpHandler(provider, plan.logging.level)
        root.addHandler(_otlp)
    for module, name in (
        (logging, "basicConfig"),
        (logging.config, "dictConfig"),
        (logging.config, "fileConfig"),
    ):
        _original[name] = (module, getattr(module, name))
        setattr(module, name, _keeping_ours(getattr(module, name)))


def uninstall() -> None:
    """Takes back what `install` did."""
    global _otlp, _console, _plain_factory
    root = logging.getLogger()
    for handler in (_otlp, _console):
        if handler:
            root.removeHandler(handler)
    _otlp = _console = None
    while _original:
        name, (module, function) = _original.popitem()
        setattr(module, name, function)
    if _plain_factory:
        logging.setLogRecordFactory(_plain_factory)
        _plain_factory = None


def console(settings: Logging) -> logging.Handler:
    """Adds a handler for standard error to the root logger, in the settings' format and level."""
    global _console
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.json else TextFormatter())
    handler.setLevel(settings.level)
    logging.getLogger().addHandler(handler)
    _console = handler
    return handler


def _install_fields(namespace: AttributeValue) -> None:
    global _plain_factory
    factory = _plain_factory = logging.getLogRecordFactory()

    def with_fields(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        span = trace.get_current_span().get_span_context()
        valid = span.is_valid
        vars(record).update(
            {
                "trace_id": f"{span.trace_id:032x}" if valid else "",
                "span_id": f"{span.span_id:016x}" if valid else "",
                "trace_flags": f"{span.trace_flags:02x}" if valid else "",
                "floe.namespace": namespace,
            }
        )
        return record

    logging.setLogRecordFactory(with_fields)


def _keeping_ours(configure: Callable[..., None]) -> Callable[..., None]:
    """Logging's own set-up, as if our handlers were not there: `basicConfig` does nothing where the root
    logger has handlers, and `dictConfig` removes those that it finds.
    """

    @functools.wraps(configure)
    def configured(*args: Any, **kwargs: Any) -> None:
        root = logging.getLogger()
        ours = [handler for handler in (_otlp, _console) if handler in root.handlers]
        for handler in ours:
            root.removeHandler(handler)
        try:
            configure(*args, **kwargs)
        finally:
            for handler in ours:
                if handler is _otlp or not root.handlers:
                    root.addHandler(handler)

    return configured
