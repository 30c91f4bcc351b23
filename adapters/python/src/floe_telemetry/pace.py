"""Pacer: the policy's limit of traces that a process starts in a second, at work."""

from __future__ import annotations

import threading
from typing import Final

from opentelemetry.trace import TraceState

from floe_telemetry import tracestate
from floe_telemetry._once import warn_once
from floe_telemetry._platform import after_fork_in_child
from floe_telemetry.clock import Clock
from floe_telemetry.contract import Pacing
from floe_telemetry.engine import ComponentError
from floe_telemetry.policy import Policy

_NONE: Final = 1 << 56
"""The threshold that keeps nothing."""


class Pacer:
    """Counts the traces that want to start, and asks the policy at the end of each window of time how the
    next one is to be.
    """

    def __init__(self, policy: Policy, limit: float, clock: Clock) -> None:
        self._policy: Final = policy
        self._limit: Final = limit
        self._clock: Final = clock
        # A signal's handler may start a trace in the midst of another's start.
        self._lock = threading.RLock()
        self._offered = self._kept = 0
        self._began = self._ends = clock()
        # Where the policy fails the limit holds all the same; what is kept is no fair sample then.
        self._pacing = Pacing(-1.0, 0, "", max(1, int(limit)), max(1.0, 1 / limit))
        self._state: TraceState | None = None
        after_fork_in_child(self._after_fork)
        self._next_window()

    def admit(self, randomness: int, threshold: int) -> tuple[bool, TraceState | None]:
        """Whether a trace of this randomness starts under this threshold of sampling's, and its tracestate if
        this limit's threshold is the greater.
        """
        if threshold >= _NONE:  # what a rule never keeps does not want to start
            return False, None
        if self._clock() >= self._ends:
            self._next_window()
        with self._lock:
            self._offered += 1
            pacing = self._pacing
            if randomness < max(threshold, pacing.threshold) or self._kept >= pacing.budget:
                return False, None
            self._kept += 1
            return True, self._state if pacing.threshold > threshold else None

    def _next_window(self) -> None:
        with self._lock:
            now = self._clock()
            if now < self._ends:
                return  # another thread was faster
            # Until the answer is there, other threads go on in the window as it was.
            offered, seconds, pacing = self._offered, now - self._began, self._pacing
            self._offered, self._began, self._ends = 0, now, now + pacing.seconds
        try:
            pacing = self._policy.pace(self._limit, pacing.rate, offered, seconds)
        except ComponentError as error:
            warn_once("pace", "%s; the limit of traces stays as it was", error)
        with self._lock:
            self._pacing, self._kept = pacing, 0
            self._state = tracestate.shared(pacing.tracestate) if pacing.tracestate else None
            self._ends = self._began + pacing.seconds

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
