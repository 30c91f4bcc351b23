"""Logging of what went wrong inside telemetry: to the application's log, once for each thing."""

from __future__ import annotations

import contextlib
import logging
import os
import threading


class _Logger(logging.LoggerAdapter[logging.Logger]):
    """The logger of telemetry itself. `dictConfig` and `fileConfig` disable the loggers that they find."""

    def isEnabledFor(self, level: int) -> bool:
        self.logger.disabled = False
        return super().isEnabledFor(level)


logger = _Logger(logging.getLogger("floe_telemetry"))

_MOST_KEPT = 4096
_seen: set[str] = set()
_lock = threading.RLock()  # a signal's handler may warn in the midst of a warning


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def warn_once(key: str, message: str, *arguments: object) -> None:
    """Logs a warning the first time that the key is seen. Never raises."""
    # What an argument says of itself, and the application's handlers and factories, are not ours.
    with contextlib.suppress(Exception):
        with _lock:
            if key in _seen or len(_seen) >= _MOST_KEPT:
                return
            _seen.add(key)
        logger.warning(message, *arguments)


def warn(message: str, *arguments: object) -> None:
    """Logs a warning. Never raises."""
    with contextlib.suppress(Exception):
        logger.warning(message, *arguments)
