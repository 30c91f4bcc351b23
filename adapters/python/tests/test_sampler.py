from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from collector import Collector
from conftest import Provider
from floe_telemetry import tracestate
from floe_telemetry.contract import ParentMode, Plan, Rule, SamplingDecision, SamplingIntent, SpanKind
from floe_telemetry.engine import ComponentError
from floe_telemetry.failed import as_operation
from floe_telemetry.policy import Policy
from floe_telemetry.provider import read_plan
from floe_telemetry.sampler import FloeSampler

HALF = 1 << 55
Configured = tuple[Policy, Plan]
Configure = Callable[[str], Configured]


@pytest.fixture(scope="module")
def configure(tmp_path_factory: pytest.TempPathFactory) -> Configure:
    def configured(sampling: str) -> Configured:
        path: Path = tmp_path_factory.mktemp("sampler") / "manifest.yaml"
        path.write_text(
            "metadata: {name: sales, namespace: acme.sales, version: '1'}\n"
            f"observability: {{telemetry: {{sampling: {sampling}}}}}"
        )
        policy, plan, _ = read_plan(path, {})
        return policy, plan

    return configured


@pytest.fixture(scope="module")
def half(configure: Configure) -> Configured:
    return configure("{dev: 0.5}")


@pytest.fixture(scope="module")
def ignoring(configure: Configure) -> Configured:
    return configure("{rules: [{match: {name: '*'}, ratio: 0.25, parent: ignore}]}")


def parent(sampled: bool, state: str = "", trace_id: int = 7) -> Context:
    flags = TraceFlags(1 if sampled else 0)
    span = SpanContext(trace_id, 7, True, flags, tracestate.shared(state) if state else None)
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def kept(result: SamplingResult) -> bool:
    return result.decision is Decision.RECORD_AND_SAMPLE


def state_of(result: SamplingResult) -> str:
    return result.trace_state.to_header() if result.trace_state else ""


@given(st.integers(1, 2**128 - 1))
def test_the_threshold_decides_without_a_parent(half: Configured, trace_id: int) -> None:
    result = FloeSampler(*half).should_sample(Context(), trace_id, "x")
    assert kept(result) == (trace_id % 2**56 >= HALF)
    assert state_of(result) == ("ot=th:8" if kept(result) else "")


def test_traces_share_their_tracestate(half: Configured) -> None:
    sampler = FloeSampler(*half)
    first, second = (sampler.should_sample(None, HALF + n, f"{n}", attributes={"n": n}) for n in range(2))
    assert first.trace_state is second.trace_state
    assert first.attributes == {"n": 0}


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.1, 0.01])
def test_the_fraction_that_is_kept(ratio: float, configure: Configure) -> None:
    sampler = FloeSampler(*configure(f"{{dev: {ratio}}}"))
    ids = random.Random(7)
    found = sum(kept(sampler.should_sample(None, ids.getrandbits(128), "x")) for _ in range(20_000))
    deviation = (20_000 * ratio * (1 - ratio)) ** 0.5
    assert abs(found - 20_000 * ratio) <= 4 * deviation


@pytest.mark.parametrize("sampled", [True, False])
def test_a_parent_decides(half: Configured, sampled: bool) -> None:
    context = parent(sampled, "1a=1,ot=th:8")
    result = FloeSampler(*half).should_sample(context, 0 if sampled else HALF, "x")
    assert kept(result) == sampled
    assert result.trace_state is trace.get_current_span(context).get_span_context().trace_state


@pytest.mark.parametrize(
    ("low", "state", "expected"),
    [
        (3 << 54, "", "ot=th:c"),
        (0, "", None),
        (3 << 54, "ot=th:c", "ot=th:c"),
        (3 << 54, "a=1,ot=th:8", "ot=th:c,a=1"),
        (HALF, "a=1,ot=th:8", None),
        (0, "ot=th:8;rv:fffffffffffff0", "ot=th:c;rv:fffffffffffff0"),
        (3 << 54, "ot=th:8;rv:80000000000000", None),
    ],
)
def test_an_ignored_parent(ignoring: Configured, low: int, state: str, expected: str | None) -> None:
    sampler = FloeSampler(*ignoring)
    for sampled in (True, False):
        result = sampler.should_sample(parent(sampled, state), low, "x")
        assert kept(result) == (expected is not None)
        if expected is not None:
            assert state_of(result) == expected
        else:
            assert "th:" not in state_of(result)


