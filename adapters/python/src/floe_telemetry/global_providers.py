"""OpenTelemetry's global providers. The first that are set stay, so others' may be there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import _logs, metrics, trace

from floe_telemetry._once import logger

if TYPE_CHECKING:
    from floe_telemetry.sdk import Sdk


def install(sdk: Sdk) -> None:
    """Makes the SDK's providers the process's own, or says which signals others export past our redaction."""
    taken: dict[str, str] = {}
    if other := _of_others(trace.get_tracer_provider()):
        taken["traces"] = other
    else:
        trace.set_tracer_provider(sdk.tracer_provider)
    if other := _of_others(metrics.get_meter_provider()):
        taken["metrics"] = other
    else:
        metrics.set_meter_provider(sdk.meter_provider)
    if other := _of_others(_logs.get_logger_provider()):
        taken["logs"] = other
    else:
        _logs.set_logger_provider(sdk.logger_provider)
    if taken:
        logger.error(
            "error[FLOE-X008]: another set-up of OpenTelemetry came first, and has the global providers of "
            "%s: %s; what the application and its libraries make goes out by it, without floe's redaction, "
            "names and sampling\n"
            "  help: under opentelemetry-instrument, set OTEL_PYTHON_DISTRO=floe and "
            "OTEL_PYTHON_CONFIGURATOR=floe, or uninstall the other distribution (such as "
            "opentelemetry-distro); in code, call floe_telemetry.init() instead of setting providers",
            ", ".join(taken),
            ", ".join(dict.fromkeys(taken.values())),
        )


def _of_others(provider: object) -> str | None:
    """The class of a provider that exports, or may. The API's own are placeholders until one is set."""
    kind = type(provider)
    if kind.__module__.split(".")[:2] in (["opentelemetry", "trace"], ["opentelemetry", "metrics"]):
        return None
    if kind.__module__.startswith("opentelemetry._logs"):
        return None
    return f"{kind.__module__}.{kind.__qualname__}"
