"""Operations that are open: those that take long say so, those that nobody ends are ended, and those that a
process did not live to end are reported by the next one.

A short operation costs an entry in a dictionary. Everything else is done once a second on a thread that the
first operation starts.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from opentelemetry.util.types import AnyValue

from floe_telemetry import logs, record
from floe_telemetry._once import warn_once
from floe_telemetry._platform import after_fork_in_child
from floe_telemetry.clock import MONOTONIC, Clock
from floe_telemetry.contract import ExceptionInfo, LongOperations

if TYPE_CHECKING:
    from floe_telemetry.operation import Operation
    from floe_telemetry.policy import Policy
    from floe_telemetry.sdk import Sdk

_TICK: Final = 1.0
"""How often is looked, and how old an operation is when it is recorded on disk, in seconds."""
_LOGGER: Final = "floe_telemetry.operations"


class _Watched:
    """An operation that is open."""

    __slots__ = ("beats", "operation", "outlived", "recorded", "since")

    def __init__(self, operation: Operation, since: float, *, outlived: bool) -> None:
        self.operation = operation
        self.since = since
        self.outlived = outlived
        self.beats = 0
        self.recorded = False


class InFlight:
    """The open operations of a process."""

    def __init__(self, sdk: Sdk, policy: Policy, limits: LongOperations, clock: Clock = MONOTONIC) -> None:
        self._sdk: Final = sdk
        self._policy: Final = policy
        self._limits: Final = limits
        self._clock: Final = clock
        self._closed = threading.Event()
        after_fork_in_child(self._forget)
        self._record = record.Record(self._sdk.attributes)
        self._clear()

    def _forget(self) -> None:
        """A forked child has operations of its own only, and a thread and a file of its own."""
        self._record.forget()
        self._record = record.Record(self._sdk.attributes)
        self._clear()

    def _clear(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, _Watched] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Reports what earlier processes left, if they left anything."""
        if record.leftovers():
            self._start()

    def began(self, operation: Operation, *, outlived: bool = False) -> None:
        """An operation began. One that is outlived, others tell of if this process dies."""
        watched = _Watched(operation, self._clock(), outlived=outlived)
        self._open[operation.span.get_span_context().span_id] = watched
        if self._thread is None:
            self._start()

    def ended(self, operation: Operation) -> None:
        """An operation ended."""
        watched = self._open.pop(operation.span.get_span_context().span_id, None)
        if watched is not None and watched.recorded:
            with self._lock:
                self._record.end(operation)

    def close(self) -> None:
        """Ends the thread. What is still open is not reported as abandoned: the process ends in order."""
        self._closed.set()
        with self._lock:
            self._record.close()

    def look(self) -> None:
        """Looks at what is open."""
        now = self._clock()
        for watched in list(self._open.values()):
            age = now - watched.since
            operation = watched.operation
            is_known = watched.recorded or watched.outlived
            if age >= _TICK and not is_known and operation.span.is_recording():
                with self._lock:
                    watched.recorded = self._record.begin(operation, self._sdk.redactor)
            beats = int(age // self._limits.heartbeat)
            if beats > watched.beats:
                self._beat(operation, age, first=watched.beats == 0)
                watched.beats = beats
            if 0 < self._limits.abandoned <= age:
                message = f"nobody ended it in {int(age)} s"
                operation.end("abandoned", error=ExceptionInfo("abandoned", message, ""))

    def _beat(self, operation: Operation, age: float, *, first: bool) -> None:
        """Says that an operation goes on."""
        with self._lock:
            self._record.alive()
        name = operation.beginning.name
        attributes: dict[str, AnyValue] = {
            "floe.operation.kind": str(operation.kind),
            "floe.operation.name": name,
            "floe.operation.elapsed": age,
        }
        if first:
            attributes["floe.operation.start_time"] = operation.started
        logs.emit(
            self._sdk.logger_provider,
            _LOGGER,
            logging.INFO,
            f"{name} runs for {age:.0f} s",
            attributes=attributes,
            context=operation.context,
            event_name="floe.operation.started" if first else "floe.operation.heartbeat",
        )

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="floe-telemetry-operations", daemon=True)
        with contextlib.suppress(RuntimeError):  # a process that ends starts no thread
            self._thread.start()

    def _watch(self) -> None:
        self._guarded(lambda: record.report(self._sdk, self._policy))
        while not self._closed.wait(_TICK):
            self._guarded(self.look)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Whatever goes wrong with one operation, the others are watched."""
        try:
            work()
        except Exception as error:
            warn_once("operations", "operations that take long are not told of: %r", error)