def test_a_child_at_a_lower_ratio_is_consistent(ignoring: Configured, configure: Configure) -> None:
    """Whoever keeps one in four keeps nothing that is not kept by one in two."""
    parents, children = FloeSampler(*configure("{dev: 0.5}")), FloeSampler(*ignoring)
    ids, both = random.Random(3), 0
    for _ in range(2000):
        trace_id = ids.getrandbits(128)
        root = parents.should_sample(None, trace_id, "root")
        child = children.should_sample(parent(kept(root), state_of(root)), trace_id, "child")
        assert kept(root) or not kept(child)
        assert state_of(child) == ("ot=th:c" if kept(child) else "")
        both += kept(child)
    assert 400 <= both <= 600


def test_a_policy_is_asked_once_for_alike_children(
    ignoring: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    decide = Policy.decide

    def counted(policy: Policy, low: int, state: str, threshold: int) -> SamplingDecision:
        calls.append(low)
        return decide(policy, low, state, threshold)

    monkeypatch.setattr(Policy, "decide", counted)
    sampler, ids = FloeSampler(*ignoring), random.Random(5)
    for _ in range(1000):
        trace_id = ids.getrandbits(128)
        result = sampler.should_sample(parent(True, "ot=th:0"), trace_id, "x")
        assert kept(result) == (trace_id % 2**56 >= 3 << 54)
    assert len(calls) == 2
    for number in range(3000):
        sampler.should_sample(parent(True, f"n={number}"), 1, "x")
    assert len(sampler._current.generation.decisions) <= 1024


def test_attributes_of_rules(configure: Configure) -> None:
    policy, plan = configure("{rules: [{match: {name: x}, ratio: 1, attributes: {by: rule, a: 0}}]}")
    sampler = FloeSampler(policy, plan)
    assert sampler.should_sample(None, 1, "x").attributes == {"by": "rule", "a": 0}
    assert sampler.should_sample(None, 1, "x", attributes={"a": 1}).attributes == {"by": "rule", "a": 1}
    assert sampler.should_sample(parent(False), 1, "x", attributes={"a": 1}).attributes == {}
    assert sampler.should_sample(None, 1, "y", attributes={"a": 1}).attributes == {"a": 1}


def test_operations_are_recorded_though_not_sampled(half: Configured, configure: Configure) -> None:
    sampler, none = FloeSampler(*half), FloeSampler(*configure("{dev: 0.5, keep_failed: false}"))
    for context in (Context(), parent(False, "a=1")):
        result = sampler.should_sample(as_operation(context), 0, "x", attributes={"a": 1})
        assert result.decision is Decision.RECORD_ONLY
        assert result.attributes == {"a": 1}
        assert "th:" not in state_of(result)
        assert sampler.should_sample(context, 0, "x").decision is Decision.DROP
        assert none.should_sample(as_operation(context), 0, "x").decision is Decision.DROP
    assert kept(sampler.should_sample(as_operation(Context()), HALF, "x"))


class Counting(Policy):
    """A policy of its own mind, in place of a component that would have to be built for it."""

    def __init__(self, rule: int = 0) -> None:
        self.asked: list[tuple[str, str, SpanKind, dict[str, object]]] = []
        self.rule = rule

    def intent(self, scope: str, name: str, kind: SpanKind, attributes: object) -> SamplingIntent:
        assert isinstance(attributes, dict)
        self.asked.append((scope, name, kind, attributes))
        if name == "fails":
            raise ComponentError("FLOE-C006", "trap", "")
        threshold = 1 << 56 if attributes.get("drop") else 0
        return SamplingIntent(threshold, ParentMode.IGNORE, 9 if name == "wrong" else self.rule, "nonsense")

    def decide(self, low: int, tracestate: str, threshold: int) -> SamplingDecision:
        raise ComponentError("FLOE-C006", "trap", "")


def counting(plan: Plan, scoped: bool = False) -> Plan:
    rules = [Rule({}), Rule({"rule": 1}), Rule({"rule": 2})]
    return plan._replace(
        sampler=plan.sampler._replace(dependencies=["drop"], named=True, rules=rules, scoped=scoped)
    )


def test_intents_are_asked_for_once(half: Configured) -> None:
    policy = Counting()
    sampler = FloeSampler(policy, counting(half[1]))
    for _ in range(3):
        assert kept(sampler.should_sample(parent(False), 0, "one", trace.SpanKind.CLIENT))
        assert kept(sampler.should_sample(None, 0, "two"))
        dropped = sampler.should_sample(parent(True), 2**56 - 1, "one", attributes={"drop": True, "other": 1})
        assert dropped.decision is Decision.DROP
        assert kept(sampler.should_sample(None, 0, "fails"))
        assert kept(sampler.should_sample(None, 0, "wrong"))
    assert policy.asked == [
        ("", "one", SpanKind.CLIENT, {}),
        ("", "two", SpanKind.INTERNAL, {}),
        ("", "one", SpanKind.INTERNAL, {"drop": True}),
        ("", "fails", SpanKind.INTERNAL, {}),
        ("", "wrong", SpanKind.INTERNAL, {}),
    ]
    for number in range(5000):
        sampler.should_sample(None, 0, f"name {number}")
    assert len(sampler._current.generation.intents) <= 1024


def test_values_of_any_type_are_told_apart(half: Configured) -> None:
    policy = Counting()
    sampler = FloeSampler(policy, counting(half[1]))
    values = [None, 0, False, 0.0, "0", "", ["a"], ("a", "b"), b"0"]
    for _ in range(2):
        for value in values:
            sampler.should_sample(None, 0, "x", attributes={"drop": value})
    assert len(policy.asked) == len(values)


def test_a_policy_that_cannot_decide(half: Configured) -> None:
    """The span is kept, and with an unknown probability there is no `th`."""
    sampler = FloeSampler(Counting(), counting(half[1]))
    result = sampler.should_sample(parent(False, "a=1,ot=th:8"), 0, "x")
    assert (kept(result), state_of(result)) == (True, "a=1")


def test_another_configuration(half: Configured) -> None:
    sampler = FloeSampler(Counting(1), counting(half[1]))
    view = sampler.scoped("scope")
    assert sampler.should_sample(None, 0, "x").attributes == {"rule": 1}
    sampler.configure(Counting(2), counting(half[1]))
    assert sampler.should_sample(None, 0, "x").attributes == {"rule": 2}
    assert view.should_sample(None, 0, "x").attributes == {"rule": 2}


def test_scopes_are_told_where_they_matter(half: Configured) -> None:
    policy = Counting()
    sampler = FloeSampler(policy, counting(half[1], scoped=True))
    for scope in ("a", "b", "a"):
        sampler.scoped(scope).should_sample(None, 0, "x")
    assert [asked[0] for asked in policy.asked] == ["a", "b"]


def test_scopes_through_the_sdk(provider: Provider, collector: Collector) -> None:
    rules = "rules: [{match: {scope: 'noisy.*'}, ratio: 0}]"
    telemetry = provider(collector.endpoint, f"sampling: {{dev: 1, {rules}}}")
    assert telemetry.sdk
    for scope in ("noisy.library", "quiet"):
        telemetry.sdk.tracer_provider.get_tracer(scope).start_span(f"of {scope}").end()
    assert telemetry.force_flush(5)
    assert [span.name for span in collector.spans] == ["of quiet"]


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("flags", [0, 1, 2, 3])
def test_the_random_flag_is_the_parents(
    ratio: float, flags: int, provider: Provider, collector: Collector
) -> None:
    """Kept set and kept unset, whether the span is dropped, recorded or sampled (W3C Trace Context Level 2)."""
    ignore = f"sampling: {{rules: [{{match: {{name: '*'}}, ratio: {ratio}, parent: ignore}}]}}"
    telemetry = provider(collector.endpoint, ignore)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    incoming = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-0{flags}"}
    context = telemetry.propagator.extract(incoming, Context())
    for start in (tracer.start_span("x", context), tracer.start_span("x", as_operation(context))):
        assert start.get_span_context().trace_flags == (flags & 2) | int(ratio)
    root = tracer.start_span("root", Context()).get_span_context()
    assert root.trace_flags == 2 | int(ratio)
