"""A dbt plugin with nothing but the OpenTelemetry SDK: what anybody would write who wants a span and a measurement of
each node. On the path only where it is measured.
"""

from __future__ import annotations

from typing import Any

import bare_sdk
from dbt.plugins.manager import dbtPlugin
from dbt_common.events.event_manager_client import get_event_manager
from opentelemetry import trace


class BareSdkPlugin(dbtPlugin):
    """Joins the command that dbt is running."""

    def initialize(self) -> None:
        """Called by dbt once for each command."""
        telemetry = bare_sdk.Telemetry()
        command = telemetry.tracer.start_span("dbt build")
        below = trace.set_span_in_context(command)
        spans: dict[str, trace.Span] = {}

        def callback(message: Any) -> None:
            name, data = message.info.name, message.data
            if name == "NodeStart":
                node = data.node_info
                attributes = {
                    "dbt.unique_id": node.unique_id,
                    "dbt.resource_type": node.resource_type,
                    "dbt.materialization": node.materialized,
                    "dbt.database": node.node_relation.database,
                    "dbt.schema": node.node_relation.schema,
                    "dbt.relation": node.node_relation.relation_name,
                    "dbt.path": node.node_path,
                    "dbt.name": node.node_name,
                }
                spans[node.unique_id] = telemetry.tracer.start_span(
                    f"dbt {node.node_name}", below, attributes=attributes
                )
            elif name == "NodeFinished":
                node, result = data.node_info, data.run_result
                span = spans.pop(node.unique_id)
                for timing in result.timing_info:
                    span.add_event(timing.name, {}, timing.started_at.ToNanoseconds())
                span.set_attributes({"dbt.status": result.status, "dbt.message": result.message})
                telemetry.duration.record(result.execution_time, {"dbt.resource_type": node.resource_type})
                span.end()
            elif name == "CommandCompleted":
                command.end()
                telemetry.shutdown()

        get_event_manager().callbacks.append(callback)


plugins = [BareSdkPlugin]
