"""Header values as a policy reads and writes them, with as few calls into the component as that takes.

A policy's answers never change, and what is new in the headers of a request is mostly numbers. So the answer
for a text is kept, and the numbers of an ordinary `traceparent` are read and written here. The policy reads
whatever is out of the ordinary.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.trace import SpanContext

from floe_telemetry._once import warn_once
from floe_telemetry.carriers import is_header

if TYPE_CHECKING:
    from floe_telemetry.policy import Policy

KNOWN_FLAGS: Final = 3
_ORDINARY: Final = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_THRESHOLD: Final = re.compile("[0-9a-f]{1,14}")
_RANDOMNESS: Final = (1 << 56) - 1
_LOW: Final = (1 << 64) - 1
_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 1024


class Incoming(NamedTuple):
    """What headers say. A span id of 0 means that there is nothing to continue."""

    trace_id: int
    span_id: int
    flags: int
    tracestate: str
    baggage: str


class Outgoing(NamedTuple):
    """Headers that depend on nothing but texts."""

    tracestate: str
    baggage: str


_StateKey = tuple[str, int, bool]


class Headers:
    """Headers by one policy. Both methods raise what the policy raises."""

    def __init__(self, policy: Policy) -> None:
        self.policy: Final = policy
        self._reads_ordinary: bool | None = None
        """Whether the policy reads an ordinary `traceparent` as W3C has it; `None` before it was asked."""
        self._states: Final[dict[_StateKey, str]] = {}
        self._thresholds: Final[dict[str, int]] = {"": 0}
        self._baggage: Final[dict[str, str]] = {"": ""}
        self._outgoing: Final[dict[tuple[str, str], Outgoing]] = {}

    def read(self, traceparent: str, state: str, baggage: str, *, environ: bool = False) -> Incoming:
        """Reads header values; an absent one is the empty string. `environ` says that they are variables."""
        members = self._baggage.get(baggage)
        if members is None or not self._reads_ordinary:
            return self._ask(traceparent, state, baggage, environ)
        if not traceparent:
            return Incoming(0, 0, 0, "", members)
        numbers = _ordinary(traceparent)
        if numbers is None:
            return self._ask(traceparent, state, baggage, environ)
        trace_id, span_id, flags = numbers
        if not state:
            return Incoming(trace_id, span_id, flags, "", members)
        threshold = self._thresholds.get(state)
        kept = threshold is not None and self._states.get((state, flags, trace_id & _RANDOMNESS >= threshold))
        if not isinstance(kept, str):
            return self._ask(traceparent, state, baggage, environ)
        return Incoming(trace_id, span_id, flags, kept, members)

    def _ask(self, traceparent: str, state: str, baggage: str, environ: bool) -> Incoming:
        found = self.policy.extract(traceparent, state, baggage)
        source = "the environment of this process" if environ else "incoming headers"
        for problem in found.problems:
            if environ:
                problem = problem._replace(path=problem.path.upper())
            warn_once(f"{source} {problem.code}", "%s", problem.render(source))
        incoming = Incoming(
            found.high << 64 | found.low, found.span, found.flags, found.tracestate, found.baggage
        )
        if not found.problems and len(state) + len(baggage) <= _LONGEST_KEPT:
            self._keep(traceparent, state, baggage, incoming)
        return incoming

    def _keep(self, traceparent: str, state: str, baggage: str, incoming: Incoming) -> None:
        if len(self._baggage) >= _MOST_KEPT:
            self._baggage.clear()
        self._baggage[baggage] = incoming.baggage
        numbers = _ordinary(traceparent)
        if numbers is None:
            return
        if self._reads_ordinary is not False:
            self._reads_ordinary = numbers == incoming[:3]
        threshold = _threshold(state)
        if threshold is not None:
            if len(self._states) >= _MOST_KEPT:
                self._states.clear()
                self._thresholds.clear()
            trace_id, _, flags = numbers
            self._thresholds[state] = threshold
            self._states[state, flags, trace_id & _RANDOMNESS >= threshold] = incoming.tracestate

    def write(self, span: SpanContext, state: str, baggage: str) -> Outgoing:
        """Writes `tracestate` and `baggage`."""
        kept = self._outgoing.get((state, baggage))
        if kept is None:
            numbers = (span.trace_id >> 64, span.trace_id & _LOW, span.span_id, span.trace_flags)
            written = self.policy.inject(*numbers, state, baggage)
            kept = Outgoing(*(text if is_header(text) else "" for text in written[1:]))
            if len(state) + len(baggage) <= _LONGEST_KEPT:
                if len(self._outgoing) >= _MOST_KEPT:
                    self._outgoing.clear()
                self._outgoing[state, baggage] = kept
        return kept


def _ordinary(traceparent: str) -> tuple[int, int, int] | None:
    """Trace id, span id and flags of a `traceparent` of version 00 in which nothing is wrong (W3C Trace
    Context Level 2, section 2.2.2); `None` for any other.
    """
    match = _ORDINARY.fullmatch(traceparent)
    if match is None:
        return None
    trace_id, span_id, flags = match.groups()
    numbers = (int(trace_id, 16), int(span_id, 16), int(flags, 16) & KNOWN_FLAGS)
    return numbers if numbers[0] and numbers[1] else None


def _threshold(state: str) -> int | None:
    """T of a `tracestate`, 0 if it has none: beside the flags, the policy's answer depends on whether R of a
    trace is at least T. `None` where that is not to be seen at a glance.
    """
    if "th:" not in state:
        return 0
    for member in state.split(","):
        if member.startswith("ot="):
            for sub_key in member[len("ot=") :].split(";"):
                if sub_key.startswith("th:") and _THRESHOLD.fullmatch(sub_key, len("th:")):
                    return int(sub_key[len("th:") :].ljust(14, "0"), 16)
    return None
