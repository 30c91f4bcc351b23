"""The propagators that `OTEL_PROPAGATORS` names, with floe's own in the place of OpenTelemetry's W3C ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator

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


def configured(policy: Policy | None, environ: Mapping[str, str]) -> TextMapPropagator:
    """The propagator of a process. Not set, or set to nothing, the variable means floe's."""
    names = dict.fromkeys(name.strip().lower() for name in environ.get(VARIABLE, "").split(","))
    names.pop("", None)
    if not names:
        return FloePropagator(policy)
    if "none" in names:
        return CompositePropagator([])
    fields = frozenset().union(*(_OURS.get(name, frozenset()) for name in names))
    propagators: list[TextMapPropagator] = [FloePropagator(policy, fields)] if fields else []
    propagators += [found for name in names if name not in _OURS and (found := _load(name))]
    return propagators[0] if len(propagators) == 1 else CompositePropagator(propagators)


def _load(name: str) -> TextMapPropagator | None:
    """Another propagator, as OpenTelemetry finds it."""
    from importlib.metadata import entry_points

    for found in entry_points(group="opentelemetry_propagator", name=name):
        try:
            propagator: TextMapPropagator = found.load()()
            return propagator
        except Exception as error:
            warn_once(f"propagator {name}", f"the propagator `%s` of {VARIABLE} is left out: %r", name, error)
            return None
    warn_once(f"propagator {name}", f"{VARIABLE} names `%s`, which is not installed; it is left out", name)
    return None


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
