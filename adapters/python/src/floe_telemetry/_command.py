"""The command `floe-telemetry`, as a hint names it: with how to get it, where it is not installed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def command(arguments: str) -> str:
    """The command with these arguments, for the help of an error."""
    call = f"`floe-telemetry {arguments}`"
    return call if _is_installed() else f"`pip install 'floe-telemetry[cli]'` and then {call}"


def _is_installed() -> bool:
    """Whether it is on the path, or beside this Python, as in an environment that is not activated."""
    paths = [None, str(Path(sys.executable).parent)] if sys.executable else [None]
    return any(shutil.which("floe-telemetry", path=path) for path in paths)
