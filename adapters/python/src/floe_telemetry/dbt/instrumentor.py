"""OpenTelemetry's way to turn it on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from floe_telemetry.dbt import entry


class DbtInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments dbt in this process: `dbtRunner.invoke` and dbt's command line.

    `instrument(provider=...)` takes a provider; by default the installed one, else `init()`'s.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """The dbt versions whose events are known."""
        return ["dbt-core >= 1.10"]

    def _instrument(self, **kwargs: Any) -> None:
        entry.install(kwargs.get("provider"))

    def _uninstrument(self, **kwargs: Any) -> None:
        entry.uninstall()
