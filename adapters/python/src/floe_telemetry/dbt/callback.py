"""The callback of dbt's event manager: which event goes where, and nothing of ours that reaches dbt.

dbt calls it in its worker threads. It neither raises nor waits: an exception in a callback makes dbt hang, or
report a model as failed whose SQL succeeded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from floe_telemetry._once import warn_once
from floe_telemetry.dbt.invocation import Invocation
from floe_telemetry.dbt.lines import Lines
from floe_telemetry.dbt.termination import Terminated

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider


class Callback:
    """One dbt command's callback."""

    def __init__(self, provider: TelemetryProvider) -> None:
        self.invocation: Final = Invocation(provider)
        self._lines: Final = Lines(provider)
        nodes, invocation = self.invocation.nodes, self.invocation
        self._takers: Final[dict[str, Callable[[Any], None]]] = {
            "MainReportVersion": lambda _: invocation.begin(),
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
            "ArtifactWritten": invocation.wrote,
            "EndOfRunSummary": lambda data: invocation.interrupted() if data.keyboard_interrupt else None,
            "MainEncounteredError": lambda data: invocation.could_not_run(data.exc),
            "MainStackTrace": lambda data: invocation.raised(data.stack_trace),
            "CommandCompleted": lambda data: invocation.end("success" if data.success else "failure"),
        }

    def __call__(self, message: Any) -> None:
        """Takes one event."""
        try:
            info = message.info
            take = self._takers.get(info.name)
            if take is not None:
                take(message.data)
            self._lines.take(info)
        except BaseException as error:
            # The user's wish to end arrives in the main thread, wherever that is, and dbt ends by it.
            if (
                isinstance(error, (KeyboardInterrupt, Terminated))
                and threading.current_thread() is threading.main_thread()
            ):
                raise
            warn_once(f"dbt {type(error)}", "an event of dbt is lost to telemetry: %r", error)
