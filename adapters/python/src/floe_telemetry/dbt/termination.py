"""SIGTERM: dbt dies of it at once, and what it was doing would be told by nobody."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

_SECONDS: Final = 2.0
"""At most so much later dbt dies than without us."""


class Termination:
    """Ends dbt's operations on the first SIGTERM where dbt would die of it: then the process does, by the
    signal and without a word, as it would have.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Final = end
        self._before: Any = None
        """Whose turn it is afterwards; nothing while not installed."""

    def install(self) -> None:
        """From now on. Only the main thread can, and a handler of the program's stays."""
        if threading.current_thread() is threading.main_thread() and self._before is None:
            before = signal.getsignal(signal.SIGTERM)
            if before is signal.SIG_DFL or getattr(before, "__module__", "").startswith("floe_telemetry."):
                signal.signal(signal.SIGTERM, self._terminate)
                self._before = before

    def end(self) -> None:
        """Takes it back."""
        if self._before is not None and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGTERM) == self._terminate:
                signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        before = self._before
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the second one kills
        # The main thread may hold any lock, here and now: so another one does the work, for so long.
        worker = threading.Thread(target=self._end, name="floe-telemetry-terminate", daemon=True)
        worker.start()
        worker.join(_SECONDS)
        if callable(before):
            before(number, frame)
        else:
            os.kill(os.getpid(), number)
