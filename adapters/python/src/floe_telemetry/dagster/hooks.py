"""Where Dagster is listened to: methods of its instance, which every process has and every event passes.

Each is wrapped once, whichever way in was taken and however often.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.context import Context

from floe_telemetry import provider as providers
from floe_telemetry._guard import Guard
from floe_telemetry._once import warn_once
from floe_telemetry.dagster import ticks
from floe_telemetry.dagster.runs import Event, Runs
from floe_telemetry.manifest import VARIABLE as MANIFEST_VARIABLE

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

D = TypeVar("D")
_Call = Callable[..., Any]
_Arguments = tuple[Any, ...]
_Options = dict[str, Any]

_guard: Final = Guard("an event of Dagster is lost to telemetry")
_step: Final[ContextVar[Any]] = ContextVar("floe_telemetry_dagster_step", default=None)
_runs: Final = Runs()
_hooked = False
_active = False


def install() -> None:
    """Listens to Dagster in this process, now or from when it is imported."""
    global _hooked, _active
    _active = True
    if not _hooked:
        import wrapt

        _hooked = True
        _make_manifest_absolute()
        storage = logging.getLogger("alembic")
        if storage.level == logging.NOTSET:  # it tells each process that Dagster's storage is as it should be
            storage.setLevel(logging.WARNING)
        for module, wrappers in _WRAPPERS.items():
            wrapt.register_post_import_hook(_wrapping(wrappers), module)


def _make_manifest_absolute() -> None:
    """Steps start dbt, and step workers, in directories of their own."""
    path = os.environ.get(MANIFEST_VARIABLE)
    if path:
        os.environ[MANIFEST_VARIABLE] = os.path.abspath(path)


def uninstall() -> None:
    """Does not listen any more."""
    global _active
    _active = False


def instrumented(definitions: D) -> D:
    """Makes telemetry of what these `Definitions` do, in every process that loads them."""
    install()
    return definitions


def context_of_step(run_id: str, step_key: str | None) -> Context | None:
    """The context of a step, or else of its run, if it goes on in this process."""
    return _runs.context_of(run_id, step_key)


def _wrapping(wrappers: dict[str, Callable[..., Any]]) -> Callable[[Any], None]:
    def wrap(module: Any) -> None:
        import wrapt

        for name, wrapper in wrappers.items():
            try:
                wrapt.wrap_function_wrapper(module, name, wrapper)
            except AttributeError:
                warn_once(f"dagster {name}", "this version of Dagster has no %s; what it tells is lost", name)

    return wrap


def provider() -> TelemetryProvider:
    """The installed one, else `init()`'s. Where no manifest is named, nobody asked for telemetry: a no-op."""
    installed = providers.installed()
    if installed is not None:
        return installed
    return providers.init() if os.environ.get(MANIFEST_VARIABLE) else _no_op()


@functools.cache
def _no_op() -> TelemetryProvider:
    return providers.TelemetryProvider()


def _log_step_event(call: _Call, _: Any, args: _Arguments, options: _Options) -> Any:
    """`log_step_event(step_context, event, batch_metadata)`: only here an event and its step meet."""
    token = _step.set(args[0] if args else options.get("step_context"))
    try:
        return call(*args, **options)
    finally:
        _step.reset(token)


def _handle_new_event(call: _Call, instance: Any, args: _Arguments, options: _Options) -> Any:
    """`DagsterInstance.handle_new_event(event)`, once it is stored."""
    result = call(*args, **options)
    if _active:
        with _guard:
            entry = args[0] if args else options["event"]
            if entry.dagster_event is not None and Runs.takes(entry.dagster_event.event_type_value):
                telemetry = provider()
                if telemetry.enabled:
                    _runs.take(telemetry, Event(instance, entry, _step.get()))
    return result


def _create_run(call: _Call, instance: Any, args: _Arguments, options: _Options) -> Any:
    """`DagsterInstance.create_run(*, tags, ...)`: a run is in the trace of who launches it. Newer Dagsters
    have it in `RunDomain`, where re-executions do not pass the instance.
    """
    if _active:
        with _guard:
            instance = getattr(instance, "_instance", instance)
            tags = ticks.tags_of_run(
                provider(), instance, options.get("tags"), retried=options.get("parent_run_id")
            )
            options = options | {"tags": tags}
    return call(*args, **options)


def _update_tick(call: _Call, instance: Any, args: _Arguments, options: _Options) -> Any:
    """`DagsterInstance.update_tick(tick)`."""
    result = call(*args, **options)
    if _active:
        with _guard:
            telemetry = provider()
            if telemetry.enabled:
                ticks.updated(telemetry, instance, args[0] if args else options["tick"])
    return result


def _get_handlers(call: _Call, _: Any, args: _Arguments, options: _Options) -> Any:
    """`DagsterInstance.get_handlers()`: the handlers of `context.log`."""
    handlers = call(*args, **options)
    if _active:
        with _guard:
            from floe_telemetry.dagster.handler import DagsterEventHandler

            if not any(isinstance(handler, DagsterEventHandler) for handler in handlers):
                return [*handlers, DagsterEventHandler()]
    return handlers


def _enter_tick_logger(call: _Call, logger: Any, args: _Arguments, options: _Options) -> Any:
    """`InstigationLogger.__enter__()`: `context.log` of a sensor or a schedule."""
    result = call(*args, **options)
    if _active:
        with _guard:
            from floe_telemetry.dagster.handler import DagsterEventHandler

            telemetry = provider()
            if telemetry.enabled:
                context = ticks.context_of_log(telemetry, logger)
                # Before Dagster's, which make text of an exception.
                logger.handlers.insert(0, DagsterEventHandler(context=context))
    return result


_WRAPPERS: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "dagster._core.instance": {
        "DagsterInstance.handle_new_event": _handle_new_event,
        "DagsterInstance.create_run": _create_run,
        "DagsterInstance.update_tick": _update_tick,
        "DagsterInstance.get_handlers": _get_handlers,
    },
    "dagster._core.instance.runs.run_domain": {"RunDomain.create_run": _create_run},
    "dagster._core.events": {"log_step_event": _log_step_event},
    "dagster._core.definitions.instigation_logger": {"InstigationLogger.__enter__": _enter_tick_logger},
}
