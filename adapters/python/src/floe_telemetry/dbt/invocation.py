"""One dbt command."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from floe_telemetry._once import warn_once
from floe_telemetry.contract import ExceptionInfo, OperationKind
from floe_telemetry.dbt import artifacts, graph, times
from floe_telemetry.dbt.lines import plain
from floe_telemetry.dbt.nodes import Nodes
from floe_telemetry.dbt.termination import Termination
from floe_telemetry.operation import exception_info, type_name

if TYPE_CHECKING:
    from floe_telemetry.operation import Operation
    from floe_telemetry.provider import TelemetryProvider

FLUSH_SECONDS: Final = 1.0
_INSTANCES: Final = 2
"""Of the policy, for all of dbt's threads: calls are short, and Python runs one thread at a time."""
_CHECK_FAILED: Final = "dbt.check_failure"
_NAMED: Final = re.compile(r"^\s*[A-Z][A-Za-z ]* Error(?: in |:)", re.MULTILINE)
_INTERRUPTS: Final = ("KeyboardInterrupt", "SystemExit")


class Invocation:
    """The command's operation, and how it ends."""

    def __init__(self, provider: TelemetryProvider, asked: str | None = None) -> None:
        self._provider: Final = provider
        self._asked: Final = asked
        """The command as far as its words are known."""
        self._created: Final = time.time_ns()
        self._lock: Final = threading.Lock()
        self._termination: Final = Termination(self._terminated)
        self._command: Operation | None = None
        self._id = ""
        self.shares_process = False
        """Whether another command ran at the same time: then dbt's result files may be either's."""
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
            name = graph.command() or str(getattr(flags, "WHICH", None) or self._asked or "unknown")
            fails_fast = bool(getattr(flags, "FAIL_FAST", None))
            self._begun(name, facts, times.nanoseconds(get_invocation_started_at()), fails_fast=fails_fast)
        self._termination.install()

    def gave_up(self) -> None:
        """dbt ends by an exception. Where it had no log yet, nothing else says that there was a command."""
        with self._lock:
            if self._command is not None or self._ended:
                return
            from dbt.version import __version__

            facts: dict[str, object] = {"version": str(__version__).lstrip("=")}
            self._begun(self._asked or "unknown", facts, self._created)
            self._could_run = False

    def _begun(self, name: str, facts: dict[str, object], started: int, *, fails_fast: bool = False) -> None:
        self._command = self._provider.operation(OperationKind.DBT_INVOCATION, name, **facts)
        self._command.begin(start_time=started)
        self._command.attach()
        self.nodes.below(self._command, fails_fast=fails_fast)

    def knows_graph(self) -> None:
        """dbt has parsed the project, and says so in the thread that has its command's context."""
        known = graph.Graph.current()
        self.nodes.known(known)
        if self._command is not None:
            self._command.add(**known.facts(), retry_of=_retried(known))
        if self._provider.policy is not None:
            self._provider.policy.warm(_INSTANCES)

    def debugged(self, message: str) -> None:
        """What `dbt debug` finds wrong: a line that counts, then one for each check that failed."""
        text = plain(message)
        if text and self._error is None and not text.endswith("passed!"):
            self._error = ExceptionInfo(_CHECK_FAILED, text, "")
        elif text and self._error is not None:
            self._error = ExceptionInfo(_CHECK_FAILED, f"{self._error.message}\n{text}".strip(), "")

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
        with _readable():
            if not self.shares_process:
                self.nodes.reconcile(artifacts.results(data.artifact_path, self._id))
        if self.nodes.any_open:
            self.nodes.stop()

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Ends the command's operation, and those of nodes that never ended, and sends what waits for a
        second.
        """
        with self._lock:
            command, self._command, self._ended = self._command, None, True
        if command is None:
            return
        try:
            self.nodes.close()
            command.detach()
            word, failure = self._outcome(status, error)
            command.add(**self.nodes.counted())
            command.end(word, error=failure)
            self._provider.force_flush(FLUSH_SECONDS)
        finally:
            self._termination.end()

    def _terminated(self) -> None:
        """The process is being ended by SIGTERM."""
        self.interrupted()
        self.end("failure")

    def _outcome(self, status: str, error: BaseException | None) -> tuple[str, ExceptionInfo | None]:
        if status == "success":
            return status, None
        if self._interrupted or isinstance(error, KeyboardInterrupt):
            return "cancelled", None
        found = self._error or (exception_info(error) if error else None)
        if found is None and self.nodes.failed_hook and not self.nodes.failures:
            found = ExceptionInfo("", self.nodes.failed_hook, "")
        return status if self._could_run else "error", _typed(found, error) if found else None


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """What is read from a result file is lost where dbt writes it otherwise."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        warn_once("dbt artifact", "a result file of dbt cannot be read: %r", error)


def _typed(found: ExceptionInfo, error: BaseException | None) -> ExceptionInfo:
    """With the type of dbt's exception, unless the text names what was wrong: `Compilation Error in ...`."""
    if error is None:
        return found
    if _NAMED.search(found.message):
        return found._replace(type="")
    return found._replace(type=type_name(type(error)))


def _retried(known: graph.Graph) -> str | None:
    """The invocation whose failures this one runs again."""
    path = known.retried()
    if path is not None:
        with _readable():
            return artifacts.invocation_of(path)
    return None


def _texts(values: Any) -> list[str] | None:
    return [str(value) for value in values] if values else None
