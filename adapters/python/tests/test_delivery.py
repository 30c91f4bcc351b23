"""What counts as delivered, and what becomes of what is not."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber

import collector as otlp
from conftest import Manifest, Provider, run_python
from floe_telemetry import _once
from floe_telemetry.account import Account, Counts, DropReason
from floe_telemetry.contract import Compression, Exporter, Exporters, Protocol, Tls
from floe_telemetry.policy import Policy
from floe_telemetry.sdk import Sdk

MANIFEST = "observability: {telemetry: {}}\nmetadata: {name: shop, namespace: acme, version: '1'}"
SIGNALS = ("traces", "metrics", "logs")

Start = Callable[..., Sdk]


@pytest.fixture(autouse=True)
def _say_it_again() -> None:
    _once._seen.clear()


@pytest.fixture(params=list(Protocol))
def protocol(request: pytest.FixtureRequest) -> Protocol:
    chosen: Protocol = request.param
    return chosen


@pytest.fixture
def receiver(protocol: Protocol) -> Iterator[otlp.Collector]:
    with otlp.running_grpc() if protocol is Protocol.GRPC else otlp.running() as collector:
        yield collector


@pytest.fixture
def start() -> Iterator[Start]:
    """An SDK that exports all signals to an endpoint."""
    policy, plan = Policy.load().configure(MANIFEST)
    started: list[Sdk] = []

    def begin(endpoint: str, protocol: Protocol = Protocol.HTTP_PROTOBUF, timeout: int = 3000) -> Sdk:
        exporters = [
            Exporter(
                endpoint if protocol is Protocol.GRPC else f"{endpoint}/v1/{signal}",
                protocol,
                timeout,
                Compression.NONE,
                [],
                Tls("", "", ""),
            )
            for signal in SIGNALS
        ]
        started.append(Sdk(policy, plan._replace(exporters=Exporters(*exporters))))
        return started[-1]

    yield begin
    for each in started:
        each.shutdown(0.5)


def emit(sdk: Sdk, times: int = 1, text: str = "one") -> None:
    """As many items of each signal; points of one attribute each."""
    counter = sdk.meter_provider.get_meter("user").create_counter("count")
    for number in range(times):
        sdk.tracer_provider.get_tracer("user").start_span(f"{text} {number}").end()
        counter.add(1, {"number": number, "text": text})
        sdk.logger_provider.get_logger("user").emit(severity_number=SeverityNumber.INFO, body=text)


def balanced(counts: Counts) -> bool:
    return counts.produced == counts.delivered + counts.queued + counts.lost


@pytest.mark.parametrize(
    ("status", "reply", "body"),
    [
        (201, {}, None),
        (202, {}, None),
        (204, {}, None),
        (301, {"Location": "/elsewhere"}, None),
        (302, {"Location": "/elsewhere"}, None),
        (307, {"Location": "/v1/traces"}, None),
        (308, {"Location": "/v1/traces"}, None),
        (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
        (200, {"Content-Type": "text/plain; charset=utf-8"}, b"ok"),
        (200, {"Content-Type": "application/json"}, b"{}"),
        (200, {"Content-Type": "application/json"}, b'{"error": "not today"}'),
        (200, {}, b"<html>Sign in</html>"),
        (200, {"Content-Type": "application/x-protobuf"}, b"\xff\xff\xff"),
        (400, {}, b"bad request"),
        (401, {}, None),
        (404, {}, None),
        (500, {}, None),
    ],
)
def test_an_answer_that_is_no_success_of_otlp_is_refused(
    status: int, reply: dict[str, str], body: bytes | None, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with otlp.running() as collector:
        collector.status, collector.reply, collector.body = status, reply, body
        sdk = start(collector.endpoint)
        emit(sdk, 3)
        assert not sdk.flush(10)
        for counts in sdk.counts().values():
            assert counts == Counts(3, 0, 0, {"refused": 3})
        said = [record.getMessage() for record in caplog.records if "FLOE-X007" in record.getMessage()]
        assert len(said) == 3
        assert all(f"HTTP {status}" in text or "no answer of OTLP" in text for text in said)


@pytest.mark.parametrize("body", [b"", None])
@pytest.mark.parametrize("reply", [{}, {"Content-Type": "Application/X-Protobuf; v=1"}])
def test_a_success_of_otlp_is_delivered(reply: dict[str, str], body: bytes | None, start: Start) -> None:
    with otlp.running() as collector:
        collector.reply, collector.body = reply, body
        sdk = start(collector.endpoint)
        emit(sdk)
        assert sdk.flush(10)
        assert all(counts == Counts(1, 1, 0, {}) for counts in sdk.counts().values())


@pytest.mark.parametrize(("rejected", "counted"), [(1, 1), (10, 10), (1000, 10), (-5, 0)])
def test_a_partial_success_is_counted(
    rejected: int,
    counted: int,
    protocol: Protocol,
    receiver: otlp.Collector,
    start: Start,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.rejected, receiver.words = rejected, "quota\r\nfor password=hunter2 is used up"
    sdk = start(receiver.endpoint, protocol)
    emit(sdk, 10)
    assert sdk.flush(10) is (counted == 0)
    for counts in sdk.counts().values():
        assert counts == Counts(10, 10 - counted, 0, {"rejected": counted} if counted else {})
    assert "hunter2" not in caplog.text
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert all("quota for password=***" in text for text in said)


def test_what_is_too_large_is_split(receiver: otlp.Collector, protocol: Protocol, start: Start) -> None:
    """gRPC servers take 4 MB; one of HTTP answers 413."""
    sdk = start(receiver.endpoint, protocol, timeout=20_000)
    receiver.largest = 4 * 1024 * 1024
    tracer = sdk.tracer_provider.get_tracer("user")
    for number in range(300):
        tracer.start_span(f"large {number}", attributes={"text": f"{number:05} " * 2500}).end()
        tracer.start_span(f"small {number}").end()
    tracer.start_span("alone", attributes={"text": "x" * 5_000_000}).end()
    counter = sdk.meter_provider.get_meter("user").create_counter("count")
    for number in range(300):
        counter.add(number, {"text": f"{number:05} " * 2500})
    sdk.flush(30)
    assert sdk.counts()["traces"] == Counts(601, 600, 0, {"too_large": 1})
    assert sdk.counts()["metrics"] == Counts(300, 300, 0, {})
    assert len({span.name for span in receiver.spans}) == 600
    assert sorted(point.value for point in receiver.metric("count")) == list(range(300))


def test_an_item_that_cannot_be_encoded_costs_no_other(collector: otlp.Collector, start: Start) -> None:
    sdk = start(collector.endpoint)
    tracer = sdk.tracer_provider.get_tracer("user")
    for number in range(20):
        name: Any = number if number == 7 else f"span {number}"
        tracer.start_span(name).end()
    assert not sdk.flush(10)
    assert sdk.counts()["traces"] == Counts(20, 19, 0, {"refused": 1})
    assert len(collector.spans) == 19


@pytest.mark.parametrize("after", ["1", "date", ""])
def test_the_end_waits_for_a_retry_as_long_as_there_is_time(after: str, start: Start) -> None:
    with otlp.running() as collector:
        collector.status = 503
        if after:
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
            collector.reply = {"Retry-After": date if after == "date" else after}
        sdk = start(collector.endpoint, timeout=10_000)
        emit(sdk, 1600)
        threading.Timer(0.5, lambda: setattr(collector, "status", 200)).start()
        began = time.monotonic()
        sdk.shutdown(5)
        assert time.monotonic() - began < 4
        assert all(counts == Counts(1600, 1600, 0, {}) for counts in sdk.counts().values())


def test_a_retry_that_comes_too_late_is_not_waited_for(start: Start) -> None:
    with otlp.running() as collector:
        collector.status, collector.reply = 429, {"Retry-After": "3600"}
        sdk = start(collector.endpoint)
        emit(sdk)
        began = time.monotonic()
        sdk.shutdown(5)
        assert time.monotonic() - began < 2
        assert all(counts == Counts(1, 0, 0, {"unavailable": 1}) for counts in sdk.counts().values())


def test_a_collector_that_comes_up_late_gets_everything(protocol: Protocol, start: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sdk = start(f"http://127.0.0.1:{port}", protocol, timeout=10_000)
    emit(sdk, 100)
    ended = threading.Thread(target=sdk.shutdown, args=(5,))
    ended.start()
    time.sleep(0.3)
    with otlp.running_grpc(port=port) if protocol is Protocol.GRPC else otlp.running(port=port) as late:
        ended.join()
        assert all(counts.delivered == 100 for counts in sdk.counts().values()), sdk.counts()
        assert len(late.spans) == 100


def test_a_loss_is_said_once_and_so_is_that_it_is_over(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with otlp.running() as collector:
        sdk = start(collector.endpoint, timeout=300)
        collector.status = 503
        for _ in range(3):
            emit(sdk)
            assert not sdk.flush(5)
        collector.status = 200
        for _ in range(2):
            emit(sdk)
            assert sdk.flush(5)
        said = [record.getMessage() for record in caplog.records if "log records" in record.getMessage()]
        assert [text.splitlines()[0] for text in said] == [
            f"warning[FLOE-X007]: log records are lost (unavailable) on their way to "
            f"{collector.endpoint}/v1/logs: HTTP 503 Service Unavailable. This is said once; losses are "
            "counted",
            f"log records reach {collector.endpoint}/v1/logs again; 3 were lost before",
        ]
        sdk.shutdown(5)
        assert "3 spans and 3 log records were not delivered" in caplog.records[-1].getMessage()
        assert "unavailable: " in caplog.records[-1].getMessage()


def test_a_full_queue_is_said_with_its_reason(
    provider: Provider, collector: otlp.Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.delay = 0.2
    telemetry = provider(
        collector.endpoint, "batch_processor: {max_queue_size: 10, max_export_batch_size: 5}"
    )
    assert telemetry.sdk
    emit(telemetry.sdk, 100)
    telemetry.force_flush(5)
    counts = telemetry.counts()["traces"]
    assert balanced(counts)
    assert set(counts.dropped) == {"queue_full"}
    said = [record.getMessage() for record in caplog.records if "spans are lost" in record.getMessage()]
    assert len(said) == 1
    assert "(queue_full)" in said[0]
    assert "max_queue_size" in said[0]


def test_the_account_balances_at_any_time(collector: otlp.Collector, start: Start) -> None:
    sdk = start(collector.endpoint)
    ended = threading.Event()
    off: list[Counts] = []

    def watch() -> None:
        while not ended.is_set():
            off.extend(each for each in sdk.counts().values() if not balanced(each) or each.queued < 0)

    watching = threading.Thread(target=watch)
    watching.start()
    threads = [threading.Thread(target=emit, args=(sdk, 300)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for status in (503, 200, 400, 200):
        collector.status = status
        sdk.flush(5)
    for thread in threads:
        thread.join()
    sdk.shutdown(5)
    emit(sdk, 2)
    ended.set()
    watching.join()
    assert off == []
    counts = sdk.counts()["traces"]
    assert counts.queued == 0
    assert counts.produced == 1202
    assert counts.dropped["shutdown"] == 2


def test_what_ends_after_the_account_is_closed_changes_nothing() -> None:
    account = Account()
    account.produce(5)
    account.deliver(2)
    account.close()
    account.deliver(3)
    account.drop(3, DropReason.UNAVAILABLE)
    account.produce(1)
    assert account.counts() == Counts(6, 2, 0, {"shutdown": 4})


def test_a_forked_child_has_an_account_of_its_own(
    manifest: Manifest, collector: otlp.Collector, tmp_path: Path
) -> None:
    code = """
