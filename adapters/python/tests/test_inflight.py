"""Operations that take long, that nobody ends, and that a process did not live to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector import Collector
from conftest import Manifest, Provider, run_python
from floe_telemetry.contract import OperationKind
from floe_telemetry.inflight import InFlight
from floe_telemetry.provider import TelemetryProvider

DIES = """
import os, time, floe_telemetry
telemetry = floe_telemetry.init()
with telemetry.operation("compile", "outer", password="hunter2", rows=3):
    with telemetry.operation("compile-stage", "inner"):
        print(os.getpid(), flush=True)
        time.sleep(60)
"""
ENDS = """
import time, floe_telemetry
telemetry = floe_telemetry.init()
with telemetry.operation("compile", "next"):
    time.sleep(0.3)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOE_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state/inflight"


def turned(telemetry: TelemetryProvider, hand: list[float]) -> InFlight:
    """The operations of a provider under a clock that is turned by hand."""
    sdk, policy, plan = telemetry.sdk, telemetry.policy, telemetry.plan
    assert sdk and policy and plan and sdk.in_flight
    sdk.in_flight.close()
    sdk.in_flight = InFlight(sdk, policy, plan.operations, lambda: hand[0])
    sdk.in_flight._start = lambda: None  # type: ignore[method-assign]
    return sdk.in_flight


def test_a_long_operation_says_so(provider: Provider, collector: Collector, state: Path) -> None:
    hand = [0.0]
    telemetry = provider(collector.endpoint, "operations: {heartbeat_interval: 60, abandoned_after: 200}")
    in_flight = turned(telemetry, hand)
    operation = telemetry.operation(OperationKind.COMPILE, "long").begin()
    for hand[0] in (0.5, 59.0, 61.0, 90.0, 121.0, 185.0):
        in_flight.look()
    assert len(list(state.glob("*.jsonl"))) == 1
    operation.end()
    assert not list(state.glob("*"))
    hand[0] = 1000.0
    in_flight.look()
    assert telemetry.force_flush(5.0)
    span = collector.span("floe.compile long")
    told = [log for log in collector.logs if "runs for" in log.body]
    assert [log.body for log in told] == [f"floe.compile long runs for {age} s" for age in (61, 121, 185)]
    assert {log.span_id for log in told} == {span.span_id}
    assert told[0].attributes["floe.operation.start_time"] == span.start
    assert "error.type" not in span.attributes


def test_an_operation_that_nobody_ends_is_ended(provider: Provider, collector: Collector) -> None:
    hand = [0.0]
    telemetry = provider(collector.endpoint, "operations: {abandoned_after: 200}")
    in_flight = turned(telemetry, hand)
    operation = telemetry.operation(OperationKind.COMPILE, "lost").begin()
    hand[0] = 201.0
    in_flight.look()
    assert operation.end() is None, "it is ended already"
    assert telemetry.force_flush(5.0)
    span = collector.span("floe.compile lost")
    assert span.attributes["error.type"] == "abandoned"


def test_a_short_operation_leaves_nothing(provider: Provider, collector: Collector, state: Path) -> None:
    telemetry = provider(collector.endpoint)
    in_flight = turned(telemetry, [0.0])
    with telemetry.operation(OperationKind.COMPILE, "short"):
        in_flight.look()
    assert not state.exists()


def killed(manifest: Path, tmp_path: Path, state: Path) -> int:
    """A process that is killed with two operations open."""
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest)}
    process = subprocess.Popen(
        [sys.executable, "-c", DIES], env=environ, cwd=tmp_path, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        files = list(state.glob("*.jsonl"))
        if files and len(files[0].read_text().splitlines()) >= 3:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()  # type: ignore[union-attr]
    return process.pid


def test_the_next_process_reports_what_a_killed_one_left(
    manifest: Manifest, collector: Collector, tmp_path: Path, state: Path
) -> None:
    written = manifest(collector.endpoint)
    pid = killed(written, tmp_path, state)
    lines = [json.loads(line) for line in next(state.glob("*.jsonl")).read_text().splitlines()]
    begun = {line["begin"]["span_name"]: line["begin"] for line in lines if "begin" in line}
    assert "hunter2" not in json.dumps(lines)
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(written)}
    for _ in range(2):
        ran = run_python(ENDS, tmp_path, environ)
        assert ran.returncode == 0, ran.stderr
    outer, inner = collector.span("floe.compile outer"), collector.span("floe.compile.stage inner")
    for span in (outer, inner):
        assert span.attributes["error.type"] == "abandoned"
        assert span.attributes["process.pid"] == pid
        assert (span.trace_id, span.span_id) == (
            begun[span.name]["trace_id"],
            begun[span.name]["span_id"],
        )
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)
    assert not list(state.glob("*.jsonl"))
    assert sum(span.name == "floe.compile outer" for span in collector.spans) == 1


