"""The dbt commands that run in this process, and which of them an event is of.

dbt has one list of callbacks and one invocation ID for the whole process: of two commands at once, the second
takes both over. What each command has for itself, in its workers too, is its `InvocationContext`.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from floe_telemetry._guard import Guard

if TYPE_CHECKING:
    from floe_telemetry.dbt.callback import Callback

_guard: Final = Guard("an event of dbt is lost to telemetry")
_lock: Final = threading.Lock()
_running: list[Callback] = []
current: Final[ContextVar[Callback | None]] = ContextVar("floe_telemetry_dbt_command", default=None)
"""The command whose `invoke` this thread is in."""


def joined(callback: Callback) -> None:
    """A command begins. Only the first call counts: dbt has its log before its plugins."""
    global _running
    with _lock:
        if callback in _running:
            return
        _running = [*_running, callback]
        if len(_running) > 1:
            for each in _running:
                each.invocation.shares_process = True


def left(callback: Callback) -> None:
    """A command has ended."""
    global _running
    with _lock:
        _running = [each for each in _running if each is not callback]


def dispatch(message: Any) -> None:
    """Hands an event to its command. This is what dbt calls, in each of its threads: one for all commands, so
    that it stays where the next command replaces the callbacks of the one before.
    """
    with _guard:
        callback = command_of_thread()
        if callback is not None:
            callback.take(message)


def command_of_thread() -> Callback | None:
    """The command that this thread works for."""
    context = invocation_context()
    invoking = current.get()
    if invoking is not None:
        invoking.context = context
        return invoking
    running = _running
    if context is None:  # a thread of an adapter's own
        return running[0] if len(running) == 1 else None
    return next((each for each in running if each.context is context), None)


def invocation_context() -> Any:
    """dbt's own for the command that this thread works for."""
    from dbt_common.context import get_invocation_context

    try:
        return get_invocation_context()
    except LookupError:
        return None
