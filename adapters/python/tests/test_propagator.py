from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context import Context

from collector import Collector
from conftest import Provider
from floe_telemetry import _once
from floe_telemetry.policy import Policy
from floe_telemetry.propagator import FloePropagator, environ_carrier, environ_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"

propagator = FloePropagator()


def through(headers: dict[str, str]) -> dict[str, str]:
    out: dict[str, str] = {}
    propagator.inject(out, propagator.extract(headers, Context()))
    return out


def test_what_comes_in() -> None:
    headers = {
        "traceparent": TRACEPARENT,
        "tracestate": "a=1, 0digit=2",
        "baggage": "user=J%C3%BCrgen+x;p=1;q",
    }
    context = propagator.extract(headers, Context())
    span = trace.get_current_span(context).get_span_context()
    assert (span.trace_id, span.span_id, span.is_remote) == (int(TRACE, 16), int(SPAN, 16), True)
    assert span.trace_flags.sampled
    assert span.trace_state.get("0digit") == "2"
    assert baggage.get_all(context) == {"user": "Jürgen+x"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("SomeValue=equals", "SomeValue=equals"),
        ("v;SomeProp", "v;SomeProp"),
        ("v;p=%20x", "v;p=%20x"),
        ("a+b", "a+b"),
        ("a%20b", "a%20b"),
        ("%FF", "%EF%BF%BD"),
    ],
)
def test_baggage_comes_back_as_it_was(value: str, expected: str) -> None:
    assert through({"baggage": f"key={value}"})["baggage"] == f"key={expected}"


def test_changed_baggage_keeps_the_properties_of_the_rest() -> None:
    context = propagator.extract({"baggage": "a=1;p=x,b=2;q,c=3"}, Context())
    context = baggage.remove_baggage(
        "c", baggage.set_baggage("b", "ä b", baggage.set_baggage("d", 4, context))
    )
    out: dict[str, str] = {}
    propagator.inject(out, context)
    assert out == {"baggage": "a=1;p=x,b=%C3%A4%20b,d=4"}


def test_several_headers_of_a_name() -> None:
    context = propagator.extract({"baggage": ["a=1", "b=2"]}, Context())
    assert baggage.get_all(context) == {"a": "1", "b": "2"}


def test_malformed_headers_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    _once._seen.clear()
    for _ in range(3):
        assert propagator.extract({"traceparent": "00-nonsense"}, Context()) == {}
    [record] = caplog.records
    assert "FLOE-P001" in record.getMessage()


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.text())
def test_any_header_is_answered(traceparent: str, tracestate: str, header: str) -> None:
    through({"traceparent": traceparent, "tracestate": tracestate, "baggage": header})
    through({"traceparent": TRACEPARENT, "tracestate": tracestate, "baggage": header})


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 3),
    st.dictionaries(st.from_regex("[a-z]{1,9}", fullmatch=True), st.text(max_size=20), max_size=5),
)
def test_inject_then_extract_is_the_identity(
    trace_id: int, span_id: int, flags: int, members: dict[str, str]
) -> None:
    members = {key: re.sub("[\ud800-\udfff]", "?", value) for key, value in members.items()}
    span = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))
    context = trace.set_span_in_context(trace.NonRecordingSpan(span), Context())
    for key, value in members.items():
        context = baggage.set_baggage(key, value, context)
    headers: dict[str, str] = {}
    propagator.inject(headers, context)
    back = propagator.extract(headers, Context())
    assert trace.get_current_span(back).get_span_context() == span
    assert baggage.get_all(back) == members
    assert through(headers) == headers


def test_the_environment() -> None:
    environ = {"TRACEPARENT": TRACEPARENT, "BAGGAGE": "a=1;p", "PATH": "/bin", "traceparent": "ignored"}
    context = environ_context(propagator, environ)
    assert environ_carrier(propagator, context) == {"TRACEPARENT": TRACEPARENT, "BAGGAGE": "a=1;p"}


def test_floes_members_reach_children(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    environ = telemetry.environ(Context())
    assert environ == {
        "BAGGAGE": "floe.namespace=acme.sales,floe.product.name=sales,floe.product.version=1.2.0,floe.mode=dev"
    }


def test_a_broken_component_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _once._seen.clear()
    monkeypatch.setenv("FLOE_TELEMETRY_COMPONENT", "/absent.wasm")
    broken = FloePropagator()
    out: dict[str, str] = {}
    broken.inject(out, broken.extract({"traceparent": TRACEPARENT}, Context()))
    assert out == {}
    assert all("FLOE-C001" in record.getMessage() for record in caplog.records)
    assert len(caplog.records) == 2


def test_nothing_is_loaded_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(path: object = None) -> Policy:
        raise AssertionError("loaded")

    monkeypatch.setattr(Policy, "load", loaded)
    assert FloePropagator().extract({}, Context()) == {}