def test_what_lives_is_left_alone(
    manifest: Manifest, collector: Collector, tmp_path: Path, state: Path
) -> None:
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    alive = subprocess.Popen(
        [sys.executable, "-c", DIES], env=environ, cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while not list(state.glob("*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert run_python(ENDS, tmp_path, environ).returncode == 0
        assert len(list(state.glob("*.jsonl"))) == 1
        assert not any("outer" in span.name for span in collector.spans)
    finally:
        alive.kill()
        alive.wait()


@pytest.mark.parametrize(
    ("name", "namespace", "mode", "reported"),
    [
        ("sales", "acme.sales", "dev", True),
        ("web", "acme.sales", "dev", False),
        ("sales", "team.b", "dev", False),
        ("sales", "acme.sales", "prod", False),
    ],
)
def test_a_dead_process_keeps_its_identity(
    name: str,
    namespace: str,
    mode: str,
    reported: bool,
    manifest: Manifest,
    collector: Collector,
    tmp_path: Path,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only a process of its own product, namespace and mode reports it, as what it was."""
    first = manifest(collector.endpoint, "resource_attributes: {team.name: first}")
    pid = killed(first, tmp_path, state)
    other = tmp_path / "other.yaml"
    other.write_text(
        f"metadata: {{name: {name}, version: 2.0.0, namespace: {namespace}}}\n"
        f"observability: {{telemetry: {{otlp_endpoint: '{collector.endpoint}', "
        f"resource_attributes: {{team.name: second}}, sampling: {{prod: 1.0}}}}}}\n"
    )
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(other), "FLOE_MODE": mode}
    ran = run_python(ENDS, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    assert collector.span("floe.compile next").resource["team.name"] == "second"
    assert bool(list(state.glob("*.jsonl"))) is not reported
    found = [span for span in collector.spans if span.name == "floe.compile outer"]
    if not reported:
        assert found == []
        assert run_python(ENDS, tmp_path, {**environ, "FLOE_TELEMETRY_MANIFEST": str(first), "FLOE_MODE": ""})
    outer = collector.span("floe.compile outer")
    assert (outer.resource["team.name"], outer.resource["process.pid"]) == ("first", pid)
    assert outer.attributes["floe.product.version"] == "1.2.0"
    assert outer.attributes["floe.mode"] == "dev"


def test_what_nobody_reports_is_removed_after_a_month(
    manifest: Manifest, collector: Collector, tmp_path: Path, state: Path
) -> None:
    state.mkdir(parents=True)
    for name, days in (("1-old", 31), ("2-new", 29)):
        left = state / f"{name}.jsonl"
        left.write_text('{"process": {"resource": {}, "attributes": {"floe.product.name": "other"}}}\n')
        os.utime(left, times=(time.time() - days * 86400,) * 2)
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    assert run_python(ENDS, tmp_path, environ).returncode == 0
    assert [path.name for path in state.glob("*.jsonl")] == ["2-new.jsonl"]


def test_a_user_without_a_home_has_heartbeats(
    provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Such as a container's: only the note on disk is missing."""
    for variable in ("HOME", "FLOE_STATE_DIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "FLOE_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", _no_such_user)
    monkeypatch.chdir(tmp_path)
    hand = [0.0]
    telemetry = provider(collector.endpoint, "operations: {heartbeat_interval: 60}")
    in_flight = turned(telemetry, hand)
    operation = telemetry.operation(OperationKind.COMPILE, "long").begin()
    for hand[0] in (2.0, 61.0):
        in_flight.look()
    operation.end()
    assert telemetry.force_flush(5.0)
    assert collector.log("floe.compile long runs for 61 s")
    assert not list(tmp_path.glob("~*"))


def _no_such_user(uid: int) -> None:
    raise KeyError(f"getpwuid(): uid not found: {uid}")
