"""dbt's result files: what no event says, such as nodes that fail-fast skipped, the macro of run-operation
and how old a source's data is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from floe_telemetry.dbt import times

_TYPES: Final = frozenset(("RunExecutionResult", "RunResultsArtifact", "FreshnessResult"))

_PERIODS: Final = {"minute": 60, "hour": 3600, "day": 86400}


class Result(NamedTuple):
    """One node's result."""

    unique_id: str
    status: str
    message: str
    phases: list[tuple[str, int, int]]
    """Name, start and end, in nanoseconds since 1970."""
    freshness: dict[str, object]
    """Facts of a source."""


def holds_results(artifact_type: str) -> bool:
    """Whether a file of this type lists results."""
    return artifact_type in _TYPES


def invocation_of(path: Path) -> str:
    """The invocation that wrote a file of results."""
    return str(json.loads(path.read_bytes())["metadata"]["invocation_id"])


def results(path: str, invocation_id: str) -> Iterator[Result]:
    """The results in a file, if this invocation wrote it."""
    found = json.loads(Path(path).read_bytes())
    if found["metadata"]["invocation_id"] != invocation_id:
        return
    for each in found["results"]:
        yield Result(
            each["unique_id"],
            each["status"],
            each.get("message") or "",
            [phase for timing in each["timing"] if (phase := _phase(timing))],
            _freshness(each),
        )


def _phase(timing: dict[str, Any]) -> tuple[str, int, int] | None:
    started, completed = times.of_text(timing["started_at"]), times.of_text(timing["completed_at"])
    return (timing["name"], started, completed) if started and completed else None


def _freshness(result: dict[str, Any]) -> dict[str, object]:
    if "max_loaded_at" not in result:
        return {}
    criteria = result["criteria"]
    exceeded = {"warn": "warn_after", "error": "error_after"}.get(result["status"], "")
    return {
        "freshness_age_seconds": result["max_loaded_at_time_ago_in_s"],
        "freshness_limit_seconds": _seconds(criteria.get(exceeded)),
        "freshness_max_loaded_at": result["max_loaded_at"],
        "freshness_warn_after": _period(criteria.get("warn_after")),
        "freshness_error_after": _period(criteria.get("error_after")),
    }


def _seconds(period: dict[str, Any] | None) -> float | None:
    if not period or period.get("count") is None:
        return None
    return float(period["count"] * _PERIODS[period["period"]])


def _period(period: dict[str, Any] | None) -> str | None:
    """For example `36 hour`."""
    return f"{period['count']} {period['period']}" if period and period.get("count") is not None else None
