"""The clock of what happens over time: injected, so that tests turn it by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

Clock = Callable[[], float]
"""Answers seconds that never go back."""

MONOTONIC: Final[Clock] = time.monotonic
