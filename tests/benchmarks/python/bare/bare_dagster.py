"""An instance of Dagster with nothing but the OpenTelemetry SDK: a span and a measurement of each run and step."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from typing import Any

import bare_sdk
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from opentelemetry import trace

_ENDS = ("STEP_SUCCESS", "STEP_FAILURE", "PIPELINE_SUCCESS", "PIPELINE_FAILURE")


class BareInstance(DagsterInstance):
    """Dagster's own instance, which tells the SDK of its events."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._telemetry = bare_sdk.Telemetry()
        self._spans: dict[str | None, trace.Span] = {}
        atexit.register(self._telemetry.shutdown)

    def handle_new_event(self, event: Any, **options: Any) -> None:
        """Starts and ends a span."""
        told = event.dagster_event
        if told is not None:
            kind, step = told.event_type_value, told.step_key
            if kind in ("PIPELINE_START", "STEP_START"):
                run = self._spans.get(None)
                attributes = {
                    "dagster.run_id": event.run_id,
                    "dagster.job": event.job_name or "",
                    "dagster.step": step or "",
                    "dagster.step_kind": told.step_kind_value or "",
                }
                self._spans[step] = self._telemetry.tracer.start_span(
                    f"dagster {step}",
                    trace.set_span_in_context(run) if run else None,
                    attributes=attributes,
                    start_time=int(event.timestamp * 1e9),
                )
            elif kind in _ENDS:
                span = self._spans.pop(step)
                span.set_attribute("dagster.status", kind)
                self._telemetry.duration.record(1.0, {"dagster.status": kind})
                span.end(int(event.timestamp * 1e9))
        super().handle_new_event(event, **options)

    @classmethod
    def config_schema(cls) -> dict[str, Any]:
        """It has no settings of its own."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Dagster's own."""
        return InstanceRef.config_defaults(base_dir)