import multiprocessing, os, time, floe_telemetry
telemetry = floe_telemetry.init()
def work(name):
    telemetry.operation("custom", name).begin().end()
    counts = telemetry.counts()["traces"]
    assert (counts.produced, counts.lost) == (1, 0), counts
if __name__ == "__main__":
    for number in range(50):
        telemetry.operation("custom", f"parent {number}").begin().end()
    telemetry.operation("custom", "waits").begin().end()
    for which in range(3):
        process = multiprocessing.get_context("fork").Process(target=work, args=(f"child {which}",))
        process.start()
        process.join()
        assert process.exitcode == 0
    child = os.fork()
    if child == 0:
        work("forked")
        raise SystemExit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = run_python(code, tmp_path, environ)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    names = sorted(span.name for span in collector.spans)
    assert len(names) == len(set(names)) == 55


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_fork_in_the_midst_of_an_export(protocol: Protocol, manifest: Manifest, tmp_path: Path) -> None:
    """Each process delivers its own, on a connection of its own."""
    code = """
import os, floe_telemetry
telemetry = floe_telemetry.init()
def work(name):
    for number in range(100):
        telemetry.operation("custom", f"{name} {number}").begin().end()
work("before")
telemetry.force_flush(10)
children = []
for which in range(4):
    work(f"parent {which}")
    child = os.fork()
    if child == 0:
        work(f"child {which}")
        raise SystemExit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""
    with otlp.running_grpc() if protocol is Protocol.GRPC else otlp.running() as collector:
        path = manifest(
            collector.endpoint, f"otlp_protocol: {'grpc' if protocol is Protocol.GRPC else 'http/protobuf'}"
        )
        ran = run_python(code, tmp_path, {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(path)})
        assert ran.returncode == 0, ran.stderr
        assert "FLOE" not in ran.stderr
        names = [span.name for span in collector.spans]
        assert len(names) == len(set(names)) == 900


EXITS = {
    "script": "work()",
    "daemon": "import threading; threading.Thread(target=work, daemon=True).start(); time.sleep(0.3)",
    "atexit": "import atexit; atexit.register(work)",
    "exception": "work(); raise SystemExit(0)",
    "fork": "os.fork() or work()",
}


@pytest.mark.parametrize("how", EXITS)
def test_no_thread_is_started_at_exit(
    how: str, manifest: Manifest, collector: otlp.Collector, tmp_path: Path
) -> None:
    code = f"""
import logging, os, time
import floe_telemetry
def work():
    telemetry = floe_telemetry.init()
    with telemetry.operation("custom", "work"):
        logging.getLogger("script").warning("at work")
floe_telemetry.init()
{EXITS[how]}
"""
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = run_python(code, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "FLOE-" not in ran.stderr
    deadline = time.monotonic() + 10
    while not collector.logs and time.monotonic() < deadline:  # of a child that nobody waits for
        time.sleep(0.05)
    assert collector.log("at work").span_id == collector.span("work").span_id


def test_sigint_in_the_midst_of_an_export(
    manifest: Manifest, collector: otlp.Collector, tmp_path: Path
) -> None:
    code = """
import os, signal, time, floe_telemetry
telemetry = floe_telemetry.init()
telemetry.operation("custom", "work").begin().end()
try:
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    telemetry.force_flush(10)
except KeyboardInterrupt:
    print("interrupted")
"""
    collector.delay = 1.0
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = run_python(code, tmp_path, environ)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "interrupted\n", "")
    assert collector.span("work")
