"""W3C Trace Context Level 2 on the wire, by both hosts alike."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator

import pytest

from services import LANGUAGES, Lines, Recorder, Service, call, recorder
from trace_context import PARENT, ROWS, TRACE, VALID, Row

FORMAT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-(0[0-3])")


@pytest.fixture(scope="module", params=LANGUAGES)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    running = Service(request.param)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def calls() -> Iterator[Recorder]:
    with recorder() as running:
        yield running


def values(headers: Lines, name: str) -> list[str]:
    return [value for given, value in headers if given.lower() == name]


def context(headers: Lines) -> tuple[str, str, int]:
    """Trace id, parent id and flags of the one valid `traceparent`."""
    (value,) = values(headers, "traceparent")
    match = FORMAT.fullmatch(value)
    assert match, value
    trace, parent, flags = match.groups()
    assert int(trace, 16) and int(parent, 16), value
    return trace, parent, int(flags, 16)


def members(headers: Lines) -> list[str]:
    """The members of the outgoing list."""
    return [member for line in values(headers, "tracestate") for member in line.split(",")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row(service: Service, calls: Recorder, row: Row) -> None:
    (sent,) = calls.through(service.port, row.headers)
    trace, parent, flags = context(sent)
    assert parent != PARENT
    if row.continues:
        assert trace == TRACE
        assert ",".join(members(sent)) == row.tracestate
    else:
        assert all(trace not in value for _, value in row.headers)
        # A trace that begins may say with which probability it is kept, and nothing else.
        assert all(member.startswith("ot=") for member in members(sent))
    assert row.flags is None or flags == row.flags


@pytest.mark.parametrize("headers", [(("traceparent", VALID),), (), (("traceparent", VALID[:-1]),)])
def test_each_request_has_a_parent_id_of_its_own(service: Service, calls: Recorder, headers: Lines) -> None:
    sent = [context(lines) for lines in calls.through(service.port, headers, times=3)]
    assert len({trace for trace, _, _ in sent}) == 1
    assert len({parent for _, parent, _ in sent}) == 3


@pytest.mark.parametrize("headers", [(), (("traceparent", VALID),)])
def test_baggage_goes_on_as_it_came(service: Service, calls: Recorder, headers: Lines) -> None:
    lines = [*headers, ("Baggage", "a=1;p;q=2 , b\t=%C3%A4"), ("baggage", ""), ("baggage", "a=%27x=y")]
    (sent,) = calls.through(service.port, lines)
    (value,) = values(sent, "baggage")
    assert value.split(",")[:3] == ["a=1;p;q=2", "b=%C3%A4", "a=%27x=y"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"url": "x"}', b'["x"]', b'[{"arguments": []}]', b"\xff", b"[" * 10_000]
)
def test_a_malformed_body_is_refused(service: Service, body: bytes) -> None:
    status, reason = call(service.port, (), body)
    assert status == 400 and reason


def test_a_body_that_is_too_large_is_refused(service: Service) -> None:
    body = json.dumps([{"url": "http://127.0.0.1:1/", "arguments": ["x" * 1024 * 1024]}]).encode()
    assert call(service.port, (), body)[0] == 413


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense", ""])
def test_a_url_that_cannot_be_called_is_answered(service: Service, url: str) -> None:
    status, reason = call(service.port, (), json.dumps([{"url": url, "arguments": []}]).encode())
    assert status == 502 and "cannot be called" in reason


def test_a_call_that_fails_is_answered(service: Service, calls: Recorder) -> None:
    status, _ = call(service.port, (), json.dumps([{"url": f"{calls.url}/broken"}]).encode())
    assert status == 502


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(language: str, how: signal.Signals) -> None:
    code, output, _ = Service(language).stop(how)
    assert code == 0
    assert output == "spans: 0 produced, 0 delivered\n"
