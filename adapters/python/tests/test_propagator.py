from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context import Context

from collector import Collector
from conftest import Provider
from floe_telemetry import _once, tracestate
from floe_telemetry.carriers import environ_carrier, environ_context
from floe_telemetry.contract import Extraction
from floe_telemetry.engine import ComponentError
from floe_telemetry.headers import Headers
from floe_telemetry.policy import Policy
from floe_telemetry.propagator import FloePropagator

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


HEXADECIMAL = "0123456789abcdef"
KEYS = [
    "a", "0digit", "a@b", "foo@", "x-y_z*/w", "k" * 256, "vendor", "tenant@system",
]  # fmt: skip


def random_state(numbers: random.Random) -> str:
    members = [f"{key}=v{numbers.randrange(100)} x" for key in numbers.sample(KEYS, numbers.randrange(5))]
    if numbers.random() < 0.7:
        threshold = "".join(numbers.choices(HEXADECIMAL, k=numbers.randint(1, 14)))
        rv = ";rv:" + "".join(numbers.choices(HEXADECIMAL, k=14)) if numbers.random() < 0.4 else ""
        members.insert(numbers.randrange(len(members) + 1), f"ot=th:{threshold}{rv}")
    return ",".join(members)


def test_headers_are_read_as_the_policy_reads_them() -> None:
    """What is read here, and what is remembered, is what a call would have answered."""
    numbers, policy = random.Random(9), Policy.load()
    reader = Headers(policy)
    traceparents = [
        f"00-{numbers.getrandbits(128):032x}-{numbers.getrandbits(64):016x}-{flags}"
        for flags in ("00", "01", "02", "03", "ff", "09")
        for _ in range(3)
    ]
    traceparents += ["", "00-0", f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01"]
    traceparents += [f"01-{'a' * 32}-{'b' * 16}-01-x", f"00-{'A' * 32}-{'b' * 16}-01", traceparents[0] + " "]
    states = ["", "ot=th:8", "ot=th:0", "ot=th:;x", "a=1,a=2", "ot=th:8,ot=th:c", "b=th:8"]
    states += [random_state(numbers) for _ in range(25)]
    members = ["", "a=1", "a=1, b=%20;p", "bad", "a=1,a=2"]
    for _ in range(4000):
        header = numbers.choice(traceparents), numbers.choice(states), numbers.choice(members)
        found = policy.extract(*header)
        expected = (found.high << 64 | found.low, found.span, found.flags, found.tracestate, found.baggage)
        assert reader.read(*header) == expected, header
    assert reader._reads_ordinary


def test_an_unusual_policy_reads_everything_itself() -> None:
    class Forgetful(Policy):
        """Continues no trace."""

        def __init__(self) -> None:
            self.calls = 0

        def extract(self, traceparent: str, tracestate: str, baggage: str) -> Extraction:
            self.calls += 1
            return Extraction(0, 0, 0, 0, "", "", [])

    policy = Forgetful()
    for _ in range(5):
        assert FloePropagator(policy).extract({"traceparent": TRACEPARENT}, Context()) == {}
    reader = FloePropagator(policy)
    for _ in range(5):
        assert reader.extract({"traceparent": TRACEPARENT}, Context()) == {}
    assert policy.calls == 10


def test_memory_of_headers_is_bounded() -> None:
    for number in range(1000):
        through({"traceparent": TRACEPARENT, "tracestate": f"a={number}", "baggage": f"b={number}"})
    headers = propagator._of_policy
    assert headers
    for kept in (headers._states, headers._thresholds, headers._baggage, headers._outgoing):
        assert len(kept) <= 256


@pytest.mark.parametrize("length", [1024, 1025])
def test_long_texts_are_not_kept(length: int) -> None:
    reader = FloePropagator()
    state, member = "a=" + "s" * 98, "b=" + "m" * (length - 102)
    sent = {"traceparent": TRACEPARENT, "tracestate": state, "baggage": member}
    for _ in range(2):  # the answer is the same, kept or not
        out: dict[str, str] = {}
        reader.inject(out, reader.extract(sent, Context()))
        assert out == sent
    headers = reader._of_policy
    assert headers
    assert (member in headers._baggage) == (length == 1024)
    assert ((state, member) in headers._outgoing) == (length == 1024)


def test_extract_after_inject_is_the_identity() -> None:
    numbers = random.Random(4)
    for _ in range(500):
        state = ",".join(
            f"{key}=v{numbers.randrange(99)}" for key in numbers.sample(KEYS, numbers.randrange(1, 6))
        )
        members = ",".join(
            f"k{number}=%C3%A4{number}%2C;p=%20x;q" for number in range(numbers.randrange(1, 9))
        )
        headers = {
            "traceparent": f"00-{numbers.getrandbits(128) | 1:032x}-{numbers.getrandbits(64) | 1:016x}-0{numbers.randrange(4)}",
            "tracestate": state,
            "baggage": members,
        }
        assert through(headers) == headers


@pytest.mark.parametrize("flags", range(256))
def test_known_flags_are_kept_and_no_others(flags: int) -> None:
    assert through({"traceparent": f"{TRACEPARENT[:-2]}{flags:02x}"})["traceparent"].endswith(
        f"-{flags & 3:02x}"
    )


def test_baggage_goes_out_as_it_came() -> None:
    """In its order and spelling, with duplicates and properties."""
    text = "b=%61;p=1, a = 2 ;q,a=3,B=%C3%A4,c="
    out = through({"baggage": text})["baggage"]
    assert out == "b=%61;p=1,a=2;q,a=3,B=%C3%A4,c="
    context = propagator.extract({"baggage": text}, Context())
    assert baggage.get_all(context) == {"b": "a", "a": "3", "B": "ä", "c": ""}
    changed = baggage.set_baggage("d", "1", context)
    headers: dict[str, str] = {}
    propagator.inject(headers, changed)
    assert headers["baggage"] == "b=%61;p=1,a=2;q,a=3,B=%C3%A4,c=,d=1"
    propagator.inject(headers, baggage.clear(context))


def test_many_members_cost_no_more_than_their_number() -> None:
    text = ",".join(f"key{number}=value{number}" for number in range(64))
    context = propagator.extract({"baggage": text}, Context())
    assert len(baggage.get_all(context)) == 64
    assert through({"baggage": text})["baggage"] == text


def test_a_received_tracestate_survives_the_api() -> None:
    state = propagator.extract({"traceparent": TRACEPARENT, "tracestate": "0a=1,foo@=2,x@y@z=3"}, Context())
    received = trace.get_current_span(state).get_span_context().trace_state
    assert received.update("0a", "9").to_header() == "0a=9,foo@=2,x@y@z=3"
    assert received.add("9b", "4").to_header() == "9b=4,0a=1,foo@=2,x@y@z=3"
    assert received.delete("foo@").to_header() == "0a=1,x@y@z=3"
    assert received.delete("0a").delete("foo@").delete("x@y@z").to_header() == ""
    for unchanged in (received.add("0a", "5"), received.add("UPPER", "1"), received.update("a", "b=c")):
        assert unchanged is received
    full = tracestate.shared(",".join(f"k{number}=1" for number in range(32)))
    assert full.add("one", "more") is full
    assert full.update("k5", "2").to_header().startswith("k5=2,k0=1")


def test_without_a_policy_the_installed_one_is_taken(provider: Provider) -> None:
    """As OpenTelemetry makes it where OTEL_PROPAGATORS names `floe`."""
    of_environment = FloePropagator()
    out: dict[str, str] = {}
    of_environment.inject(out, Context())
    assert out == {}
    with provider("http://127.0.0.1:1"):
        of_environment.inject(out, Context())
        assert out["baggage"].startswith("floe.namespace=acme.sales,")
    out.clear()
    of_environment.inject(out, Context())
    assert out == {}


def test_fields() -> None:
    full = {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "b=2"}
    for fields in ({"traceparent", "tracestate"}, {"baggage"}, {"other", "baggage"}):
        part = FloePropagator(fields=fields)
        out: dict[str, str] = {}
        part.inject(out, part.extract(full, Context()))
        assert set(out) == part.fields == fields & set(full)
        out.clear()
        part.inject(out, propagator.extract(full, Context()))
        assert set(out) == part.fields


def test_a_policy_that_fails_leaves_the_trace(caplog: pytest.LogCaptureFixture) -> None:
    """`traceparent` needs no policy."""

    class Broken(Policy):
        def __init__(self) -> None: ...

        def inject(self, *_: object) -> Headers:  # type: ignore[override]
            raise ComponentError("FLOE-C006", "trap", "")

    _once._seen.clear()
    out: dict[str, str] = {}
    context = propagator.extract({"traceparent": TRACEPARENT, "baggage": "a=1"}, Context())
    for _ in range(3):
        FloePropagator(Broken()).inject(out, context)
    assert out == {"traceparent": TRACEPARENT}
    assert len(caplog.records) == 1


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
