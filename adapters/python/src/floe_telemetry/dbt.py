"""dbt: its structured events become operations and log records.

Three ways in, of which any number may be on at once: `dbt_floe_telemetry` for plain `dbt build`,
`DbtInstrumentor` for `dbtRunner` in one's own process, and the command `floe-telemetry-py dbt`.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from floe_telemetry import provider as providers
from floe_telemetry._once import warn_once
from floe_telemetry.contract import ExceptionInfo, OperationKind
from floe_telemetry.operation import Operation, exception_info

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

FLUSH_SECONDS: Final = 1.0
_LEVELS: Final = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_COLOURS: Final = re.compile("\x1b\\[[0-9;]*m")


class Invocation:
    """One dbt command, as a callback of dbt's event manager.

    dbt calls it in its worker threads. It neither raises nor waits: an exception in a callback makes dbt
    hang, or report a model as failed whose SQL succeeded.
    """

    def __init__(self, provider: TelemetryProvider) -> None:
        self._provider: Final = provider
        self._lock: Final = threading.Lock()
        self._command: Operation | None = None
        self._nodes: Final[dict[str, Operation]] = {}
        self._error: ExceptionInfo | None = None
        self._ended = False

    def __call__(self, message: Any) -> None:
        """Takes one event."""
        try:
            self._take(message)
        except KeyboardInterrupt:  # the user's: dbt ends by it
            raise
        except BaseException as error:
            warn_once(f"dbt {type(error)}", "an event of dbt is lost to telemetry: %r", error)

    def begin(self) -> None:
        """Begins the command's operation, from when dbt says that it started."""
        with self._lock:
            if self._command is not None or self._ended:
                return
            from dbt.flags import get_flags
            from dbt.version import __version__
            from dbt_common.invocation import get_invocation_id, get_invocation_started_at

            flags = get_flags()
            command = str(getattr(flags, "WHICH", None) or "unknown")
            facts: dict[str, object] = {
                "invocation_id": get_invocation_id(),
                "version": str(__version__).lstrip("="),
                "select": _texts(getattr(flags, "SELECT", None)),
                "exclude": _texts(getattr(flags, "EXCLUDE", None)),
                "target": getattr(flags, "TARGET", None),
            }
            self._command = self._provider.operation(OperationKind.DBT_INVOCATION, command, **facts)
            self._command.begin(start_time=_nanoseconds(get_invocation_started_at()))
            self._command.attach()

    def end(self, status: str | None = None, error: BaseException | None = None) -> None:
        """Ends the command's operation, and those of nodes that never ended, and sends what waits for a
        second.
        """
        with self._lock:
            command, self._command, self._ended = self._command, None, True
            nodes = list(self._nodes.values())
            self._nodes.clear()
        if command is None:
            return
        for node in nodes:
            node.end("cancelled")
        failure = self._error or (exception_info(error) if error else None)
        command.detach()
        command.end("error" if failure and status != "success" else status, error=failure)
        self._provider.force_flush(FLUSH_SECONDS)

    def _take(self, message: Any) -> None:
        name = message.info.name
        if name == "NodeStart":
            self._node_starts(message.data.node_info)
        elif name == "NodeFinished":
            self._node_ends(message.data.node_info, message.data.run_result)
        elif name == "CommandCompleted":
            self.end("success" if message.data.success else "failure")
            return
        elif name == "MainEncounteredError":
            self._error = ExceptionInfo("", message.data.exc, "")
        elif name == "MainStackTrace" and self._error:
            self._error = ExceptionInfo("", self._error.message, message.data.stack_trace)
        self.begin()
        level = _LEVELS.get(message.info.level)
        if level is not None:
            self._log(level, message.info)

    def _node_starts(self, node: Any) -> None:
        self.begin()
        command = self._command
        if command is None:
            return
        operation = self._provider.operation(
            OperationKind.DBT_NODE,
            node.node_name,
            unique_id=node.unique_id,
            resource_type=node.resource_type,
            materialized=node.materialized or None,
            database=node.node_relation.database or None,
            schema=node.node_relation.schema or None,
            relation=node.node_relation.relation_name or None,
            path=node.node_path or None,
            thread=threading.current_thread().name,
        )
        operation.begin(start_time=_nanoseconds_of_text(node.node_started_at), parent=command.context)
        operation.attach()
        with self._lock:
            self._nodes[node.unique_id] = operation

    def _node_ends(self, node: Any, result: Any) -> None:
        with self._lock:
            operation = self._nodes.pop(node.unique_id, None)
        if operation is None:
            return
        operation.detach()
        answer = dict(result.adapter_response)
        status = result.status or node.node_status
        operation.end(
            status,
            end_time=_nanoseconds_of_text(node.node_finished_at),
            # A result that is not good says why in its message; the others say `OK` there.
            error=ExceptionInfo("", result.message, "") if result.message else None,
            node_status=status,
            adapter_message=answer.get("_message"),
            rows_affected=_integer(answer.get("rows_affected")),
            failures=result.num_failures if node.resource_type in ("test", "unit_test") else None,
        )

    def _log(self, level: int, info: Any) -> None:
        sdk, plan = self._provider.sdk, self._provider.plan
        text = _COLOURS.sub("", info.msg).strip()
        if (
            sdk is None
            or plan is None
            or not text
            or level < logging.getLevelNamesMapping()[plan.logging.level]
        ):
            return
        from floe_telemetry import logs

        attributes = {"floe.dbt.event": info.name, "floe.dbt.code": info.code}
        logs.emit(sdk.logger_provider, "dbt", level, text, attributes=attributes)


