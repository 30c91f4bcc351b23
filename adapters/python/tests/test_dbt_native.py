"""Spans that dbt makes by itself, by a tracer that starts and ends them as dbt 1.12 does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from collector import Collector
from conftest import Provider
from floe_telemetry.contract import OperationKind
from floe_telemetry.dbt.nodes import Nodes

MODEL = SimpleNamespace(
    unique_id="model.shop.orders",
    node_name="orders",
    resource_type="model",
    materialized="table",
    node_status="error",
    node_started_at="2026-11-22T23:14:56.128151",
    node_finished_at="2026-11-22T23:14:57.128151",
    node_relation=SimpleNamespace(database="shop", schema="main", relation_name="orders"),
)
RESULT = SimpleNamespace(
    status="error",
    message="Runtime Error in model orders\n  Catalog Error: no table, password=hunter2",
    timing_info=[],
    adapter_response={},
    num_failures=0,
)


def run_node(nodes: Nodes, tracer: Any) -> None:
    """A node's events, inside a span as dbt's own."""
    with tracer.start_as_current_span(MODEL.unique_id, attributes={"node_type": "model"}) as native:
        nodes.starts(MODEL)
        native.set_attribute("node_outcome", "error")
        nodes.finishes(MODEL, RESULT)
        assert native.is_recording()


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_native_span_is_described_and_not_doubled(
    is_ours: bool, provider: Provider, collector: Collector
) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk is not None
    # dbt asks the global provider, which may be the application's own: its spans are not ours to change.
    tracers = telemetry.sdk.tracer_provider if is_ours else TracerProvider()
    with telemetry.operation(OperationKind.DBT_INVOCATION, "build") as command:
        nodes = Nodes(telemetry)
        nodes.below(command)
        run_node(nodes, tracers.get_tracer("dbt.runner"))
    assert telemetry.force_flush(5)
    assert len(collector.spans) == 2
    span = collector.span("dbt.model orders")
    assert ("node_type" in span.attributes) == is_ours
    assert span.parent_id == collector.span("dbt build").span_id
    assert span.attributes["floe.dbt.unique_id"] == MODEL.unique_id
    assert (span.attributes["floe.outcome"], span.attributes["error.type"]) == ("error", "CatalogError")
    assert span.status == 2
    assert span.description.endswith("password=***")
    assert [event for event, _ in span.events] == ["exception"]
