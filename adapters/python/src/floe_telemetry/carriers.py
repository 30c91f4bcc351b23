"""Carriers: how context travels in HTTP headers, gRPC metadata, process environments, Dagster's run tags and
Kubernetes' lists of variables.

Each is a pair of OpenTelemetry's `Getter` and `Setter` and knows nothing of what travels: any propagator can
use it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, Setter, TextMapPropagator

from floe_telemetry._once import warn_once

_HEADER: Final = re.compile("[!-~](?:[ -~]{0,8190}[!-~])?|")


def is_header(value: str) -> bool:
    """Whether any carrier takes a value: visible ASCII, of at most 8 KiB. What else a policy answers is left
    out, since a subprocess, a server or a database would fail of it; that is one warning, FLOE-H007.
    """
    if _HEADER.fullmatch(value):
        return True
    warn_once(
        "header",
        "warning[FLOE-H007]: the policy answered a header that is not visible ASCII of at most 8192 bytes\n"
        "  help: it is left out; report it to the author of the policy component",
    )
    return False


# HTTP. Names have no case, and a header may come in several lines (RFC 9110, section 5).


class HeadersGetter(Getter[Any]):
    """Headers as a mapping, or as pairs of name and value in text or bytes: those of ASGI, WSGI and
    `http.client`. The lines of one name are kept apart.
    """

    def get(self, carrier: Any, key: str) -> list[str] | None:
        """All values of a name."""
        wanted = key.lower()
        found: list[str] = []
        for name, value in _pairs(carrier):
            if _text(name).lower() == wanted:
                found += map(_text, value) if isinstance(value, (list, tuple)) else (_text(value),)
        return found or None

    def keys(self, carrier: Any) -> list[str]:
        """The names."""
        return list(dict.fromkeys(_text(name) for name, _ in _pairs(carrier)))


class HeadersSetter(Setter[Any]):
    """Headers as a mutable mapping, or as a list of pairs. A header of the same name is replaced.

    `binary` says whether pairs are of bytes, as ASGI's are.
    """

    def __init__(self, *, binary: bool = False) -> None:
        self._binary: Final = binary

    def set(self, carrier: Any, key: str, value: str) -> None:
        """Sets a header."""
        same = {name for name, _ in _pairs(carrier) if _text(name).lower() == key.lower()}
        if isinstance(carrier, MutableSequence):
            carrier[:] = [pair for pair in carrier if pair[0] not in same]
            carrier.append((key.encode("latin-1"), value.encode("latin-1")) if self._binary else (key, value))
        else:
            for name in same:
                del carrier[name]
            carrier[key] = value


def _pairs(carrier: Any) -> Iterable[tuple[Any, Any]]:
    pairs: Iterable[tuple[Any, Any]] = carrier.items() if hasattr(carrier, "items") else carrier
    return list(pairs)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


# gRPC. Metadata is a sequence of pairs; names are of lower case, and one may come more than once.


class MetadataGetter(Getter[Iterable[tuple[str, Any]]]):
    """gRPC metadata."""

    def get(self, carrier: Iterable[tuple[str, Any]], key: str) -> list[str] | None:
        """All values of a key."""
        wanted = key.lower()
        return [_text(value) for name, value in carrier or () if name == wanted] or None

    def keys(self, carrier: Iterable[tuple[str, Any]]) -> list[str]:
        """The keys."""
        return list(dict.fromkeys(name for name, _ in carrier or ()))


class MetadataSetter(Setter[MutableSequence[tuple[str, Any]]]):
    """gRPC metadata, as a list. Entries of the same key are replaced."""

    def set(self, carrier: MutableSequence[tuple[str, Any]], key: str, value: str) -> None:
        """Sets an entry."""
        name = key.lower()
        carrier[:] = [entry for entry in carrier if entry[0] != name]
        carrier.append((name, value))


# Process environments, by OpenTelemetry's "Environment Variables as Context Propagation Carriers".

_NORMAL: Final = re.compile("[A-Z_][A-Z0-9_]*")


def normal_name(key: str) -> str:
    """The name of the environment variable for a key."""
    name = re.sub("[^A-Z0-9_]", "_", re.sub("[a-z]+", lambda letters: letters[0].upper(), key))
    return name if _NORMAL.fullmatch(name) else f"_{name}"


class EnvironmentGetter(Getter[Mapping[str, str]]):
    """An environment. Names that are not normal are not seen."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        """The value of a variable. An empty one counts as unset."""
        value = carrier.get(normal_name(key))
        return [value] if value else None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        """The names that are normal."""
        return [name for name in carrier if _NORMAL.fullmatch(name)]


class EnvironmentSetter(Setter[MutableMapping[str, str]]):
    """An environment, or the part of it that a child process gets in addition."""

    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        """Sets a variable."""
        carrier[normal_name(key)] = value


# Dagster's run tags.

TAG_PREFIX: Final = "floe/"


class RunTagsGetter(Getter[Mapping[str, str]]):
    """The tags of a Dagster run that begin with `floe/`."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        """The value of a tag."""
        value = carrier.get(TAG_PREFIX + key)
        return [value] if value else None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        """The names without the prefix."""
        return [name.removeprefix(TAG_PREFIX) for name in carrier if name.startswith(TAG_PREFIX)]


class RunTagsSetter(Setter[MutableMapping[str, str]]):
    """The tags of a Dagster run."""

    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        """Sets a tag."""
        carrier[TAG_PREFIX + key] = value


# Kubernetes: the `env` of a container. A later entry of a name wins; one with `valueFrom` has no value here.

_Variable = dict[str, Any]


class EnvListGetter(Getter[Iterable[_Variable]]):
    """The `env` of a Kubernetes container. Names that are not normal are not seen."""

    def get(self, carrier: Iterable[_Variable], key: str) -> list[str] | None:
        """The value of a variable. An empty one counts as unset."""
        name = normal_name(key)
        values = [variable.get("value") for variable in carrier if variable.get("name") == name]
        return [str(values[-1]).replace("$$", "$")] if values and values[-1] else None

    def keys(self, carrier: Iterable[_Variable]) -> list[str]:
        """The names that are normal."""
        names = (str(variable.get("name", "")) for variable in carrier)
        return list(dict.fromkeys(name for name in names if _NORMAL.fullmatch(name)))


class EnvListSetter(Setter[MutableSequence[_Variable]]):
    """The `env` of a Kubernetes container. A variable that is taken from elsewhere (`valueFrom`) stays.

    A container gets another variable's value, a secret's as well, where `$(NAME)` stands in one, and `$`
    where `$$` does. So that nobody reads variables by sending baggage, each `$` is doubled.
    """

    def set(self, carrier: MutableSequence[_Variable], key: str, value: str) -> None:
        """Sets a variable."""
        name, value = normal_name(key), value.replace("$", "$$")
        same = [variable for variable in carrier if variable.get("name") == name]
        if any("valueFrom" in variable for variable in same):
            return
        if same:
            same[0]["value"] = value
            carrier[:] = [each for each in carrier if each is same[0] or each.get("name") != name]
        else:
            carrier.append({"name": name, "value": value})


HEADERS: Final = (HeadersGetter(), HeadersSetter())
ASGI_HEADERS: Final = (HeadersGetter(), HeadersSetter(binary=True))
METADATA: Final = (MetadataGetter(), MetadataSetter())
ENVIRONMENT: Final = (EnvironmentGetter(), EnvironmentSetter())
RUN_TAGS: Final = (RunTagsGetter(), RunTagsSetter())
ENV_LIST: Final = (EnvListGetter(), EnvListSetter())


def environ_carrier(propagator: TextMapPropagator, context: Context | None = None) -> dict[str, str]:
    """The context as variables, such as TRACEPARENT, for the environment of a child process."""
    carrier: dict[str, str] = {}
    propagator.inject(carrier, context, EnvironmentSetter())
    return carrier


def environ_context(
    propagator: TextMapPropagator, environ: Mapping[str, str] | None = None, context: Context | None = None
) -> Context:
    """The context that a process was started with, such as TRACEPARENT of its environment says."""
    found = os.environ if environ is None else environ
    return propagator.extract(found, Context() if context is None else context, EnvironmentGetter())


def run_tags(propagator: TextMapPropagator, context: Context | None = None) -> dict[str, str]:
    """The context as tags of a Dagster run that is launched."""
    carrier: dict[str, str] = {}
    propagator.inject(carrier, context, RunTagsSetter())
    return carrier


def env_list(propagator: TextMapPropagator, context: Context | None = None) -> list[_Variable]:
    """The context as entries of a Kubernetes container's `env`."""
    carrier: list[_Variable] = []
    propagator.inject(carrier, context, EnvListSetter())
    return carrier
