"""What a policy answers is bounded before it is used: no plan raises, and no header breaks its carrier."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from collector import Collector
from conftest import Manifest
from floe_telemetry import _once, carriers
from floe_telemetry.baggage_text import with_baggage
from floe_telemetry.bounds import bounded
from floe_telemetry.contract import Batch, Batches, Headers, Instrument, InstrumentKind, OperationKind, Plan
from floe_telemetry.policy import Policy
from floe_telemetry.propagator import FloePropagator
from floe_telemetry.provider import TelemetryProvider, init

MANIFEST = "observability: {telemetry: {}}\nmetadata: {name: shop, namespace: acme, version: '1'}"
LARGEST = 2**32 - 1


@pytest.fixture(autouse=True)
def _say_it_again() -> None:
    _once._seen.clear()


def histogram(name: str, *boundaries: float) -> Instrument:
    return Instrument(name, InstrumentKind.HISTOGRAM, "s", "", list(boundaries))


def batches(queue: int, size: int, delay: int) -> Batches:
    return Batches(Batch(queue, size, delay), Batch(queue, size, delay))


HOSTILE: dict[str, dict[str, Any]] = {
    "huge queue": {"batches": batches(LARGEST, LARGEST, LARGEST)},
    "no queue": {"batches": batches(0, 0, 0)},
    "size beyond the queue": {"batches": batches(10, 1000, 5000)},
    "no interval": {"interval": 0},
    "huge interval": {"interval": LARGEST},
    "no shutdown": {"shutdown": 0},
    "huge shutdown": {"shutdown": LARGEST},
    "boundaries": {
        "instruments": [
            histogram("unsorted", 3, 1, 2),
            histogram("nan", 1, math.nan, math.inf),
            histogram("twice", 1, 1),
            histogram("many", *range(5000)),
            histogram("", 1),
            histogram("x" * 256, 1),
            histogram("é", 1),
        ]
    },
}


def configured(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Has the policy answer with another plan."""
    configure = Policy.configure

    def changed(*arguments: Any, **options: Any) -> tuple[Policy, Plan]:
        policy, plan = configure(*arguments, **options)
        if "timeout" in changes:
            exporters = [each and each._replace(timeout=changes["timeout"]) for each in plan.exporters]
            return policy, plan._replace(exporters=type(plan.exporters)(*exporters))
        return policy, plan._replace(**changes)

    monkeypatch.setattr(Policy, "configure", changed)


@pytest.mark.parametrize("name", [*HOSTILE, "no timeout", "huge timeout", "limit", "heartbeat"])
def test_no_number_of_a_plan_breaks_the_process(
    name: str,
    manifest: Manifest,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, plan = Policy.load().configure(MANIFEST)
    further: dict[str, dict[str, Any]] = {
        "no timeout": {"timeout": 0},
        "huge timeout": {"timeout": LARGEST},
        "limit": {"sampler": plan.sampler._replace(limit=math.nan)},
        "heartbeat": {"operations": plan.operations._replace(heartbeat=0, abandoned=LARGEST)},
    }
    configured(monkeypatch, **{**HOSTILE, **further}[name])
    telemetry = TelemetryProvider.from_manifest(manifest(collector.endpoint))
    telemetry.operation(OperationKind.CUSTOM, "work").begin().end()
    if name != "no timeout":  # a millisecond
        assert telemetry.force_flush(5)
        assert collector.span("work")
    telemetry.shutdown(2)
    expected = name not in ("no shutdown",)
    assert ("FLOE-H006" in caplog.text) is expected


def test_a_plan_within_the_bounds_is_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    _, plan = Policy.load().configure(MANIFEST)
    assert bounded(plan) == plan
    assert caplog.text == ""


def test_boundaries_are_sorted() -> None:
    _, plan = Policy.load().configure(MANIFEST)
    made = bounded(plan._replace(**HOSTILE["boundaries"])).instruments
    assert [each.name for each in made] == ["unsorted", "nan", "twice", "many"]
    assert [each.boundaries for each in made[:3]] == [[1, 2, 3], [1], [1]]
    assert len(made[3].boundaries) == 1000


@pytest.mark.parametrize("level", ["loud", "", "\0"])
def test_init_never_raises_for_a_plan(
    level: str, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    _, plan = Policy.load().configure(MANIFEST)
    configured(monkeypatch, logging=plan.logging._replace(level=level))
    telemetry = init(manifest(collector.endpoint))
    try:
        with telemetry.operation(OperationKind.CUSTOM, "work"):
            pass
    finally:
        telemetry.shutdown(2)


ANSWERS = [
    "a=b\0c",
    "a=b\r\nx-injected: 1",
    "a=" + "b" * 20_000_000,
    "a=é",
    " a=b",
    "a=b ",
    "a=\x7f",
    "\ud800",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_no_carrier_takes_is_no_header(
    answer: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Policy, "inject", lambda *_: Headers("", answer, answer))
    propagator = FloePropagator(Policy.load())
    state = trace.TraceState([("vendor", "1")])
    span = NonRecordingSpan(SpanContext(1, 2, True, TraceFlags(1), state))
    context = with_baggage("user=1", trace.set_span_in_context(span, Context()))
    environ = carriers.environ_carrier(propagator, context)
    assert set(environ) == {"TRACEPARENT"}
    assert set(carriers.run_tags(propagator, context)) == {"floe/traceparent"}
    assert [each["name"] for each in carriers.env_list(propagator, context)] == ["TRACEPARENT"]
    for setter, carrier in ((carriers.HeadersSetter(), {}), (carriers.MetadataSetter(), [])):
        propagator.inject(carrier, context, setter)
        assert len(carrier) == 1
    subprocess.run([sys.executable, "-c", ""], env={**os.environ, **environ}, check=True)
    assert caplog.text.count("FLOE-H007") == 1


def test_the_longest_header() -> None:
    assert carriers.is_header("a" * 8192)
    assert not carriers.is_header("a" * 8193)
    assert carriers.is_header("a=1, b=2")
    assert carriers.is_header("")


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_baggage_of_children_stays_where_the_policys_is_none(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy.load()
    monkeypatch.setattr(policy, "_call", lambda *_, **__: answer)
    assert policy.child_baggage("user=1") == "user=1"
