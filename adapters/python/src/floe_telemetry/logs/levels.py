"""Which records pass: the manifest's level, and those of single loggers, which anybody may change while the
process runs.

Levels of loggers are the standard library's own (`Logger.setLevel`), so whoever sets one last is obeyed, and
a record that is too low is never made.
"""

from __future__ import annotations

import logging
from typing import Final

from floe_telemetry._once import warn_once
from floe_telemetry.contract import Logging

_NUMBERS: Final = {
    "TRACE": 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
}
_set: Final[dict[str, tuple[int, int]]] = {}
"""The level of a logger before the manifest's, and the manifest's."""


class LevelFilter(logging.Filter):
    """Passes what `passes` does."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes."""
        return passes(record.name, record.levelno)


_least: int = logging.NOTSET


def passes(name: str, level: int) -> bool:
    """Whether a record of this logger and level is wanted: by the level that was set for the logger, or for
    the nearest one above it but the root; else by the manifest's.
    """
    loggers = logging.Logger.manager.loggerDict
    while name:
        logger = loggers.get(name)
        if isinstance(logger, logging.Logger) and logger.level:
            return level >= logger.level
        name = name.rpartition(".")[0]
    return level >= _least


def asked(name: str, level: int) -> bool:
    """Whether the manifest wants such a record, of a logger that the standard library does not know."""
    while name:
        if name in _set:
            return level >= _set[name][1]
        name = name.rpartition(".")[0]
    return level >= _least


def number(level: str) -> int:
    """The standard library's number of one of the plan's levels. Applications may rename the library's own
    levels, and a policy may say what it likes: a level that nobody knows is INFO.
    """
    known = _NUMBERS.get(level.upper()) if isinstance(level, str) else None
    if known is None:
        warn_once(f"level {level}", "the policy names a log level %r that is not known; it is INFO", level)
        return logging.INFO
    return known


def apply_levels(settings: Logging) -> None:
    """Makes these the levels from now on. Of loggers that are not named any more, the former ones are back,
    unless the application set another.
    """
    global _least
    restore_levels()
    _least = number(settings.level)
    for each in settings.levels:
        logger, level = logging.getLogger(each.name), number(each.level)
        _set[each.name] = (logger.level, level)
        logger.setLevel(level)


def restore_levels() -> None:
    """Takes back what `apply_levels` did."""
    global _least
    _least = logging.NOTSET
    while _set:
        name, (before, ours) = _set.popitem()
        logger = logging.getLogger(name)
        if logger.level == ours:
            logger.setLevel(before)
