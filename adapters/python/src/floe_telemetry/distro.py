"""`opentelemetry-instrument` with the manifest that FLOE_TELEMETRY_MANIFEST names."""

from __future__ import annotations

from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro

from floe_telemetry.provider import init


class FloeDistro(BaseDistro):  # type: ignore[misc]
    """Leaves the environment as it is: the manifest says what is wanted."""

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """All but `logging`, which would emit each record once more."""
        if entry_point.name != "logging":
            super().load_instrumentor(entry_point, **kwargs)

    def _configure(self, **kwargs: Any) -> None:
        """Does nothing on purpose."""


class FloeConfigurator:
    """Sets the SDK up by the manifest."""

    def configure(self, **kwargs: Any) -> None:
        """Called by `opentelemetry-instrument` before the application starts."""
        init()
