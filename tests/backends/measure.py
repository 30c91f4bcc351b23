"""What is measured of a case: whether the real Collector accepts what is rendered, and what arrives when it runs."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import stand_in
import telemetry
from cases import Arrival, Case
from otelcol import Collector, cli, manifest, rendered, version

#: Sections on the Collector for which every backend is checked.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "agent": ("agent", {}),
    "agent before a gateway": ("agent", {"gateway": "otel-gateway:4317", "storage_directory": "queues"}),
    "gateway": ("gateway", {}),
    "gateway, tail sampling, queues on disk, TLS": (
        "gateway",
        {
            "tail_sampling": {"slower_than_millis": 5000},
            "storage_directory": "queues",
            "tls": {"cert_file": "tls.crt", "key_file": "tls.key", "client_ca_file": "ca.crt"},
        },
    ),
}


def destination(case: Case, port: int) -> dict[str, Any]:
    """A case as a manifest has it."""
    return {"type": case.backend, "config": case.config(port)}


@dataclass(frozen=True)
class Verdict:
    """What the Collector has against a configuration, nothing if it accepts it; and what it was built without."""

    refusal: str = ""
    lacks: str = ""


def verdict(case: Case, way: str, otelcol: str) -> Verdict:
    """Has the real Collector check what is rendered of a case. Where it lacks a component, it checks the rest."""
    said = _check(destination(case, 4318), case, way, otelcol)
    lacks = re.search(r"FLOE-K011.* needs: (.*)", said)
    if not lacks:
        return Verdict(refusal=said)
    if case.less is None:
        return Verdict(lacks=lacks[1])
    return Verdict(_check(destination(case, 4318) | case.less, case, way, otelcol), lacks[1])


def _check(backend: dict[str, Any], case: Case, way: str, otelcol: str) -> str:
    topology, section = WAYS[way]
    with tempfile.TemporaryDirectory() as directory:
        if section.get("storage_directory"):
            section = section | {"storage_directory": f"{directory}/queues"}
        path = manifest(Path(directory), backend, {"version": version(otelcol), **section})
        done = cli(
            "collector", "check", path, "--topology", topology, "--otelcol", otelcol, env=case.env(4318)
        )
        return "" if done.returncode == 0 else done.stderr


def _logged(running: Collector, arrival: Arrival) -> bool:
    return arrival.holds.decode() in running.log()


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Returns when it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def arrived(case: Case, otelcol: str, directory: Path) -> dict[str, str]:
    """Runs the rendered configuration, sends a span, a metric and a log record, and says of each signal how it failed to arrive; nothing if it did."""
    server = stand_in.grpc_server() if case.grpc else stand_in.http(case.answer())
    try:
        path = manifest(directory, destination(case, server.port), {"version": version(otelcol)})
        running = Collector(
            otelcol,
            directory / "collector",
            rendered(path, "--topology", "gateway"),
            case.overlay(server.port),
            case.env(server.port),
        )
        with running:
            # A counter twice: of one point alone nobody can make a delta.
            for step in range(2):
                for signal, request in telemetry.one_of_each(step).items():
                    telemetry.send(running.http, signal, request)
                time.sleep(0.1)
            found = {}
            for signal, arrival in case.arrivals.items():
                try:
                    if case.log:
                        wait_for(partial(_logged, running, arrival))
                    else:
                        server.wait(partial(arrival.is_met, signal))
                    found[signal] = ""
                except AssertionError as error:
                    found[signal] = f"{error}\n{running.log()[-3000:]}"
            return found
    finally:
        server.stop()
