"""The process's logging, set up and taken back."""

from __future__ import annotations

import functools
import logging
import logging.config
from collections.abc import Callable
from typing import Any

from opentelemetry._logs import LoggerProvider

from floe_telemetry.contract import Logging, Plan
from floe_telemetry.logs.console import JsonFormatter, TextFormatter
from floe_telemetry.logs.emission import OtlpHandler
from floe_telemetry.logs.fields import install_fields, uninstall_fields
from floe_telemetry.logs.levels import LevelFilter, apply_levels, number, restore_levels
from floe_telemetry.logs.structlog import emitted, set_provider
from floe_telemetry.redaction import Redactor

_otlp: OtlpHandler | None = None
_console: logging.Handler | None = None
_original: dict[str, tuple[Any, Callable[..., None]]] = {}


def install(provider: LoggerProvider, plan: Plan, redactor: Redactor) -> None:
    """Puts the fields on records, and the handler on the root logger if logs are exported."""
    global _otlp
    install_fields(plan.attributes.get("floe.namespace", ""), emitted)
    apply_levels(plan.logging)
    root = logging.getLogger()
    if not root.handlers:
        # Without it the handler below would silence what Python prints when nothing is set up.
        console(plan.logging, redactor).addFilter(_is_shown_by_nobody)
        root.setLevel(min(root.level, number(plan.logging.level)))
    if plan.exporters.logs:
        _otlp = OtlpHandler(provider)
        _otlp.addFilter(LevelFilter())
        root.addHandler(_otlp)
        set_provider(provider)
    for module, name in (
        (logging, "basicConfig"),
        (logging.config, "dictConfig"),
        (logging.config, "fileConfig"),
    ):
        _original[name] = (module, getattr(module, name))
        setattr(module, name, _keeping_ours(getattr(module, name)))


def uninstall() -> None:
    """Takes back what `install` did."""
    global _otlp, _console
    root = logging.getLogger()
    for handler in (_otlp, _console):
        if handler:
            root.removeHandler(handler)
    _otlp = _console = None
    set_provider(None)
    while _original:
        name, (module, function) = _original.popitem()
        setattr(module, name, function)
    uninstall_fields()
    restore_levels()


def console(settings: Logging, redactor: Redactor) -> logging.Handler:
    """Adds a handler for standard error to the root logger, in the settings' format."""
    global _console
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(redactor) if settings.json else TextFormatter(redactor))
    handler.addFilter(LevelFilter())
    logging.getLogger().addHandler(handler)
    _console = handler
    return handler


def _is_shown_by_nobody(record: logging.LogRecord) -> bool:
    """Whether no logger below the root has a handler that shows the record, as Dagster's servers have."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None and logger.parent is not None:
        if any(not isinstance(handler, (OtlpHandler, logging.NullHandler)) for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True


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