def plugin() -> type[Any]:
    """dbt's plugin class, made here because its base class may only be imported inside dbt."""
    from dbt.plugins.manager import dbtPlugin

    class FloeTelemetryPlugin(dbtPlugin):
        """Joins the command that dbt is running."""

        def initialize(self) -> None:
            """Called by dbt once for each command."""
            try:
                from dbt_common.events.event_manager_client import get_event_manager

                callbacks = get_event_manager().callbacks
                if any(isinstance(callback, Invocation) for callback in callbacks):
                    return
                invocation = Invocation(providers.init())
                callbacks.append(invocation)
                invocation.begin()
            except Exception as error:
                warn_once("dbt plugin", "dbt runs without telemetry: %r", error)

    return FloeTelemetryPlugin


class DbtInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments `dbtRunner.invoke`. `instrument(provider=...)` takes a provider; by default the installed
    one, else `init()`'s.
    """

    _provider: TelemetryProvider | None = None
    _active = False
    _hooked = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """The dbt versions whose events are known."""
        return ["dbt-core >= 1.10"]

    def _instrument(self, **kwargs: Any) -> None:
        import wrapt

        type(self)._provider = kwargs.get("provider")
        type(self)._active = True
        if not self._hooked:
            type(self)._hooked = True
            # Once for the process: only when, and only if, dbt is imported.
            wrapt.register_post_import_hook(self._wrap, "dbt.cli.main")

    def _uninstrument(self, **kwargs: Any) -> None:
        type(self)._active = False

    def _wrap(self, module: Any) -> None:
        import wrapt

        wrapt.wrap_function_wrapper(module, "dbtRunner.invoke", self._invoke)

    def _invoke(
        self, invoke: Callable[..., Any], runner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not self._active:
            return invoke(*args, **kwargs)
        invocation = Invocation(self._provider or providers.installed() or providers.init())
        callbacks = runner.callbacks
        runner.callbacks = [*callbacks, invocation]
        result = None
        try:
            result = invoke(*args, **kwargs)
            return result
        finally:
            runner.callbacks = callbacks
            # dbt's last event ended it, unless dbt gave up before that.
            with contextlib.suppress(Exception):
                succeeded = getattr(result, "success", False)
                invocation.end("success" if succeeded else "error", getattr(result, "exception", None))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1_000_000) * 1000


def _nanoseconds_of_text(text: str) -> int | None:
    """dbt's times are UTC and do not say so. A node that was skipped has no end."""
    try:
        return _nanoseconds(datetime.fromisoformat(text))
    except ValueError:
        return None


def _integer(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) else None


def _texts(values: Any) -> list[str] | None:
    return [str(value) for value in values] if values else None
