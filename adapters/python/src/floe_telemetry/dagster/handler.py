"""The messages of `context.log`, and of the loggers that Dagster manages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.util.types import AnyValue

from floe_telemetry import logs
from floe_telemetry._guard import Guard
from floe_telemetry.dagster import errors, hooks

_guard: Final = Guard("a message of Dagster is lost to telemetry")
_IDENTITY: Final = ("run_id", "step_key")
_HOOK_ERRORED: Final = "HOOK_ERRORED"


class DagsterEventHandler(logging.Handler):
    """Takes what `context.log` says, as log records in the context of the step, the sensor or the schedule
    that says it. In dagster.yaml, it makes telemetry of the events of runs and steps as well. Uses the
    installed provider, else `init()`'s.
    """

    def __init__(self, level: int | str = logging.NOTSET, *, context: Context | None = None) -> None:
        super().__init__(level)
        # Only a program that uses Dagster has a handler, and only it pays for the import.
        from dagster._core.log_manager import DagsterLogHandler

        self._context: Final = context
        hooks.install()
        logs.enriched_by(DagsterLogHandler)

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the handler's lock: what is shared here has its own."""
        found: Any = self.filter(record)  # from Python 3.12 on, it may be another record
        if found:
            self.emit(found if isinstance(found, logging.LogRecord) else record)
        return bool(found)

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one message. Never raises: Dagster would fail the step."""
        event = getattr(record, "dagster_event", None)
        if event is not None and event.event_type_value != _HOOK_ERRORED:
            return  # which the instance tells of
        with _guard:
            provider = hooks.provider()
            # `context.log` is no logger of the standard library. The one of its name has the level that
            # Dagster sets for its servers' console.
            if provider.sdk is not None and logs.asked(record.name, record.levelno):
                meta: Mapping[str, Any] = getattr(record, "dagster_meta", {})
                attributes: dict[str, AnyValue] = {
                    f"floe.dagster.{name}": str(meta[name]) for name in _IDENTITY if meta.get(name)
                }
                # A hook runs when its step has ended, which stays as it ended.
                if event is not None and (error := errors.of_event(event)) is not None:
                    attributes |= {
                        "exception.type": error.type,
                        "exception.message": error.message,
                        "exception.stacktrace": error.stacktrace,
                    }
                body = str(meta.get("orig_message") or record.getMessage())
                self._emit(provider.sdk.logger_provider, record, body, attributes)

    def _emit(
        self, provider: Any, record: logging.LogRecord, body: str, attributes: dict[str, AnyValue]
    ) -> None:
        context = self._context
        if context is None and not trace.get_current_span().get_span_context().is_valid:
            # A thread of the step's own, which does not inherit its context.
            run_id, step_key = (attributes.get(f"floe.dagster.{name}") for name in _IDENTITY)
            context = hooks.context_of_step(str(run_id), str(step_key) if step_key else None)
        token = otel_context.attach(context) if context is not None else None
        try:
            logs.emit_record(provider, record, body, attributes)
        finally:
            if token is not None:
                otel_context.detach(token)
