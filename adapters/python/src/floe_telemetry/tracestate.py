"""`tracestate` as the policy answers it, in the type of OpenTelemetry's API.

The API's own type knows W3C Trace Context Level 1 only: it would drop keys that start with a digit or have an
`@` anywhere else than Level 1 wants it (Level 2, section 3.3.1.3.1).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from opentelemetry.trace import TraceState

_MOST_MEMBERS: Final = 32
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}")
_VALUE: Final = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


class PolicyTraceState(TraceState):
    """A tracestate that the policy found valid or wrote. It never changes, so that many spans share one."""

    def __init__(self, header: str) -> None:
        super().__init__()
        self._header = header
        self._dict = dict(_pair(member) for member in header.split(",")) if header else {}

    def to_header(self) -> str:
        """The text that it came as."""
        return self._header

    def add(self, key: str, value: str) -> TraceState:
        """This tracestate with a new member, or this one itself if the member is not valid or not new."""
        return self if key in self._dict else self.update(key, value)

    def update(self, key: str, value: str) -> TraceState:
        """This tracestate with a member, which comes first, or this one itself if the member is not valid."""
        rest = {name: other for name, other in self._dict.items() if name != key}
        if len(rest) >= _MOST_MEMBERS or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            return self
        return _of_members({key: value, **rest})

    def delete(self, key: str) -> TraceState:
        """This tracestate without a member."""
        return _of_members({name: value for name, value in self._dict.items() if name != key})


def _pair(member: str) -> tuple[str, str]:
    key, _, value = member.partition("=")
    return key, value


def _of_members(members: dict[str, str]) -> TraceState:
    return PolicyTraceState(",".join(f"{key}={value}" for key, value in members.items()))


@lru_cache(maxsize=1024)
def shared(header: str) -> PolicyTraceState:
    """The one object for this text."""
    return PolicyTraceState(header)


def header_of(state: TraceState) -> str:
    """The text of any tracestate."""
    return state.to_header() if state else ""
