"""The command under test, and real Collectors that run what it renders."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLI = os.environ.get("FLOE_CLI", "floe-telemetry")


def free_port() -> int:
    """A port that nobody listens on, and that no connection is given: it is below the ephemeral ones."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def manifest(directory: Path, backends: Any, collector: Mapping[str, Any] | None = None) -> Path:
    """A manifest with these backends and this section on the Collector. JSON is YAML."""
    text = {
        "apiVersion": "floe.dev/v1",
        "kind": "Manifest",
        "metadata": {"name": "sales", "version": "1.2.0", "namespace": "acme.sales"},
        "plugins": {"telemetry_backend": backends},
        "observability": {
            "telemetry": {
                "enabled": True,
                "otlp_endpoint": "http://localhost:4317",
                "otlp_protocol": "grpc",
                "resource_attributes": {"service.name": "sales-pipeline", "floe.mode": "dev"},
                "collector": dict(collector or {}),
            }
        },
    }
    path = directory / "manifest.yaml"
    path.write_text(json.dumps(text, indent=2))
    return path


def cli(*arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command."""
    return subprocess.run(
        [CLI, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **(env or {})},
    )


def rendered(manifest: Path, *arguments: str) -> str:
    """What `collector render` prints."""
    done = cli("collector", "render", manifest, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def version(otelcol: str) -> str:
    """The version of a Collector."""
    said = subprocess.run([otelcol, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1]


@dataclass
class Collector:
    """A running Collector whose own ports are free ones; everything else is as it was rendered."""

    otelcol: str
    directory: Path
    config: str
    overlay: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    keep_readers: bool = False
    grpc: int = field(default_factory=free_port)
    http: int = field(default_factory=free_port)
    health: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Collector:
        """Starts it and waits until it is healthy."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "rendered.yaml").write_text(self.config)
        readers: list[dict[str, Any]] = [
            {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": self.metrics}}}}
        ]
        if self.keep_readers:
            endpoint = f"http://127.0.0.1:{self.http}/v1/metrics"
            exporter = {"otlp": {"protocol": "http/protobuf", "endpoint": endpoint}}
            readers.append({"periodic": {"interval": 500, "exporter": exporter}})
        ports = {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "grpc": {"endpoint": f"127.0.0.1:{self.grpc}"},
                        "http": {"endpoint": f"127.0.0.1:{self.http}"},
                    }
                }
            },
            "extensions": {"health_check": {"endpoint": f"127.0.0.1:{self.health}"}},
            "service": {"telemetry": {"metrics": {"readers": readers}}},
        }
        configs = []
        for name, overlay in [("ports", ports), ("overlay", self.overlay)]:
            (self.directory / f"{name}.yaml").write_text(json.dumps(overlay))
            configs += ["--config", str(self.directory / f"{name}.yaml")]
        # Nobody on this network is asked for credentials.
        env = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*", **self.env}
        log = (self.directory / "log.txt").open("ab")
        self.process = subprocess.Popen(
            [self.otelcol, "--config", str(self.directory / "rendered.yaml"), *configs],
            stdout=log,
            stderr=log,
            env=env,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the Collector ended:\n{self.log()[-4000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.health}", timeout=1) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the Collector is not healthy:\n{self.log()[-4000:]}")

    def log(self) -> str:
        """What it said so far."""
        return (self.directory / "log.txt").read_text()

    def kill(self) -> None:
        """Kills it, as a machine that loses power does."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        """Asks it to end; it sends what it has."""
        assert self.process
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)

    def __enter__(self) -> Collector:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.stop()
