"""The process's logging, set up and taken back.

What every record passes is `Logger.handle` and `Logger.callHandlers`, whoever made it and whatever handlers
its logger has. So the fields and the export are there, not in a handler or a factory of records, which
applications replace, remove and clear.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, Final

from opentelemetry._logs import LoggerProvider

from floe_telemetry._once import warn_once
from floe_telemetry.contract import Logging, Plan
from floe_telemetry.logs.console import ConsoleHandler, JsonFormatter, TextFormatter
from floe_telemetry.logs.emission import OtlpHandler
from floe_telemetry.logs.fields import EMITTED, add_fields, is_left_out, set_namespace
from floe_telemetry.logs.levels import LevelFilter, apply_levels, number, restore_levels
from floe_telemetry.logs.structlog import emitted, set_provider
from floe_telemetry.redaction import Redactor

_otlp: OtlpHandler | None = None
_console: logging.Handler | None = None
"""Where an application that has set up no logging sees its records."""
_added: list[logging.Handler] = []
_enriching: Final[set[type[logging.Handler]]] = set()
_restore: list[Callable[[], object]] = []


def install(provider: LoggerProvider, plan: Plan, redactor: Redactor) -> None:
    """Puts the fields on records, exports them if logs are exported, and shows them if nobody else does."""
    global _otlp, _console
    set_namespace(plan.attributes.get("floe.namespace", ""))
    apply_levels(plan.logging)
    root = logging.getLogger()
    if plan.exporters.logs:
        _otlp = OtlpHandler(provider)
        _otlp.addFilter(LevelFilter())
        set_provider(provider)
    if not root.handlers:
        _console = _handler(plan.logging, redactor)
        _patch(logging, "lastResort", _console)
        _patch(logging, "basicConfig", _unless_shown(logging.basicConfig))
        level = min(root.level, number(plan.logging.level))
        if root.level != level:
            _restore.append(functools.partial(_reset_level, root, root.level, level))
            root.setLevel(level)
    _patch(logging.Logger, "handle", _with_fields(logging.Logger.handle))
    _patch(logging.Logger, "callHandlers", _exporting(logging.Logger.callHandlers))


def uninstall() -> None:
    """Takes back what `install` and `console` did."""
    global _otlp, _console
    while _restore:
        _restore.pop()()
    while _added:
        logging.getLogger().removeHandler(_added.pop())
    _otlp = _console = None
    set_provider(None)
    restore_levels()


def console(settings: Logging, redactor: Redactor) -> logging.Handler:
    """Adds a handler for standard error to the root logger, in the settings' format."""
    handler = _handler(settings, redactor)
    logging.getLogger().addHandler(handler)
    _added.append(handler)
    return handler


def enriched_by(handler: type[logging.Handler]) -> None:
    """Handlers of this class pass records on to handlers of ours, with more than the logging call said: what
    they get is exported when they had it.
    """
    _enriching.add(handler)


def _handler(settings: Logging, redactor: Redactor) -> logging.Handler:
    handler = ConsoleHandler()
    handler.setFormatter(JsonFormatter(redactor) if settings.json else TextFormatter(redactor))
    handler.addFilter(LevelFilter())
    return handler


def _with_fields(handle: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handle)
    def with_fields(self: logging.Logger, record: logging.LogRecord) -> Any:
        try:
            if not is_left_out(record.name):
                add_fields(record)
                if emitted(record.name, record.levelno):
                    setattr(record, EMITTED, True)
        except Exception as error:
            warn_once(f"fields {type(error).__name__}", "a log record has no trace ids: %r", error)
        return handle(self, record)

    return with_fields


def _exporting(call_handlers: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call_handlers)
    def exporting(self: logging.Logger, record: logging.LogRecord) -> Any:
        otlp, shown, late = _otlp, _console, False
        try:
            # A logger that is made by hand belongs to who made it.
            known = self is logging.root or self.manager.loggerDict.get(self.name) is self
            if not known or is_left_out(self.name):
                otlp = None
            handlers = _handlers(self)
            late = bool(_enriching) and any(type(each) in _enriching for each in handlers)
            # Python's last resort shows what no handler takes at all.
            if not handlers or any(not isinstance(each, _SILENT) for each in handlers):
                shown = None
        except Exception as error:
            warn_once(f"handlers {type(error).__name__}", "a log record is not exported: %r", error)
        if otlp is not None and not late:
            otlp.handle(record)
        try:
            return call_handlers(self, record)
        finally:
            if otlp is not None and late:
                otlp.handle(record)
            if shown is not None:
                shown.handle(record)

    return exporting


_SILENT: Final = (OtlpHandler, logging.NullHandler)


def _handlers(logger: logging.Logger | None) -> list[logging.Handler]:
    """The handlers that a logger's records reach."""
    handlers: list[logging.Handler] = []
    while logger is not None:
        handlers += logger.handlers
        logger = logger.parent if logger.propagate else None
    return handlers


def _unless_shown(basic_config: Callable[..., None]) -> Callable[..., None]:
    """`logging.info()` and its kind set up a console where there is none: ours is there."""

    @functools.wraps(basic_config)
    def configured(**kwargs: Any) -> None:
        if kwargs or sys._getframe(1).f_globals is not vars(logging):
            basic_config(**kwargs)

    return configured


def _patch(owner: Any, name: str, value: Any) -> None:
    """Sets an attribute until it is taken back, unless somebody else set it since."""
    before = getattr(owner, name)
    setattr(owner, name, value)

    def restore() -> None:
        if getattr(owner, name) is value:
            setattr(owner, name, before)

    _restore.append(restore)


def _reset_level(logger: logging.Logger, before: int, ours: int) -> None:
    if logger.level == ours:
        logger.setLevel(before)
