"""The propagators that `OTEL_PROPAGATORS` names, with floe's own in the place of OpenTelemetry's W3C ones."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context, get_current
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from floe_telemetry._once import warn_once
from floe_telemetry.propagator import FIELDS, FloePropagator

if TYPE_CHECKING:
    from floe_telemetry.policy import Policy

VARIABLE: Final = "OTEL_PROPAGATORS"
_OURS: Final = {
    "floe": FIELDS,
    "tracecontext": frozenset({"traceparent", "tracestate"}),
    "baggage": frozenset({"baggage"}),
}


class NoPropagator(TextMapPropagator):
    """Carries nothing. Unlike a `CompositePropagator` of none, it answers with a context when it was given
    none.
    """

    @property
    def fields(self) -> set[str]:
        """Names of the headers: there are none."""
        return set()

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """The context as it is."""
        return get_current() if context is None else context

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Sets nothing."""


def configured(policy: Policy | None, environ: Mapping[str, str]) -> TextMapPropagator:
    """The propagator of a process. Not set, or set to nothing, the variable means floe's."""
    text = environ.get(VARIABLE, "")
    names = _names(text)
    if not names:
        return FloePropagator(policy)
    if "none" in names:
        return NoPropagator()
    others, unknown = _others([name for name in names if name not in _OURS])
    if unknown:
        known = names.keys() - unknown
        # A secret may hold commas: the text is redacted before it is split.
        listed = ", ".join(name for name in _names(_without_secrets(policy, text)) if name not in known)
        warn_once(
            f"propagators {listed}",
            f"warning[FLOE-H005]: {VARIABLE} names %s, which this process does not know\n"
            "  help: name floe, tracecontext, baggage, none, or install it",
            listed,
        )
    # In the order of the list: of what several read, the last has its way.
    propagators: list[TextMapPropagator] = []
    for is_ours, neighbours in itertools.groupby(names, _OURS.__contains__):
        if is_ours:
            fields = frozenset().union(*(_OURS[name] for name in neighbours))
            propagators.append(FloePropagator(policy, fields))
        else:
            propagators += (others[name] for name in neighbours if name in others)
    if len(propagators) > 1:
        return CompositePropagator(propagators)
    return propagators[0] if propagators else NoPropagator()


def _names(text: str) -> dict[str, None]:
    """The names of a list, in its order."""
    names = dict.fromkeys(name.strip().lower() for name in text.split(","))
    names.pop("", None)
    return names


def _without_secrets(policy: Policy | None, text: str) -> str:
    """The text, redacted; a mask where no policy can say."""
    try:
        from floe_telemetry.policy import Policy

        [clean] = (policy or Policy.load()).redact([text])
    except Exception:
        return "***"
    return clean


def _others(names: list[str]) -> tuple[dict[str, TextMapPropagator], set[str]]:
    """Those of other packages, as OpenTelemetry finds them, and the names of which there is none. One that
    fails is left out with a warning.
    """
    propagators: dict[str, TextMapPropagator] = {}
    unknown: set[str] = set()
    if not names:
        return propagators, unknown
    from importlib.metadata import entry_points

    for name in names:
        found = next(iter(entry_points(group="opentelemetry_propagator", name=name)), None)
        if found is None:
            unknown.add(name)
            continue
        try:
            propagators[name] = found.load()()
        except Exception as error:
            warn_once(f"propagator {name}", f"the propagator `%s` of {VARIABLE} is left out: %r", name, error)
    return propagators, unknown


def install(propagator: TextMapPropagator) -> None:
    """Makes a propagator OpenTelemetry's global one."""
    named = os.environ.get(VARIABLE)
    if named is not None and "opentelemetry.propagate" not in sys.modules:
        # The module loads what the variable names as it is imported, and raises where that is not installed.
        del os.environ[VARIABLE]
        try:
            import_module("opentelemetry.propagate")
        finally:
            os.environ[VARIABLE] = named
    import_module("opentelemetry.propagate").set_global_textmap(propagator)
