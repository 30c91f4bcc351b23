"""The way into plain dbt: its plugin, which puts one callback into dbt's event manager."""

from __future__ import annotations

from typing import Any

from floe_telemetry import provider as providers
from floe_telemetry._once import warn_once
from floe_telemetry.dbt.callback import Callback


def plugin() -> type[Any]:
    """dbt's plugin class, made here because its base class may only be imported inside dbt."""
    from dbt.plugins.manager import dbtPlugin

    class FloeTelemetryPlugin(dbtPlugin):
        """Joins the command that dbt is running."""

        def initialize(self) -> None:
            """Called by dbt once for each command."""
            try:
                from dbt_common.events.event_manager_client import get_event_manager

                callbacks = get_event_manager().callbacks
                if any(isinstance(callback, Callback) for callback in callbacks):
                    return
                callback = Callback(providers.init())
                callbacks.append(callback)
                callback.invocation.begin()
            except Exception as error:
                warn_once("dbt plugin", "dbt runs without telemetry: %r", error)

    return FloeTelemetryPlugin
