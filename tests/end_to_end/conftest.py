"""A real Collector for the tests of this directory, and what its file exporter wrote."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def attributes(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """OTLP/JSON attributes as a dict."""

    def value(found: dict[str, Any]) -> Any:
        inner: Any
        kind, inner = next(iter(found.items()), ("", ""))
        if kind == "arrayValue":
            return [value(item) for item in inner.get("values", [])]
        return int(inner) if kind == "intValue" else inner

    return {pair["key"]: value(pair["value"]) for pair in pairs}


@dataclass
class Span:
    """A span as the Collector wrote it."""

    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    status: int
    description: str
    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[str]
    """Ids of the spans."""
    resource: dict[str, Any]


@dataclass
class Received:
    """What the Collector's file exporter wrote."""

    spans: list[Span] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def named(self, name: str) -> Span:
        """The only span of this name."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, (name, [span.name for span in self.spans])
        return found[0]

    def path(self, span: Span) -> list[str]:
        """Names from the root to a span."""
        by_id = {span.id: span for span in self.spans}
        names = [span.name]
        while span.parent:
            span = by_id[span.parent]
            names.append(span.name)
        return names[::-1]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Collector:
    """A running otelcol with tests/collector/config.yaml, and what else it is told."""

    def __init__(self, directory: Path, *overlays: Path) -> None:
        self.directory = directory
        self.grpc, self.http, health = free_port(), free_port(), free_port()
        self._log = (directory / "otelcol.log").open("w")
        self._process = subprocess.Popen(
            [
                os.environ["FLOE_OTELCOL"],
                *(f"--config={path}" for path in (ROOT / "tests/collector/config.yaml", *overlays)),
            ],
            env=os.environ
            | {
                "FLOE_OTELCOL_GRPC_PORT": str(self.grpc),
                "FLOE_OTELCOL_HTTP_PORT": str(self.http),
                "FLOE_OTELCOL_HEALTH_PORT": str(health),
                "FLOE_OTELCOL_OUT": str(directory),
            },
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{health}", timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((directory / "otelcol.log").read_text()) from None
                time.sleep(0.05)

    def stop(self) -> Received:
        """Ends the Collector, which flushes its files, and reads them."""
        self._process.terminate()
        self._process.wait(timeout=30)
        self._log.close()
        received = Received()
        for request in self._lines("traces"):
            for resource in request.get("resourceSpans", []):
                about = attributes(resource["resource"].get("attributes", []))
                for scope in resource["scopeSpans"]:
                    received.spans += [span_of(span, about) for span in scope["spans"]]
        for request in self._lines("logs"):
            for resource in request.get("resourceLogs", []):
                about = attributes(resource["resource"].get("attributes", []))
                for scope in resource["scopeLogs"]:
                    received.logs += [record | {"resource": about} for record in scope["logRecords"]]
        for request in self._lines("metrics"):
            for resource in request.get("resourceMetrics", []):
                for scope in resource["scopeMetrics"]:
                    for metric in scope["metrics"]:
                        data = metric.get("sum") or metric.get("histogram") or metric.get("gauge") or {}
                        received.metrics.setdefault(metric["name"], []).extend(data.get("dataPoints", []))
        return received

    def kill(self) -> None:
        """Ends the Collector at once, if it runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _lines(self, signal: str) -> Iterator[dict[str, Any]]:
        path = self.directory / f"{signal}.jsonl"
        for line in path.read_text().splitlines() if path.exists() else []:
            yield json.loads(line)


def span_of(span: dict[str, Any], resource: dict[str, Any]) -> Span:
    """A span from OTLP/JSON."""
    status = span.get("status", {})
    return Span(
        name=span["name"],
        trace=span["traceId"],
        id=span["spanId"],
        parent=span.get("parentSpanId", ""),
        start=int(span["startTimeUnixNano"]),
        end=int(span["endTimeUnixNano"]),
        status=status.get("code", 0),
        description=status.get("message", ""),
        attributes=attributes(span.get("attributes", [])),
        events=span.get("events", []),
        links=[link["spanId"] for link in span.get("links", [])],
        resource=resource,
    )


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A Collector of the test's own."""
    running = Collector(tmp_path)
    yield running
    running.kill()
