"""What became of a signal's items."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class DropReason(StrEnum):
    """Why an item was dropped."""

    QUEUE_FULL = "queue_full"
    """The queue had no room."""
    REJECTED = "rejected"
    """The Collector accepted the batch, but not this item (partial success)."""
    REFUSED = "refused"
    """The answer was one that no retry mends, or no answer of OTLP."""
    UNAVAILABLE = "unavailable"
    """No attempt succeeded within the time of an export."""
    TOO_LARGE = "too_large"
    """The item alone is larger than a request may be."""
    SHUTDOWN = "shutdown"
    """There was no time left when the process ended, or the item came after that."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a signal's items: `produced` is `delivered`, `queued` and all that was `dropped`.

    For metrics, an item is a data point that was collected for an export.
    """

    produced: int
    delivered: int
    queued: int
    """Waiting, or being exported."""
    dropped: Mapping[str, int]
    """By [`DropReason`], without the reasons that did not occur."""

    @property
    def lost(self) -> int:
        """All that was dropped."""
        return sum(self.dropped.values())


NO_ITEMS: Final = Counts(0, 0, 0, {})


class Account:
    """The account of one signal in one process. It balances at any time: what is neither delivered nor
    dropped is queued.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begins anew: a forked child counts what is its own."""
        # A signal's handler may emit in the midst of counting.
        self._lock = threading.RLock()
        self._produced = self._delivered = 0
        self._dropped: dict[DropReason, int] = {}
        self._closed = False

    def produce(self, items: int) -> None:
        """Items were produced."""
        with self._lock:
            self._produced += items
            if self._closed:
                self._count(items, DropReason.SHUTDOWN)

    def deliver(self, items: int) -> None:
        """Items were delivered."""
        with self._lock:
            if not self._closed:
                self._delivered += items

    def drop(self, items: int, reason: DropReason) -> None:
        """Items were dropped."""
        with self._lock:
            if not self._closed:
                self._count(items, reason)

    def close(self) -> None:
        """What is still queued is dropped, and whatever comes later. Later results change nothing."""
        with self._lock:
            if not self._closed:
                queued = self._produced - self._delivered - sum(self._dropped.values())
                if queued:
                    self._count(queued, DropReason.SHUTDOWN)
                self._closed = True

    def counts(self) -> Counts:
        """How it stands."""
        with self._lock:
            dropped: dict[str, int] = {reason.value: items for reason, items in self._dropped.items()}
            queued = self._produced - self._delivered - sum(dropped.values())
            return Counts(self._produced, self._delivered, queued, dropped)

    def _count(self, items: int, reason: DropReason) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + items
