"""Dagster: the events of a run become operations, in the process and thread where each one happens.

With no code, in dagster.yaml:

    python_logs:
      dagster_handler_config:
        handlers:
          floe:
            class: floe_telemetry.dagster.DagsterEventHandler
            level: DEBUG

or with one line where the definitions are: `DagsterInstrumentor().instrument()`. Both at once are as good as
one.

A run's parent is what its tags `floe/traceparent` and `floe/baggage` say (`TelemetryProvider.run_tags` makes
them for a launcher), else the current span, else TRACEPARENT in the environment.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from floe_telemetry import provider as providers
from floe_telemetry._once import warn_once
from floe_telemetry.carriers import RUN_TAGS, normal_name
from floe_telemetry.contract import ExceptionInfo, OperationKind
from floe_telemetry.operation import Operation

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

FLUSH_SECONDS: Final = 1.0
_RUN_ENDS: Final = frozenset({"PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED"})
_STEP_STARTS: Final = frozenset({"STEP_START", "STEP_RESTARTED"})
_STEP_ENDS: Final = frozenset({"STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED", "STEP_UP_FOR_RETRY"})
_DAGSTERS_OWN_ERRORS: Final = "dagster._core.errors."

_Key = tuple[str, str | None]


class _Open:
    """An operation that goes on, and the environment as it was before."""

    def __init__(self, provider: TelemetryProvider, operation: Operation) -> None:
        self.operation: Final = operation
        names = [normal_name(field) for field in provider.propagator.fields]
        self._before: Final = {name: os.environ.get(name) for name in names}
        operation.attach()
        # For child processes: step workers, and dbt in a step.
        _set_environ({**dict.fromkeys(names), **provider.environ(operation.context)})

    def close(self, status: str, error: ExceptionInfo | None) -> None:
        self.operation.detach()
        self.operation.end(status, error=error)
        _set_environ(self._before)


_open: Final[dict[_Key, _Open]] = {}
_lock: Final = threading.Lock()


class DagsterEventHandler(logging.Handler):
    """Takes Dagster's events, and the messages of `context.log`. Uses the installed provider, else
    `init()`'s.
    """

    def createLock(self) -> None:
        """None is needed: what is shared has its own."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one event or message. Never raises: Dagster would fail the step."""
        try:
            provider = providers.installed() or providers.init()
            if not provider.enabled:
                return
            meta: Mapping[str, Any] = getattr(record, "dagster_meta", {})
            event = getattr(record, "dagster_event", None)
            if event is None:
                _log(provider, record, meta)
            else:
                _take(provider, event, meta)
        except Exception as error:
            warn_once(f"dagster {type(error)}", "an event of Dagster is lost to telemetry: %r", error)


def _take(provider: TelemetryProvider, event: Any, meta: Mapping[str, Any]) -> None:
    name = event.event_type_value
    run_id = str(meta.get("run_id"))
    if name == "PIPELINE_START":
        job = str(meta.get("job_name"))
        operation = provider.operation(OperationKind.DAGSTER_RUN, job, run_id=run_id)
        operation.begin(parent=_parent_of_run(provider, meta.get("job_tags") or {}))
        _keep((run_id, None), _Open(provider, operation))
    elif name in _RUN_ENDS:
        _close((run_id, None), name, _error(event))
        provider.force_flush(FLUSH_SECONDS)
    elif name in _STEP_STARTS:
        _keep((run_id, event.step_key), _Open(provider, _begin_step(provider, event, meta)))
    elif name in _STEP_ENDS:
        if not _close((run_id, event.step_key), name, _error(event)) and name == "STEP_FAILURE":
            # The step's own process died and took its span along.
            _begin_step(provider, event, meta).end(name, error=_error(event))
        if (run_id, None) not in _open:  # a step worker, which ends with its step
            provider.force_flush(FLUSH_SECONDS)


def _begin_step(provider: TelemetryProvider, event: Any, meta: Mapping[str, Any]) -> Operation:
    run_id = str(meta.get("run_id"))
    run = _open.get((run_id, None))
    step = _step_context()
    operation = provider.operation(
        OperationKind.ASSET_MATERIALIZATION,
        event.step_key,
        run_id=run_id,
        job=meta.get("job_name"),
        attempt=1 + (step.previous_attempt_count if step else 0),
        assets=sorted("/".join(key.path) for key in step.get_output_asset_keys()) if step else None,
    )
    parent = run.operation.context if run else _parent_of_step(provider, meta.get("job_tags") or {})
    return operation.begin(parent=parent)


