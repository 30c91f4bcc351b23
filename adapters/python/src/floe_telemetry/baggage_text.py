"""Baggage between the policy's canonical text and OpenTelemetry's API.

The API's baggage is a mapping of keys to values, with no place for properties, duplicates and spellings. So
the text that came in is kept beside it. As long as nobody changes the baggage, that text goes out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from opentelemetry import baggage
from opentelemetry.context import Context, create_key, get_value

_TOKEN: Final = "!#$&'*+-.^_`|~"
BAGGAGE_KEY: Final = next(iter(baggage.set_baggage("a", "b", Context())))
"""Where the API keeps baggage in a context. Each of its calls that set a member copies all of the others."""
_RECEIVED: Final = create_key("floe-received-baggage")


class _Received(NamedTuple):
    members: dict[str, str]
    """The very object that is the API's baggage, until somebody changes it: the API then makes another."""
    text: str


@lru_cache(maxsize=256)
def _received(text: str) -> _Received:
    members = {}
    for member in text.split(","):
        key, _, rest = member.partition("=")
        value = rest.partition(";")[0]
        members[key] = unquote(value) if "%" in value else value
    return _Received(members, text)


def baggage_values(text: str) -> dict[str, object]:
    """What a context of this canonical baggage text holds, by the context's keys."""
    received = _received(text)
    return {BAGGAGE_KEY: received.members, _RECEIVED: received}


def with_baggage(text: str, context: Context) -> Context:
    """The context with the members of canonical baggage text."""
    return Context({**context, **baggage_values(text)}) if text else context


def baggage_text(context: Context) -> str:
    """The context's baggage as text. A member that is as it was received has the text that was received."""
    members = context.get(BAGGAGE_KEY)
    if not members or not isinstance(members, Mapping):
        return ""
    received = get_value(_RECEIVED, context)
    if not isinstance(received, _Received):
        return ",".join(f"{key}={_encoded(value)}" for key, value in members.items())
    if received.members is members:
        return received.text
    return ",".join(_changed(members, received))


def _encoded(value: object) -> str:
    # A lone surrogate, of bytes that are no UTF-8, has no encoding.
    return quote(str(value), safe=_TOKEN, errors="replace")


def _changed(members: Mapping[str, object], received: _Received) -> list[str]:
    texts: dict[str, list[str]] = {}
    for member in received.text.split(","):
        texts.setdefault(member.partition("=")[0], []).append(member)
    changed = []
    for key, value in members.items():
        if key in texts and received.members[key] == value:
            changed += texts[key]
        else:
            changed.append(f"{key}={_encoded(value)}")
    return changed
