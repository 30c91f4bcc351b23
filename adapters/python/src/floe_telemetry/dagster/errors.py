"""Dagster's errors, which are text: an exception's own, its frames, and what caused it."""

from __future__ import annotations

from typing import Any, Final

from floe_telemetry.contract import ExceptionInfo

_OWN: Final = "dagster._core.errors."
_RETRY: Final = "RetryRequested"
_MOST_CAUSES: Final = 8
_CAUSED: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_MEANWHILE: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


def of_event(event: Any) -> ExceptionInfo | None:
    """The exception of an event that tells of a failure: the user's, which Dagster wraps in its own. A run's
    is that of the first step that failed.
    """
    data = event.event_specific_data
    first = getattr(data, "first_step_failure_event", None)
    if first is not None:
        return of_event(first)
    error = getattr(data, "error", None)
    if error is not None:
        return info(error)
    reason = getattr(data, "failure_reason", None)
    if reason is not None:
        return ExceptionInfo(f"dagster.{reason.name.lower()}", event.message or "", "")
    return None


def info(error: Any) -> ExceptionInfo:
    """A `SerializableErrorInfo` as OpenTelemetry describes an exception."""
    while error.cause is not None and _is_wrapper(error):
        error = error.cause
    kind, message = _parts(error)
    causes: list[str] = []
    text = _told(error)
    while len(causes) < _MOST_CAUSES:
        link = _CAUSED if error.cause is not None else _MEANWHILE
        error = error.cause or error.context
        if error is None:
            break
        causes.append(_parts(error)[0])
        text = _told(error) + link + text
    return ExceptionInfo(kind, message, text, tuple(causes))


def _parts(error: Any) -> tuple[str, str]:
    """Type and message of `package.Class: message`, or of `package.Class` where the message is empty."""
    text, name = error.message.strip(), error.cls_name or ""
    kind, _, message = text.partition(": ")
    return (kind, message) if name and kind.rpartition(".")[2] == name else (name, text)


def _told(error: Any) -> str:
    """As Python prints it."""
    head = "Traceback (most recent call last):\n" if error.stack else ""
    return f"{head}{''.join(error.stack)}{error.message.rstrip()}\n"


def _is_wrapper(error: Any) -> bool:
    kind = _parts(error)[0]
    return kind.startswith(_OWN) or kind.rpartition(".")[2].startswith(_RETRY)
