from __future__ import annotations

import http.client
import random
from email.message import Message
from typing import Any

import pytest
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from conftest import Provider
from floe_telemetry import carriers
from floe_telemetry.propagator import FloePropagator

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
HEADERS = {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "k=v"}

THEIRS = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
PAIRS: dict[str, tuple[tuple[Any, Any], Any]] = {
    "http mapping": (carriers.HEADERS, {}),
    "http pairs": (carriers.HEADERS, []),
    "http.client": (carriers.HEADERS, Message()),
    "asgi": (carriers.ASGI_HEADERS, []),
    "grpc": (carriers.METADATA, []),
    "environment": (carriers.ENVIRONMENT, {}),
    "run tags": (carriers.RUN_TAGS, {}),
    "env list": (carriers.ENV_LIST, []),
}


@pytest.mark.parametrize("theirs", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_context_travels_by_any_propagator(name: str, theirs: bool) -> None:
    propagator = THEIRS if theirs else FloePropagator()
    (getter, setter), empty = PAIRS[name]
    carrier = type(empty)()
    for _ in range(2):  # what is there is replaced
        propagator.inject(carrier, propagator.extract(HEADERS, Context()), setter)
    assert len(carrier) == 3
    out: dict[str, str] = {}
    propagator.inject(out, propagator.extract(carrier, Context(), getter))
    assert out == HEADERS
    assert len(getter.keys(carrier)) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"TraceParent": TRACEPARENT, "BAGGAGE": ["a=1", "b=2"]},
        [("TraceParent", TRACEPARENT), ("Baggage", "a=1"), ("Accept", "*/*"), ("BAGGAGE", "b=2")],
        [
            (b"traceparent", TRACEPARENT.encode()),
            (b"baggage", b"a=1"),
            (b"baggage", b"b=2"),
            (b"\xff", b"\xff"),
        ],
    ],
)
def test_headers(headers: Any) -> None:
    getter = carriers.HEADERS[0]
    assert getter.get(headers, "traceparent") == [TRACEPARENT]
    assert getter.get(headers, "baggage") == ["a=1", "b=2"]
    assert getter.get(headers, "tracestate") is None


def test_headers_of_http_client() -> None:
    import io

    content = b"traceparent: 1\r\nBaggage: a=1\r\nBAGGAGE: b=2\r\n\r\n"
    parsed = http.client.parse_headers(io.BytesIO(content))
    assert carriers.HEADERS[0].get(parsed, "baggage") == ["a=1", "b=2"]


def test_a_header_is_replaced_in_any_case() -> None:
    mapping = {"Traceparent": "old", "x": "1"}
    carriers.HEADERS[1].set(mapping, "traceparent", "new")
    assert mapping == {"x": "1", "traceparent": "new"}
    pairs = [(b"TRACEPARENT", b"old"), (b"x", b"1"), (b"traceparent", b"old too")]
    carriers.ASGI_HEADERS[1].set(pairs, "traceparent", "new")
    assert pairs == [(b"x", b"1"), (b"traceparent", b"new")]


def test_metadata() -> None:
    getter, setter = carriers.METADATA
    assert getter.get((("traceparent", TRACEPARENT), ("baggage", b"a"), ("baggage", "b")), "baggage") == [
        "a",
        "b",
    ]
    assert getter.get((), "traceparent") is None
    metadata = [("other", "1")]
    setter.set(metadata, "X-Custom", "2")
    assert metadata == [("other", "1"), ("x-custom", "2")]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("traceparent", "TRACEPARENT"),
        ("x-b3-traceid", "X_B3_TRACEID"),
        ("1st", "_1ST"),
        ("", "_"),
        ("a.b c", "A_B_C"),
        ("straße", "STRA_E"),
        ("ﬁ", "_"),
        ("_x9", "_X9"),
    ],
)
def test_names_of_variables(key: str, name: str) -> None:
    assert carriers.normal_name(key) == name
    environ: dict[str, str] = {}
    carriers.ENVIRONMENT[1].set(environ, key, "1")
    assert environ == {name: "1"}
    assert carriers.ENVIRONMENT[0].get(environ, key) == ["1"]


def test_names_that_are_not_normal_are_not_seen() -> None:
    environ = {"traceparent": "1", "Trace": "2", "1A": "3", "A-B": "4", "OK": "5", "BAGGAGE": ""}
    assert carriers.ENVIRONMENT[0].get(environ, "traceparent") is None
    assert carriers.ENVIRONMENT[0].get(environ, "baggage") is None
    assert carriers.ENVIRONMENT[0].keys(environ) == ["OK", "BAGGAGE"]


def test_an_env_list_keeps_what_is_taken_from_elsewhere() -> None:
    secret = {"name": "BAGGAGE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    env: list[dict[str, Any]] = [
        {"name": "TRACEPARENT", "value": "old"},
        secret,
        {"name": "TRACEPARENT", "value": "older"},
    ]
    carriers.ENV_LIST[1].set(env, "traceparent", "new")
    carriers.ENV_LIST[1].set(env, "baggage", "a=1")
    assert env == [{"name": "TRACEPARENT", "value": "new"}, secret]
    assert carriers.ENV_LIST[0].get(env, "baggage") is None
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "a b", "value": "3"}]
    assert carriers.ENV_LIST[0].get(twice, "a") == ["2"]
    assert carriers.ENV_LIST[0].keys(twice) == ["A"]


def test_what_a_launcher_calls(provider: Provider) -> None:
    telemetry = provider("http://127.0.0.1:1")
    context = telemetry.propagator.extract(HEADERS, Context())
    environ = telemetry.environ(context)
    assert environ["TRACEPARENT"] == TRACEPARENT
    assert environ["BAGGAGE"].startswith("k=v,floe.")
    assert telemetry.run_tags(context) == {f"floe/{name.lower()}": value for name, value in environ.items()}
    assert telemetry.env_list(context) == [{"name": name, "value": value} for name, value in environ.items()]


def test_anything_in_a_carrier_is_answered() -> None:
    """No bytes that come in make extraction fail."""
    numbers = random.Random(11)
    propagator = FloePropagator()
    for _ in range(2000):
        line = numbers.randbytes(numbers.randrange(60))
        if numbers.random() < 0.5:
            line = TRACEPARENT.encode()[: numbers.randrange(56)] + line[:5]
        headers = [(b"traceparent", line), (b"tracestate", numbers.randbytes(20)), (b"baggage", line[::-1])]
        propagator.extract(headers, Context(), carriers.HEADERS[0])
    assert propagator.extract(7, Context()) == {}
