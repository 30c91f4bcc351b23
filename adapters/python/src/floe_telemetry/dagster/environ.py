"""The context in the environment of this process, for the children that it starts: step workers, and dbt in a
step.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Final

_lock: Final = threading.Lock()
_entered: Final[list[Entry]] = []
_before: dict[str, str | None] = {}
"""What stood there before anything was entered."""


class Entry:
    """The variables of one operation. Those of what was entered last, and has not been left, stand there."""

    def __init__(self, names: Iterable[str], variables: Mapping[str, str]) -> None:
        self._variables: Final[dict[str, str | None]] = {**dict.fromkeys(names), **variables}
        global _before
        with _lock:
            if not _entered:
                _before = {name: os.environ.get(name) for name in self._variables}
            _entered.append(self)
            _set(self._variables)

    def leave(self) -> None:
        """Puts back what stood there, in whatever order operations end."""
        with _lock:
            if self not in _entered:
                return
            was_last = _entered[-1] is self
            _entered.remove(self)
            if was_last:
                _set(_entered[-1]._variables if _entered else _before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
