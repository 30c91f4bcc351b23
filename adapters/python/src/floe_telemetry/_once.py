"""Logging of what went wrong inside telemetry: to the application's log, once for each thing."""

from __future__ import annotations

import contextlib
import logging
import threading

logger = logging.getLogger("floe_telemetry")

_seen: set[str] = set()
_lock = threading.RLock()  # a signal's handler may warn in the midst of a warning


def warn_once(key: str, message: str, *arguments: object) -> None:
    """Logs a warning the first time that the key is seen. Never raises."""
    # What an argument says of itself, and the application's handlers and factories, are not ours.
    with contextlib.suppress(Exception):
        with _lock:
            if key in _seen:
                return
            _seen.add(key)
        logger.warning(message, *arguments)
