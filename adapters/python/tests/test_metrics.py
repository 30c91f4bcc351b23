"""Instruments of an application's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
from opentelemetry.metrics import NoOpCounter, NoOpHistogram, NoOpUpDownCounter

from collector import Collector
from conftest import Provider
from floe_telemetry import MetricRecorder, _once
from floe_telemetry.provider import TelemetryProvider


@pytest.fixture(autouse=True)
def _say_it_again() -> None:
    _once._seen.clear()


def test_every_kind_is_exported(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    metrics = telemetry.metrics
    assert metrics is telemetry.metrics
    metrics.counter("app.rows", "{row}", "rows that were read").add(
        3, {"table": "orders", "text": "password=hunter2"}
    )
    metrics.up_down_counter("app.open", "{connection}").add(-2)
    metrics.histogram("app.latency", "s").record(0.3, {"route": "/"})
    metrics.gauge("app.temperature", "Cel").record(21.5)
    assert metrics.counter("app.rows", "{row}", "rows that were read") is metrics.counter(
        "app.rows", "{row}", "rows that were read"
    )
    assert telemetry.force_flush(5)
    [rows] = collector.metric("app.rows")
    assert (rows.value, rows.unit) == (3, "{row}")
    assert rows.attributes == {"table": "orders", "text": "password=***"}
    assert rows.resource["service.name"] == "sales"
    assert collector.metric("app.open")[0].value == -2
    [latency] = collector.metric("app.latency")
    assert (latency.count, latency.value) == (1, 0.3)
    assert b"app.temperature" in b"".join(collector.raw)


@pytest.mark.parametrize("name", ["", "1st", "floe.mine", "otel.mine", "x" * 256, "a b", "é", None, 7])
def test_an_invalid_instrument_is_one_warning(
    name: Any, provider: Provider, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = provider(collector.endpoint).metrics
    for _ in range(2):
        metrics.counter(name).add(1)
        metrics.counter(name).add(1)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1", None, 2**70, [1]])
def test_what_a_counter_cannot_add_is_one_warning(
    value: Any, provider: Provider, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = provider(collector.endpoint)
    counter = telemetry.metrics.counter("app.rows")
    for _ in range(3):
        counter.add(value)
    counter.add(2)
    assert telemetry.force_flush(5)
    assert [point.value for point in collector.metric("app.rows")] == [2]
    assert len(caplog.records) == 1


def test_attribute_sets_are_bounded(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.plan
    most = telemetry.plan.cardinality
    counter = telemetry.metrics.counter("app.rows")
    for number in range(most + 50):
        counter.add(1, {"number": number})
    assert telemetry.force_flush(10)
    points = collector.metric("app.rows")
    assert len(points) == most + 1
    [overflow] = [point for point in points if point.attributes == {"otel.metric.overflow": True}]
    assert overflow.value == 50


def test_without_telemetry_it_is_the_apis_own() -> None:
    metrics = TelemetryProvider().metrics
    assert isinstance(metrics, MetricRecorder)
    assert type(metrics.counter("app.rows")) is NoOpCounter
    assert type(metrics.up_down_counter("app.rows")) is NoOpUpDownCounter
    assert type(metrics.histogram("app.rows")) is NoOpHistogram
    metrics.gauge("app.rows").record(1, {"a": 1})
