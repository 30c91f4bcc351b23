"""dbt's times, in nanoseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime


def nanoseconds(moment: datetime) -> int:
    """A time; one without zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1000


def of_text(text: str | None) -> int | None:
    """dbt's times are UTC and do not always say so. A node that was skipped has no end."""
    try:
        return nanoseconds(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None
