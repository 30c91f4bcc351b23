"""OpenTelemetry's way to turn it on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from floe_telemetry.dagster import hooks


class DagsterInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Makes telemetry of what Dagster does in this process."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """The Dagster versions whose instance is known."""
        return ["dagster >= 1.10"]

    def _instrument(self, **kwargs: Any) -> None:
        hooks.install()

    def _uninstrument(self, **kwargs: Any) -> None:
        hooks.uninstall()
