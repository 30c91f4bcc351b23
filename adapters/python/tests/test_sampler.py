from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from floe_telemetry.contract import ParentMode, Plan, Rule, SamplingIntent, SpanKind
from floe_telemetry.engine import ComponentError
from floe_telemetry.policy import Policy
from floe_telemetry.provider import read_plan
from floe_telemetry.sampler import FloeSampler

HALF = 1 << 55


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Policy, Plan]:
    path: Path = tmp_path_factory.mktemp("sampler") / "manifest.yaml"
    path.write_text(
        "metadata: {name: sales, namespace: acme.sales, version: '1'}\nobservability: {telemetry: {sampling: {dev: 0.5}}}"
    )
    policy, plan, _ = read_plan(path, {})
    return policy, plan


def parent(sampled: bool, state: str = "") -> Context:
    flags = TraceFlags(1 if sampled else 0)
    span = SpanContext(7, 7, True, flags, TraceState.from_header([state]) if state else None)
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def kept(result: SamplingResult) -> bool:
    return result.decision is Decision.RECORD_AND_SAMPLE


@given(st.integers(1, 2**128 - 1))
def test_the_threshold_decides_without_a_parent(configured: tuple[Policy, Plan], trace_id: int) -> None:
    sampler = FloeSampler(*configured)
    result = sampler.should_sample(Context(), trace_id, "x")
    assert kept(result) == (trace_id % 2**56 >= HALF)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_parent_decides(configured: tuple[Policy, Plan], sampled: bool) -> None:
    result = FloeSampler(*configured).should_sample(parent(sampled, "a=1"), 0 if sampled else HALF, "x")
    assert kept(result) == sampled
    assert result.trace_state is not None
    assert result.trace_state.to_header() == "a=1"


def test_attributes(configured: tuple[Policy, Plan]) -> None:
    sampler = FloeSampler(*configured)
    result = sampler.should_sample(parent(True), 0, "x", attributes={"floe.namespace": "mine", "a": 1})
    assert result.attributes["floe.namespace"] == "mine"
    assert (result.attributes["floe.product.name"], result.attributes["a"]) == ("sales", 1)
    assert dict(sampler.should_sample(parent(False), 0, "x", attributes={"a": 1}).attributes) == {}


class Counting(Policy):
    """A policy of its own mind, in place of a component that would have to be built for it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, SpanKind, dict[str, object]]] = []

    def intent(self, scope: str, name: str, kind: SpanKind, attributes: object) -> SamplingIntent:
        assert isinstance(attributes, dict)
        self.asked.append((name, kind, attributes))
        if name == "fails":
            raise ComponentError("FLOE-C006", "trap", "")
        return SamplingIntent(
            1 << 56 if attributes.get("drop") else 0, ParentMode.IGNORE, 1 if name == "two" else 0
        )


def test_intents_are_asked_for_once(configured: tuple[Policy, Plan]) -> None:
    plan = configured[1]._replace(dependencies=["drop"], rules=[Rule({"rule": 0}), Rule({"rule": 1})])
    policy = Counting()
    sampler = FloeSampler(policy, plan)
    for _ in range(3):
        assert sampler.should_sample(parent(False), 0, "one").attributes == {"rule": 0}
        assert sampler.should_sample(None, 0, "two").attributes == {"rule": 1}
        dropped = sampler.should_sample(parent(True), 2**56 - 1, "one", attributes={"drop": True, "other": 1})
        assert dropped.decision is Decision.DROP
        assert kept(sampler.should_sample(None, 0, "fails"))
    assert policy.asked == [
        ("one", SpanKind.INTERNAL, {}),
        ("two", SpanKind.INTERNAL, {}),
        ("one", SpanKind.INTERNAL, {"drop": True}),
        ("fails", SpanKind.INTERNAL, {}),
    ]
    for number in range(5000):
        sampler.should_sample(None, 0, f"name {number}")
    assert len(sampler._intents) <= 1024
