"""What only some operating systems have: forks, file locks and owners of files. Elsewhere each has an answer
that is safe, so nobody else asks which system it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Final
from weakref import WeakMethod

from floe_telemetry._once import warn_once

with contextlib.suppress(ImportError):  # Windows
    import fcntl

HAS_LOCKS: Final = "fcntl" in globals()


def lock(file: int) -> None:
    """Takes an exclusive lock on an open file, until it is closed or the process dies. Raises `OSError` where
    another process has it, or where the system has no such locks.
    """
    if not HAS_LOCKS:
        raise OSError(errno.ENOTSUP, "this system has no file locks that end with their process")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_ours(status: os.stat_result) -> bool:
    """Whether nobody but this user can write to a file. Windows keeps others out of a user's folders by
    access lists, of which its modes say nothing.
    """
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def after_fork_in_child(hook: Callable[[], object]) -> None:
    """Calls a bound method in each child that is forked from now on, for as long as its object lives."""
    if not hasattr(os, "register_at_fork"):
        return
    method = WeakMethod(hook)

    def run() -> None:
        try:
            if (alive := method()) is not None:
                alive()
        except Exception as error:  # Python would print its traceback to standard error
            warn_once("fork", "telemetry of a forked process may be incomplete: %r", error)

    os.register_at_fork(after_in_child=run)


def hold_during_forks(lock: AbstractContextManager[object]) -> None:
    """Has this process's forks wait for a lock that another thread holds: in the child nobody would give it
    back, nor what else is locked under it.
    """
    if hasattr(os, "register_at_fork"):
        held = ExitStack()
        os.register_at_fork(
            before=lambda: held.enter_context(lock), after_in_parent=held.close, after_in_child=held.close
        )
