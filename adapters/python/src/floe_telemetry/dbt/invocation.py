"""One dbt command."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from floe_telemetry._once import warn_once
from floe_telemetry.contract import ExceptionInfo, OperationKind
from floe_telemetry.dbt import artifacts, graph, times
from floe_telemetry.dbt.nodes import Nodes
from floe_telemetry.dbt.termination import Terminated, Termination
from floe_telemetry.operation import exception_info

if TYPE_CHECKING:
    from floe_telemetry.operation import Operation
    from floe_telemetry.provider import TelemetryProvider

FLUSH_SECONDS: Final = 1.0
_INSTANCES: Final = 2
"""Of the policy, for all of dbt's threads: calls are short, and Python runs one thread at a time."""
_INTERRUPTS: Final = ("KeyboardInterrupt", "SystemExit", f"{Terminated.__module__}.{Terminated.__name__}")


class Invocation:
    """The command's operation, and how it ends."""

    def __init__(self, provider: TelemetryProvider) -> None:
        self._provider: Final = provider
        self._lock: Final = threading.Lock()
        self._termination: Final = Termination()
        self._command: Operation | None = None
        self._id = ""
        self._error: ExceptionInfo | None = None
        self._could_run = True
        self._interrupted = False
        self._ended = False
        self.nodes: Final = Nodes(provider)

    def begin(self) -> None:
        """Begins the command's operation, from when dbt says that it started."""
        with self._lock:
            if self._command is not None or self._ended:
                return
            from dbt.flags import get_flags
            from dbt.version import __version__
            from dbt_common.invocation import get_invocation_id, get_invocation_started_at

            flags = get_flags()
            self._id = str(get_invocation_id())
            facts: dict[str, object] = {
                "invocation_id": self._id,
                "version": str(__version__).lstrip("="),
                "select": _texts(getattr(flags, "SELECT", None)),
                "exclude": _texts(getattr(flags, "EXCLUDE", None)),
                "full_refresh": getattr(flags, "FULL_REFRESH", None) or None,
            }
            name = graph.command() or str(getattr(flags, "WHICH", None) or "unknown")
            self._command = self._provider.operation(OperationKind.DBT_INVOCATION, name, **facts)
            self._command.begin(start_time=times.nanoseconds(get_invocation_started_at()))
            self._command.attach()
            self.nodes.below(self._command)
        self._termination.install()

    def knows_graph(self) -> None:
        """dbt has parsed the project, and says so in the thread that has its command's context."""
        known = graph.Graph.current()
        self.nodes.known(known)
        if self._command is not None:
            self._command.add(**known.facts(), retry_of=_retried(known))
        if self._provider.policy is not None:
            self._provider.policy.warm(_INSTANCES)

    def fails(self, message: str) -> None:
        """The macro of run-operation failed."""
        self.nodes.raised(message, "")
        self._error = ExceptionInfo("", message.strip(), "")

    def could_not_run(self, message: str) -> None:
        """The command itself failed, not one of its nodes."""
        self._could_run = False
        self._error = ExceptionInfo("", message, "")

    def raised(self, stacktrace: str) -> None:
        """What the command itself failed with."""
        lines = stacktrace.rstrip().splitlines()
        if lines and lines[-1].startswith(_INTERRUPTS):
            self.interrupted()
        elif self._error is not None:
            self._error = ExceptionInfo("", self._error.message, stacktrace)

    def interrupted(self) -> None:
        """Somebody stopped the command."""
        self._interrupted = True
        self.nodes.stop()

    def wrote(self, data: Any) -> None:
        """A file of results is there: either all nodes have ended, or dbt is being stopped."""
        if not artifacts.holds_results(data.artifact_type):
            return
        if self.nodes.any_open:
            self.nodes.stop()
        with _readable():
            self.nodes.reconcile(artifacts.results(data.artifact_path, self._id))

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Ends the command's operation, and those of nodes that never ended, and sends what waits for a
        second.
        """
        with self._lock:
            command, self._command, self._ended = self._command, None, True
        if command is None:
            return
        self.nodes.close()
        command.detach()
        word, failure = self._outcome(status, error)
        command.end(word, error=failure)
        self._provider.force_flush(FLUSH_SECONDS)
        self._termination.end()

    def _outcome(self, status: str, error: BaseException | None) -> tuple[str, ExceptionInfo | None]:
        if status == "success":
            return status, None
        if self._interrupted or isinstance(error, KeyboardInterrupt):
            return "cancelled", None
        found = self._error or (exception_info(error) if error else None)
        if found is None and self.nodes.failed_hook and not self.nodes.failures:
            found = ExceptionInfo("", self.nodes.failed_hook, "")
        return status if self._could_run else "error", found


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """What is read from a result file is lost where dbt writes it otherwise."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        warn_once("dbt artifact", "a result file of dbt cannot be read: %r", error)


def _retried(known: graph.Graph) -> str | None:
    """The invocation whose failures this one runs again."""
    path = known.retried()
    if path is not None:
        with _readable():
            return artifacts.invocation_of(path)
    return None


def _texts(values: Any) -> list[str] | None:
    return [str(value) for value in values] if values else None
