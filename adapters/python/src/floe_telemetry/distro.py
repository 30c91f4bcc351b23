"""`opentelemetry-instrument` with the manifest that FLOE_TELEMETRY_MANIFEST names."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro

from floe_telemetry.manifest import VARIABLE
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


def configure_all_the_same() -> None:
    """Called by `opentelemetry-instrument` after the configurator, whichever it was: entry points of others,
    such as those of opentelemetry-distro, may come before ours. The provider finds out, and says so.
    """
    if os.environ.get(VARIABLE):
        init()
