"""A real Collector that demands something of its clients: who meets it delivers, and who does not is told why."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from conftest import Collector

PROTOCOLS = ("grpc", "http/protobuf")
HOSTS = ("rust", "python")
SECRET = "hunter2-%s"
METADATA = {"name": "access", "version": "1.0.0", "namespace": "acme.access"}
WRONG = {"FLOE_ACCESS_SECRET": SECRET % "wrong"}
RIGHT = {"FLOE_ACCESS_SECRET": SECRET % "right"}

SCRIPT = """
import logging, sys, floe_telemetry
telemetry = floe_telemetry.init(sys.argv[1])
with telemetry.operation(floe_telemetry.OperationKind.CUSTOM, "work"):
    logging.getLogger("access").warning("working")
telemetry.shutdown()
print("the work is done")
"""


@dataclass
class Demand:
    """What a Collector demands."""

    name: str
    code: str
    """The doctor's code for who does not meet it."""
    authentication: dict[str, str] = field(default_factory=dict)
    """Of the manifest."""
    extension: dict[str, str] = field(default_factory=dict)
    """The Collector's `bearertokenauth`."""


BASIC = base64.b64encode(b"ann:" + (SECRET % "right").encode()).decode()
DEMANDS = (
    Demand("tls", "FLOE-D004"),
    Demand("mtls", "FLOE-D007"),
    Demand(
        "api key",
        "FLOE-D009",
        {"auth_type": "api_key", "header_name": "X-Floe-Key", "api_key": "${env:FLOE_ACCESS_SECRET}"},
        {"header": "X-Floe-Key", "scheme": "", "token": SECRET % "right"},
    ),
    Demand(
        "bearer token",
        "FLOE-D009",
        {"auth_type": "bearer", "bearer_token": "${file:DIRECTORY/token}"},
        {"scheme": "Bearer", "token": SECRET % "right"},
    ),
    Demand(
        "basic",
        "FLOE-D009",
        {"auth_type": "basic", "username": "ann", "password": "${env:FLOE_ACCESS_SECRET}"},
        {"scheme": "Basic", "token": BASIC},
    ),
)


@dataclass
class Guarded:
    """A Collector with a demand, reached by one protocol."""

    demand: Demand
    protocol: str
    directory: Path
    collector: Collector

    @property
    def endpoint(self) -> str:
        """By name, and TLS."""
        port = self.collector.grpc if self.protocol == "grpc" else self.collector.http
        return f"https://localhost:{port}"

    def manifest(self, *, right: bool) -> Path:
        """Writes the manifest of a client that meets the demand, or of one that does not."""
        ca = "ca.pem" if right or self.demand.name != "tls" else "stranger.pem"
        tls = {"ca_file": str(self.directory / ca)}
        if self.demand.name == "mtls" and right:
            tls |= {
                "cert_file": str(self.directory / "client.pem"),
                "key_file": str(self.directory / "client.key"),
            }
        (self.directory / "token").write_text(SECRET % ("right" if right else "wrong") + "\n")
        authentication = {
            key: value.replace("DIRECTORY", str(self.directory))
            for key, value in self.demand.authentication.items()
        }
        telemetry = {
            "otlp_endpoint": self.endpoint,
            "otlp_protocol": self.protocol,
            "compression": "gzip",
            "resource_attributes": {"service.name": "right" if right else "wrong"},
            "tls": tls,
        } | ({"authentication": authentication} if authentication else {})
        path = self.directory / "manifest.yaml"
        path.write_text(json.dumps({"metadata": METADATA, "observability": {"telemetry": telemetry}}))
        return path

    def run(self, host: str, *, right: bool) -> subprocess.CompletedProcess[str]:
        """Does some work in a process of its own."""
        manifest = str(self.manifest(right=right))
        command = {
            "rust": [os.environ["FLOE_CLI"], "exec", manifest, "--", "echo", "the work is done"],
            "python": [sys.executable, "-c", SCRIPT, manifest],
        }[host]
        return run(command, RIGHT if right else WRONG)

    def doctor(self, *, right: bool) -> tuple[int, dict[str, Any]]:
        """What the doctor finds."""
        command = [os.environ["FLOE_CLI"], "doctor", "--json", str(self.manifest(right=right))]
        ended = run(command, RIGHT if right else WRONG)
        return ended.returncode, json.loads(ended.stdout)


