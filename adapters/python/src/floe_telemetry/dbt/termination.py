"""SIGTERM: dbt would die of it at once, with queries running and spans unsent; it ends as by Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


class Terminated(SystemExit):
    """What SIGTERM raises in the main thread. dbt treats `SystemExit` like Ctrl-C: it cancels queries."""


class Termination:
    """Ends dbt in order on the first SIGTERM, where nobody else handles the signal; the second one kills."""

    def __init__(self) -> None:
        self._installed = False
        self._received = False

    def install(self) -> None:
        """From now on. Only the main thread can."""
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        ):
            signal.signal(signal.SIGTERM, self._terminate)
            self._installed = True

    def end(self) -> None:
        """Takes it back. A process that was to be ended ends now, by the signal, as its parent expects."""
        if self._installed and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._installed = False
            if self._received:
                os.kill(os.getpid(), signal.SIGTERM)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._received = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated(128 + number)
