"""The classes that W3C's baggage tests call, over floe's policy component.

`from baggage import Baggage, BaggageEntry` works with this directory on `sys.path`, and so does this file as `baggage/baggage.py` of a package.
Text is read by `propagation.extract` and written by `propagation.inject`; what is left here is to split text that is canonical already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote, unquote

from floe_telemetry.policy import Policy


@cache
def policy() -> Policy:
    """The component, without configuration."""
    return Policy.load()


@dataclass
class BaggageEntryProperty:
    """What follows a member's value after a `;`."""

    key: str
    value: str | None = None

    def to_string(self) -> str:
        return self.key if self.value is None else f"{self.key}={quote(self.value)}"


@dataclass
class BaggageEntry:
    """A member: its value is decoded."""

    key: str
    value: str
    properties: list[BaggageEntryProperty] = field(default_factory=list)

    @classmethod
    def from_string(cls, value: str) -> BaggageEntry:
        """The only member of a text. Raises `ValueError` where there is another number of them."""
        (entry,) = Baggage.from_string(value).entries
        return entry

    def to_string(self) -> str:
        return Baggage([self]).to_string()

    def _encoded(self) -> str:
        # The policy keeps the encoding of a value that is well encoded, so that it is this one that comes out: the tests expect `quote`'s.
        return ";".join([f"{self.key}={quote(self.value)}", *(each.to_string() for each in self.properties)])


@dataclass
class Baggage:
    """A list of members."""

    entries: list[BaggageEntry] = field(default_factory=list)

    @classmethod
    def from_string(cls, value: str) -> Baggage:
        """What the policy reads in a header. Raises `ValueError` where it leaves something out."""
        extraction = policy().extract("", "", value)
        if extraction.problems:
            raise ValueError("\n".join(problem.message for problem in extraction.problems))
        return cls([_entry(member) for member in extraction.baggage.split(",") if member])

    def to_string(self) -> str:
        """What the policy writes as a header."""
        text = ",".join(entry._encoded() for entry in self.entries)
        return policy().inject(0, 0, 0, 0, "", text).baggage


def _entry(canonical: str) -> BaggageEntry:
    member, *properties = canonical.split(";")
    key, _, value = member.partition("=")
    return BaggageEntry(key, unquote(value), [_property(each) for each in properties])


def _property(canonical: str) -> BaggageEntryProperty:
    key, separator, value = canonical.partition("=")
    return BaggageEntryProperty(key.strip(), unquote(value.strip()) if separator else None)
