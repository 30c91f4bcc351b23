from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import collector as otlp
from floe_telemetry.provider import TelemetryProvider

COMMAND = shutil.which("floe-telemetry-py") or "floe-telemetry-py"
"""Our command, as it is installed."""

Manifest = Callable[..., Path]
Provider = Callable[..., TelemetryProvider]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "FLOE_TELEMETRY_MANIFEST", "FLOE_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector() -> Iterator[otlp.Collector]:
    with otlp.running() as running:
        yield running


@pytest.fixture
def closed_port() -> str:
    """An endpoint where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def hanging_port() -> Iterator[str]:
    """An endpoint that accepts connections and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Writes a manifest with this endpoint and further lines of `observability.telemetry`."""

    def write(endpoint: str = "http://127.0.0.1:1", *lines: str, name: str = "manifest.yaml") -> Path:
        path = tmp_path / name
        telemetry = "".join(f"    {line}\n" for line in lines)
        path.write_text(
            "metadata:\n  name: sales\n  version: 1.2.0\n  namespace: acme.sales\n"
            f"observability:\n  telemetry:\n    otlp_endpoint: {endpoint}\n{telemetry}"
        )
        return path

    return write


@pytest.fixture
def provider(manifest: Manifest) -> Iterator[Provider]:
    """A provider of a manifest that is not installed; ended after the test."""
    started: list[TelemetryProvider] = []

    def start(endpoint: str, *lines: str) -> TelemetryProvider:
        started.append(TelemetryProvider.from_manifest(manifest(endpoint, *lines)))
        return started[-1]

    yield start
    for each in started:
        each.shutdown(0.5)


def run_python(
    code: str, cwd: Path, environ: dict[str, str], text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a script in a Python of its own, with a text to read."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environ,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
