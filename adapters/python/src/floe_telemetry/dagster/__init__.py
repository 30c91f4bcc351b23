"""Dagster: runs, steps, assets, checks and ticks become operations, and what `context.log` says log records.

Three ways in, of which any number may be on at once. Two need no code; both are lines of dagster.yaml:

    instance_class:
      module: floe_telemetry.dagster
      class: FloeInstance

reaches every process: daemon, webserver, code servers, run workers and step workers. And where something else
has that place,

    python_logs:
      dagster_handler_config:
        handlers:
          floe:
            class: floe_telemetry.dagster.DagsterEventHandler
            level: DEBUG

reaches run and step workers. With code, `instrumented(Definitions(...))` reaches the processes that load
definitions, and `DagsterInstrumentor().instrument()` the one that calls it.

A run is in the trace that its tags `floe/traceparent` and `floe/baggage` name: of who launched it, or of the
tick that asked for it. A run that nobody launched has a trace of its own, whose id is the run's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_telemetry.dagster.handler import DagsterEventHandler
from floe_telemetry.dagster.hooks import instrumented

if TYPE_CHECKING:
    from floe_telemetry.dagster.instance import FloeInstance
    from floe_telemetry.dagster.instrumentor import DagsterInstrumentor

__all__ = ["DagsterEventHandler", "DagsterInstrumentor", "FloeInstance", "instrumented"]


def __getattr__(name: str) -> Any:
    """What needs slow imports is imported when it is asked for."""
    if name == "FloeInstance":
        from floe_telemetry.dagster.instance import FloeInstance

        return FloeInstance
    if name == "DagsterInstrumentor":
        from floe_telemetry.dagster.instrumentor import DagsterInstrumentor

        return DagsterInstrumentor
    raise AttributeError(f"module {__name__} has no attribute {name}")
