"""Which event of a dbt command goes where.

dbt calls it in its worker threads. It neither raises nor waits: an exception in a callback makes dbt hang, or
report a model as failed whose SQL succeeded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from floe_telemetry._guard import Guard
from floe_telemetry.dbt import commands
from floe_telemetry.dbt.invocation import Invocation
from floe_telemetry.dbt.lines import Lines

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

_guard: Final = Guard("an event of dbt is lost to telemetry")


class Callback:
    """Takes the events of one dbt command."""

    def __init__(self, provider: TelemetryProvider, command: str | None = None) -> None:
        self.context: Any = commands.invocation_context()
        """dbt's `InvocationContext` of the command."""
        self.invocation: Final = Invocation(provider, command)
        self._lines: Final = Lines(provider)
        nodes, invocation = self.invocation.nodes, self.invocation
        self._takers: Final[dict[str, Callable[[Any], None]]] = {
            "FoundStats": lambda _: invocation.knows_graph(),
            "NodeStart": lambda data: nodes.starts(data.node_info),
            "LogStartBatch": nodes.batch_starts,
            "CatchableExceptionOnRun": lambda data: nodes.raised(data.exc, data.exc_info),
            "GenericExceptionOnRun": lambda data: nodes.raised(data.exc, ""),
            "InternalErrorOnRun": lambda data: nodes.raised(data.exc, ""),
            "LogDebugStackTrace": lambda data: nodes.raised("", data.exc_info),
            "NodeFinished": lambda data: nodes.finishes(data.node_info, data.run_result),
            "LogHookStartLine": lambda data: nodes.hook_starts(data.node_info),
            "LogHookEndLine": lambda data: nodes.hook_finishes(data.node_info, data.status),
            "LogCancelLine": lambda _: nodes.stop(),
            "RunningOperationCaughtError": lambda data: invocation.fails(data.exc),
            "RunningOperationUncaughtError": lambda data: invocation.fails(data.exc),
            "DebugCmdResult": lambda data: invocation.debugged(data.msg),
            "ArtifactWritten": invocation.wrote,
            "EndOfRunSummary": lambda data: invocation.interrupted() if data.keyboard_interrupt else None,
            "MainEncounteredError": lambda data: invocation.could_not_run(data.exc),
            "MainStackTrace": lambda data: invocation.raised(data.stack_trace),
            "CommandCompleted": lambda data: self._completed(data.success),
        }

    def begin(self) -> None:
        """The command begins, with dbt's flags set."""
        commands.joined(self)
        self.invocation.begin()

    def take(self, message: Any) -> None:
        """Takes one event."""
        info = message.info
        take = self._takers.get(info.name)
        if take is not None:
            with _guard:
                take(message.data)
        with _guard:
            self._lines.take(info)

    def _completed(self, success: bool) -> None:
        """dbt's last event. Where its command line is listened to, that knows the exception as well."""
        if commands.current.get() is not self:
            self.end("success" if success else "failure")

    def end(self, status: str, error: BaseException | None = None) -> None:
        """The command has ended. Only the first call counts."""
        try:
            self.invocation.end(status, error)
        finally:
            commands.left(self)
