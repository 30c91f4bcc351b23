"""Attributes of the SDK's items, put together anew."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.util.types import AnyValue


def merged(
    own: Mapping[str, AnyValue] | None, first: Mapping[str, AnyValue], last: Mapping[str, AnyValue]
) -> Mapping[str, AnyValue]:
    """An item's own attributes with others before them, over which they win, and others after them, which win
    over them. What the SDK dropped stays counted.
    """
    if own is None:
        return {**first, **last}
    if not isinstance(own, BoundedAttributes):
        return {**first, **own, **last}
    together = {**first, **own.copy(), **last}  # a copy is quicker than to ask for value after value
    return like(own, together)


def like(own: Mapping[str, AnyValue], other: Mapping[str, AnyValue]) -> Mapping[str, AnyValue]:
    """Other attributes in the place of an item's own. What the SDK dropped for its limits stays counted."""
    dropped = own.dropped if isinstance(own, BoundedAttributes) else 0
    if not dropped:
        return other
    bounded = BoundedAttributes(attributes=other, extended_attributes=True)
    bounded.dropped += dropped
    return bounded
