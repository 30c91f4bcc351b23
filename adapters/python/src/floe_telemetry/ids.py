"""Ids of spans that several processes know without telling each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple


class Ids(NamedTuple):
    """Ids that the next span gets. `trace_id` counts where the span has no parent. It must be as random as an
    ID that is drawn: sampling compares it.
    """

    trace_id: int
    span_id: int


_next: ContextVar[Ids | None] = ContextVar("floe_telemetry_ids", default=None)


def next_ids() -> Ids | None:
    """What the span that is started here gets, if it is given."""
    return _next.get()


@contextlib.contextmanager
def given(ids: Ids | None) -> Iterator[None]:
    """The span that is started within gets these ids."""
    token = _next.set(ids)
    try:
        yield
    finally:
        _next.reset(token)
