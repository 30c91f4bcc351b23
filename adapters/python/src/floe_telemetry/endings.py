"""The ends of a process: telemetry is delivered at the ones that Python tells of.

Children of multiprocessing, of billiard and of Celery's pool end by `os._exit`, without the handlers of
`atexit`; each has hooks of its own for that.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from floe_telemetry._platform import after_fork_in_child

End = Callable[[], object]

_PROCESSES: Final = ("multiprocessing", "billiard")
"""Libraries whose children end by what is registered as a `Finalize`."""


class Endings:
    """Calls `end` when the process ends, or a child that it forks."""

    def __init__(self, end: End) -> None:
        self._end: Final = end
        atexit.register(end)
        for library in _PROCESSES:
            if _is_child_of(library):
                self._finalize(library)
        self._of_celery()
        after_fork_in_child(self._forked)

    def cancel(self) -> None:
        """Calls nothing any more when the process ends."""
        atexit.unregister(self._end)

    def _forked(self) -> None:
        """A child forgets what its parent does at its end, after this is called."""
        for library in _PROCESSES:
            if f"{library}.process" in sys.modules:
                util: Any = import_module(f"{library}.util")
                util.register_after_fork(self, lambda endings, of=library: endings._finalize(of))
        self._of_celery()

    def _finalize(self, library: str) -> None:
        util: Any = import_module(f"{library}.util")
        util.Finalize(None, self._end, exitpriority=0)

    def _of_celery(self) -> None:
        signals: Any = sys.modules.get("celery.signals")
        if signals is not None:
            signals.worker_process_shutdown.connect(self._ended, weak=False, dispatch_uid="floe-telemetry")

    def _ended(self, **_: object) -> None:
        self._end()


def _is_child_of(library: str) -> bool:
    """Whether this process is a child that the library started."""
    process: Any = sys.modules.get(f"{library}.process")
    return process is not None and process.current_process()._parent_pid not in (None, os.getpid())