def _step_context() -> Any:
    """The context of the step that is being executed, which knows its assets before they are made.

    Dagster hands it to no handler; it is a local variable of the function that logs the event.
    """
    frame = sys._getframe(1)
    for _ in range(30):
        step = frame.f_locals.get("step_context")
        if hasattr(step, "get_output_asset_keys"):
            return step
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None


def _keep(key: _Key, opened: _Open) -> None:
    with _lock:
        before = _open.pop(key, None)
        _open[key] = opened
    if before:
        before.operation.end("cancelled")


def _close(key: _Key, status: str, error: ExceptionInfo | None) -> bool:
    with _lock:
        opened = _open.pop(key, None)
    if opened is None:
        return False
    opened.close(status, error)
    return True


def _parent_of_run(provider: TelemetryProvider, tags: Mapping[str, str]) -> Context:
    current = otel_context.get_current()
    return _parent_of_tags(provider, tags) or (current if _has_span(current) else provider.context)


def _parent_of_step(provider: TelemetryProvider, tags: Mapping[str, str]) -> Context:
    """In a step worker: the run's span, by the environment that the run's process gave it."""
    return provider.context if _has_span(provider.context) else _parent_of_tags(provider, tags) or Context()


def _parent_of_tags(provider: TelemetryProvider, tags: Mapping[str, str]) -> Context | None:
    context = provider.propagator.extract(tags, Context(), RUN_TAGS[0])
    return context if _has_span(context) else None


def _has_span(context: Context) -> bool:
    return trace.get_current_span(context).get_span_context().is_valid


def _error(event: Any) -> ExceptionInfo | None:
    """The user's exception: Dagster wraps it in its own."""
    error = getattr(event.event_specific_data, "error", None)
    while error is not None and error.cause is not None and error.message.startswith(_DAGSTERS_OWN_ERRORS):
        error = error.cause
    if error is None:
        return None
    message = error.message.strip()
    # "package.ClassName: message"
    kind, colon, rest = message.partition(": ")
    named = bool(colon) and error.cls_name is not None and kind.endswith(error.cls_name)
    return ExceptionInfo(
        kind if named else error.cls_name or "", rest if named else message, "".join(error.stack)
    )


def _log(provider: TelemetryProvider, record: logging.LogRecord, meta: Mapping[str, Any]) -> None:
    from floe_telemetry import logs

    if (
        provider.sdk
        and provider.plan
        and record.levelno >= logging.getLevelNamesMapping()[provider.plan.logging.level]
    ):
        attributes = {
            f"floe.dagster.{name}": value
            for name in ("run_id", "step_key")
            if (value := meta.get(name)) is not None
        }
        logs.emit_record(
            provider.sdk.logger_provider,
            record,
            str(meta.get("orig_message", record.getMessage())),
            attributes,
        )


def _set_environ(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class DagsterInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Gives every run the handler of this module, as dagster.yaml would."""

    _active = False
    _hooked = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """The Dagster versions whose log manager is known."""
        return ["dagster >= 1.10"]

    def _instrument(self, **kwargs: Any) -> None:
        import wrapt

        type(self)._active = True
        if not self._hooked:
            type(self)._hooked = True
            # Once for the process: only when, and only if, Dagster is imported.
            wrapt.register_post_import_hook(self._wrap, "dagster._core.log_manager")

    def _uninstrument(self, **kwargs: Any) -> None:
        type(self)._active = False

    def _wrap(self, module: Any) -> None:
        import wrapt

        wrapt.wrap_function_wrapper(module, "DagsterLogManager.create", self._create)

    def _create(
        self, create: Callable[..., Any], manager: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """`create(loggers, handlers=None, instance=None, dagster_run=None)`."""
        arguments = dict(zip(("loggers", "handlers", "instance", "dagster_run"), args, strict=False)) | kwargs
        instance = arguments.get("instance")
        handlers = [*(arguments.get("handlers") or ())]
        present = [*handlers, *(instance.get_handlers() if instance else ())]
        if self._active and not any(isinstance(handler, DagsterEventHandler) for handler in present):
            arguments["handlers"] = [*handlers, DagsterEventHandler()]
        return create(**arguments)