def run(command: list[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a command without any OTLP variable of this process."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "FLOE_MODE"))
    }
    ended = subprocess.run(
        command, env=inherited | dict(variables), capture_output=True, text=True, timeout=120, check=False
    )
    assert SECRET % "" not in ended.stdout + ended.stderr, (ended.stdout, ended.stderr)
    return ended


@pytest.fixture(params=DEMANDS, ids=lambda demand: demand.name)
def demand(request: pytest.FixtureRequest) -> Demand:
    """Each demand."""
    found: Demand = request.param
    return found


@pytest.fixture(params=PROTOCOLS)
def guarded(request: pytest.FixtureRequest, demand: Demand, tmp_path: Path) -> Iterator[Guarded]:
    """A running Collector with a demand, certificates of an authority made for it, and one more authority that it does not know."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "stranger.pem"))
    for name, signed in (
        ("server", authority.issue_cert("localhost", "127.0.0.1")),
        ("client", authority.issue_cert("client.example.org")),
    ):
        signed.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        for blob in signed.cert_chain_pems:
            blob.write_to_path(str(tmp_path / f"{name}.pem"), append=True)
    tls = {"cert_file": str(tmp_path / "server.pem"), "key_file": str(tmp_path / "server.key")}
    if demand.name == "mtls":
        tls["client_ca_file"] = str(tmp_path / "ca.pem")
    receiver: dict[str, Any] = {"tls": tls}
    overlay: dict[str, Any] = {}
    if demand.extension:
        receiver["auth"] = {"authenticator": "bearertokenauth"}
        overlay = {
            "extensions": {"bearertokenauth": demand.extension},
            "service": {"extensions": ["health_check", "bearertokenauth"]},
        }
    overlay["receivers"] = {"otlp": {"protocols": {"grpc": receiver, "http": receiver}}}
    path = tmp_path / "overlay.yaml"
    path.write_text(json.dumps(overlay))
    collector = Collector(tmp_path, path)
    yield Guarded(demand, request.param, tmp_path, collector)
    collector.kill()


@pytest.mark.parametrize("host", HOSTS)
def test_only_who_meets_the_demand_delivers(guarded: Guarded, host: str) -> None:
    """Right credentials deliver; wrong ones deliver nothing, fail nothing, and are counted and said."""
    wrong = guarded.run(host, right=False)
    assert (wrong.returncode, wrong.stdout.strip()) == (0, "the work is done"), wrong.stderr
    assert "FLOE-X001" in wrong.stderr, wrong.stderr
    assert "1 span " in wrong.stderr, wrong.stderr
    assert guarded.endpoint in wrong.stderr, wrong.stderr

    right = guarded.run(host, right=True)
    assert (right.returncode, right.stdout.strip()) == (0, "the work is done"), right.stderr
    assert "FLOE-" not in right.stderr, right.stderr

    received = guarded.collector.stop()
    assert [span.resource["service.name"] for span in received.spans] == ["right"]
    assert received.metrics
    if host == "python":
        assert [record["resource"]["service.name"] for record in received.logs] == ["right"]


@pytest.mark.parametrize(
    "demand", [demand for demand in DEMANDS if demand.name == "bearer token"], ids=["bearer token"]
)
def test_a_token_that_changes_meanwhile_is_read_again(guarded: Guarded) -> None:
    """The token is wrong when the process starts, and right when it sends."""
    manifest = guarded.manifest(right=False)
    command = f"printf {SECRET % 'right'} > {guarded.directory}/token"
    ended = run([os.environ["FLOE_CLI"], "exec", str(manifest), "--", "sh", "-c", command], {})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(guarded.collector.stop().spans) == 1


def test_the_doctor_finds_the_reason(guarded: Guarded) -> None:
    """The doctor says what is wrong, once it is right says so, and sends one item of each signal."""
    code, found = guarded.doctor(right=False)
    failed = [finding for finding in found["findings"] if finding["state"] == "failed"]
    assert (code, found["ok"]) == (1, False)
    assert {finding["code"] for finding in failed} == {guarded.demand.code}, failed
    assert all(finding["help"] for finding in failed)

    code, found = guarded.doctor(right=True)
    assert (code, found["ok"]) == (0, True), found
    exported = [finding["subject"] for finding in found["findings"] if finding["step"] == "export"]
    assert exported == ["traces", "metrics", "logs"]
    received = guarded.collector.stop()
    assert [(span.name, span.resource["service.name"]) for span in received.spans] == [
        ("floe.doctor", "right")
    ]
    assert list(received.metrics) == ["floe.doctor"]
    assert len(received.logs) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_doctor_tells_the_ports_apart(collector: Collector, tmp_path: Path, protocol: str) -> None:
    """OTLP/gRPC sent to the port of OTLP/HTTP, and the other way round."""
    port = collector.http if protocol == "grpc" else collector.grpc
    telemetry = {"otlp_endpoint": f"http://localhost:{port}", "otlp_protocol": protocol}
    path = tmp_path / "manifest.yaml"
    path.write_text(json.dumps({"metadata": METADATA, "observability": {"telemetry": telemetry}}))
    ended = run([os.environ["FLOE_CLI"], "doctor", "--json", str(path)], {})
    findings = json.loads(ended.stdout)["findings"]
    assert ended.returncode == 1
    assert [finding["code"] for finding in findings if finding["step"] == "export"] == ["FLOE-D011"] * 3, (
        findings
    )
