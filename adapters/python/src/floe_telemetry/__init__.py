"""Telemetry for floe data platforms.

    import floe_telemetry

    telemetry = floe_telemetry.init()  # the manifest that FLOE_TELEMETRY_MANIFEST names
    with telemetry.operation(floe_telemetry.OperationKind.COMPILE, "sales"):
        ...

Everything is imported when it is first used, so that a process without telemetry pays nothing for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floe_telemetry.carriers import environ_carrier, environ_context
    from floe_telemetry.contract import Diagnostic, OperationKind, Outcome, Plan, SamplingIntent
    from floe_telemetry.engine import ComponentError
    from floe_telemetry.manifest import ManifestError
    from floe_telemetry.metrics import MetricRecorder
    from floe_telemetry.operation import Operation
    from floe_telemetry.policy import Policy
    from floe_telemetry.propagator import FloePropagator
    from floe_telemetry.provider import TelemetryProvider, init
    from floe_telemetry.reference import UnresolvedError
    from floe_telemetry.sampler import FloeSampler
    from floe_telemetry.span_context import SpanContext

__version__ = "0.1.0"

__all__ = [
    "ComponentError",
    "Diagnostic",
    "FloePropagator",
    "FloeSampler",
    "ManifestError",
    "MetricRecorder",
    "Operation",
    "OperationKind",
    "Outcome",
    "Plan",
    "Policy",
    "SamplingIntent",
    "SpanContext",
    "TelemetryProvider",
    "UnresolvedError",
    "environ_carrier",
    "environ_context",
    "init",
]

_MODULES = {
    "ComponentError": "engine",
    "Diagnostic": "contract",
    "FloePropagator": "propagator",
    "FloeSampler": "sampler",
    "ManifestError": "manifest",
    "MetricRecorder": "metrics",
    "Operation": "operation",
    "OperationKind": "contract",
    "Outcome": "contract",
    "Plan": "contract",
    "Policy": "policy",
    "SamplingIntent": "contract",
    "SpanContext": "span_context",
    "TelemetryProvider": "provider",
    "UnresolvedError": "reference",
    "environ_carrier": "carriers",
    "environ_context": "carriers",
    "init": "provider",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
