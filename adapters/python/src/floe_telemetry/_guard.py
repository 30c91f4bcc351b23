"""The guard where foreign programs call us: nothing of ours reaches them."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from types import CodeType, TracebackType
from typing import Any, Final

from floe_telemetry._once import warn_once


class Guard:
    """Swallows whatever is raised inside, `SystemExit` too, and logs it once.

    It lets through what a signal handler of the program raises (Ctrl-C, an exit by SIGTERM, a time limit):
    such an exception arrives in the main thread, whoever's code runs there, and is not ours.
    """

    __slots__ = ("_lost",)

    def __init__(self, lost: str) -> None:
        self._lost: Final = lost
        """What is lost, for the warning."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            return True
        if _is_of_signal(error):
            return False
        with contextlib.suppress(Exception):  # a handler of the program's log may fail as well
            warn_once(f"{self._lost} {kind}", "%s: %r", self._lost, error)
        return True


def _is_of_signal(error: BaseException) -> bool:
    """Whether a signal handler raised it, rather than our code."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if isinstance(error, KeyboardInterrupt):
        return True
    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code in handlers:
            return True
        frame = frame.tb_next
    return False


def _code(handler: Any) -> CodeType | None:
    while isinstance(handler, functools.partial):
        handler = handler.func
    if not callable(handler):
        return None
    function = getattr(handler, "__func__", handler)
    if not hasattr(function, "__code__"):  # an object that can be called
        function = type(handler).__call__
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
