"""What is exported, read on the wire: the plan's exporters, and nothing that an environment adds to them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from opentelemetry._logs import SeverityNumber

import collector as otlp
from conftest import Manifest
from floe_telemetry import _once, outlet
from floe_telemetry.account import Counts
from floe_telemetry.contract import (
    Compression,
    Exporter,
    Exporters,
    FileReference,
    Header,
    OperationKind,
    Protocol,
    TextReference,
    Tls,
    VariableReference,
)
from floe_telemetry.policy import Policy
from floe_telemetry.provider import TelemetryProvider, init
from floe_telemetry.reference import UnresolvedError
from floe_telemetry.sdk import Sdk

MANIFEST = "observability: {telemetry: {}}\nmetadata: {name: shop, namespace: acme, version: '1'}"
SIGNALS = ("traces", "metrics", "logs")
NO_TLS = Tls("", "", "")
TOKEN = Header("authorization", "Bearer ", [VariableReference("TEST_TOKEN")], False)
TEXT = Header("x-team", "", [TextReference("sales")], False)

Start = Callable[..., Sdk]


@pytest.fixture(autouse=True)
def _say_it_again() -> None:
    _once._seen.clear()


@pytest.fixture
def start() -> Iterator[Start]:
    """An SDK whose plan has these exporters."""
    policy, plan = Policy.load().configure(MANIFEST)
    started: list[Sdk] = []

    def begin(exporters: Exporters) -> Sdk:
        started.append(Sdk(policy, plan._replace(exporters=exporters)))
        return started[-1]

    yield begin
    for each in started:
        each.shutdown(0.5)


@pytest.fixture(params=list(Protocol))
def protocol(request: pytest.FixtureRequest) -> Protocol:
    chosen: Protocol = request.param
    return chosen


def receiver(
    protocol: Protocol, server: trustme.LeafCert | None = None, clients: trustme.CA | None = None
) -> AbstractContextManager[otlp.Collector]:
    """A receiver with this certificate, which demands its clients to have one of this authority's."""
    if protocol is Protocol.GRPC:
        credentials = server and grpc.ssl_server_credentials(
            [(server.private_key_pem.bytes(), b"".join(each.bytes() for each in server.cert_chain_pems))],
            root_certificates=clients and clients.cert_pem.bytes(),
            require_client_auth=clients is not None,
        )
        return otlp.running_grpc(credentials)
    context = None
    if server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.configure_cert(context)
        if clients:
            clients.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
    return otlp.running(context)


def exporters(protocol: Protocol, endpoint: str, **changes: Any) -> Exporters:
    """The same exporter for each signal."""
    of_signal = [
        Exporter(
            endpoint if protocol is Protocol.GRPC else f"{endpoint}/v1/{signal}",
            protocol,
            3000,
            Compression.NONE,
            [],
            NO_TLS,
        )._replace(**changes)
        for signal in SIGNALS
    ]
    return Exporters(*of_signal)


def emit(sdk: Sdk, text: str = "one") -> bool:
    """One item of each signal. True if all were delivered."""
    sdk.tracer_provider.get_tracer("user").start_span(text).end()
    sdk.meter_provider.get_meter("user").create_counter("count").add(1)
    sdk.logger_provider.get_logger("user").emit(severity_number=SeverityNumber.INFO, body=text)
    return sdk.flush(10)


def sent(collector: otlp.Collector) -> dict[str, str]:
    """The headers of the last request, without those that any request of its transport has."""
    usual = ("host", "accept-encoding", "content-length", "content-type", "connection", "user-agent")
    return {name: value for name, value in collector.headers[-1].items() if name not in usual}


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed_port: str) -> None:
    """All that OpenTelemetry's exporters, `requests` and gRPC would read by themselves."""
    for of in ("", "TRACES_", "METRICS_", "LOGS_"):
        for name, value in {
            "ENDPOINT": closed_port,
            "HEADERS": "authorization=Bearer%20environment,x-environment=1,content-type=text/plain",
            "COMPRESSION": "gzip",
            "CERTIFICATE": str(tmp_path / "absent.pem"),
            "CLIENT_CERTIFICATE": str(tmp_path / "absent.pem"),
            "CLIENT_KEY": str(tmp_path / "absent.pem"),
            "INSECURE": "false" if of else "true",
            "TIMEOUT": "0.000001",
            "PROTOCOL": "http/json",
        }.items():
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{of}{name}", value)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password of-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "absent.pem"))


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("headers", [[], [TEXT, TOKEN]])
def test_the_environment_adds_nothing(
    protocol: Protocol, headers: list[Header], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_TOKEN", "of-plan")
    expected = {"x-team": "sales", "authorization": "Bearer of-plan"} if headers else {}
    with receiver(protocol) as collector:
        assert emit(start(exporters(protocol, collector.endpoint, headers=headers)))
        assert sorted(collector.paths) == ["/v1/logs", "/v1/metrics", "/v1/traces"]
        for request in collector.headers:
            assert "of-netrc" not in str(request)
            assert "environment" not in str(request)
            assert request["user-agent"].startswith("floe-telemetry/0.1.0 OTel-OTLP-Exporter-Python/1.")
        assert sent(collector) == expected
        if protocol is Protocol.HTTP_PROTOBUF:
            assert collector.headers[-1]["content-type"] == "application/x-protobuf"


@pytest.mark.usefixtures("hostile")
def test_the_environment_adds_nothing_to_tls(
    protocol: Protocol, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    ca = written(tmp_path / "ca.pem", authority.cert_pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "absent.pem"))
    with receiver(protocol, authority.issue_cert("127.0.0.1")) as collector:
        assert emit(start(exporters(protocol, collector.endpoint, tls=Tls(ca, "", ""))))
        assert len(collector.spans) == len(collector.points) == len(collector.logs) == 1


def test_a_proxy_of_the_environment_is_used(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = exporters(Protocol.HTTP_PROTOBUF, "http://collector.invalid:4318", timeout=500)
    with otlp.running() as proxy:
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        for direct in ("", "collector.invalid"):
            monkeypatch.setenv("no_proxy", direct)
            assert emit(start(plan)) is (not direct)
        assert [request["host"] for request in proxy.headers] == ["collector.invalid:4318"] * 3


@pytest.mark.parametrize("compression", list(Compression))
def test_compression(protocol: Protocol, compression: Compression, start: Start) -> None:
    with receiver(protocol) as collector, relayed(collector.endpoint) as (endpoint, count):
        assert emit(start(exporters(protocol, endpoint, compression=compression)), "x" * 100_000)
        assert collector.span("x" * 100_000)
        assert (count() < 20_000) == (compression is Compression.GZIP)
        if protocol is Protocol.HTTP_PROTOBUF:
            encoding = "gzip" if compression is Compression.GZIP else None
            assert collector.headers[-1].get("content-encoding") == encoding


class relayed:
    """A relay to an endpoint, and how many bytes went there through it."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._bytes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> tuple[str, Callable[[], int]]:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}", lambda: self._bytes

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            for source, sink, counted in ((client, server, 1), (server, client, 0)):
                threading.Thread(target=self._copy, args=(source, sink, counted), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, counted: int) -> None:
        try:
            while block := source.recv(65536):
                self._bytes += len(block) * counted
                sink.sendall(block)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_signals_go_each_its_own_way(start: Start) -> None:
    with otlp.running() as first, otlp.running_grpc() as second:
        http = exporters(Protocol.HTTP_PROTOBUF, first.endpoint, headers=[TEXT])
        by_grpc = exporters(Protocol.GRPC, second.endpoint)
        sdk = start(Exporters(http.traces, by_grpc.metrics, None))
        assert emit(sdk)
        assert (len(first.spans), len(first.points), len(first.logs)) == (1, 0, 0)
        assert (len(second.spans), len(second.points), len(second.logs)) == (0, 1, 0)
        assert [sdk.counts()[signal].delivered for signal in SIGNALS] == [1, 1, 0]


def test_without_exporters_context_propagates(start: Start) -> None:
    sdk = start(Exporters(None, None, None))
    threads = threading.active_count()
    with sdk.tracer_provider.get_tracer("user").start_as_current_span("parent") as parent:
        assert parent.get_span_context().is_valid
        assert parent.get_span_context().trace_flags.sampled
        with sdk.tracer_provider.get_tracer("user").start_as_current_span("child") as child:
            assert child.get_span_context().trace_id == parent.get_span_context().trace_id
    assert emit(sdk)
    assert all(counts == Counts(0, 0, 0, {}) for counts in sdk.counts().values())
    assert sdk.tracer_provider._active_span_processor._span_processors == ()
    assert threading.active_count() == threads


def written(path: Path, *parts: trustme.Blob) -> str:
    path.write_bytes(b"".join(part.bytes() for part in parts))
    return str(path)


def client_files(tmp_path: Path, leaf: trustme.LeafCert) -> tuple[str, str]:
    certificate = written(tmp_path / "client.pem", *leaf.cert_chain_pems)
    return certificate, written(tmp_path / "client.key", leaf.private_key_pem)


def test_tls_needs_the_right_authority(protocol: Protocol, start: Start, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    right = written(tmp_path / "right.pem", authority.cert_pem)
    wrong = written(tmp_path / "wrong.pem", other.cert_pem)
    with receiver(protocol, authority.issue_cert("127.0.0.1")) as collector:
        for ca, delivered in ((wrong, False), ("", False), (right, True)):
            plan = exporters(protocol, collector.endpoint, tls=Tls(ca, "", ""), timeout=900)
            assert emit(start(plan)) is delivered
        assert len(collector.spans) == 1


def test_tls_trusts_what_the_machine_trusts(
    protocol: Protocol, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    monkeypatch.setenv("SSL_CERT_FILE", written(tmp_path / "ca.pem", authority.cert_pem))
    with receiver(protocol, authority.issue_cert("127.0.0.1")) as collector:
        assert emit(start(exporters(protocol, collector.endpoint)))
        assert len(collector.spans) == 1


def test_mutual_tls_and_rotation(protocol: Protocol, start: Start, tmp_path: Path) -> None:
    """Certificates are taken up while the process runs, and a half-written pair is waited out."""
    authority, clients = trustme.CA(), trustme.CA()
    ca = written(tmp_path / "ca.pem", authority.cert_pem)
    certificate, key = client_files(tmp_path, trustme.CA().issue_cert("stranger"))
    with receiver(protocol, authority.issue_cert("127.0.0.1"), clients) as collector:
        plan = exporters(protocol, collector.endpoint, tls=Tls(ca, certificate, key), timeout=900)
        sdk = start(plan)
        assert not emit(sdk)
        client_files(tmp_path, clients.issue_cert("pipeline"))
        assert emit(sdk, "rotated")
        assert collector.span("rotated")
        written(tmp_path / "client.key", trustme.CA().issue_cert("stranger").private_key_pem)
        assert emit(sdk, "half")
        Path(certificate).unlink()
        assert emit(sdk, "gone")
        assert collector.span("half")
        assert collector.span("gone")


def test_headers_are_read_again(
    protocol: Protocol, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "token"
    of_file = Header("authorization", "Bearer ", [FileReference(str(secret))], False)
    with receiver(protocol) as collector:
        secret.write_text("before")
        sdk = start(exporters(protocol, collector.endpoint, headers=[of_file]))
        secret.unlink()
        assert not emit(sdk)
        assert collector.headers == []
        for token in ("first", "second"):
            (tmp_path / "next").write_text(f"{token} \n")
            (tmp_path / "next").rename(secret)
            assert emit(sdk)
            assert sent(collector) == {"authorization": f"Bearer {token}"}
        secret.unlink()
        assert emit(sdk)  # as before, until there is a new one
        assert sent(collector) == {"authorization": "Bearer second"}


def test_what_is_missing_is_said_at_the_start(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, each once although every signal needs it, and before anything is started."""
    monkeypatch.delenv("TEST_TOKEN", raising=False)
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----\n")
    headers = [TOKEN, Header("x-file", "", [FileReference(str(tmp_path / "absent"))], False)]
    tls = Tls(str(tmp_path / "bad.pem"), "", "")
    threads = threading.active_count()
    with pytest.raises(UnresolvedError) as raised:
        start(exporters(Protocol.GRPC, "https://127.0.0.1:1", headers=headers, tls=tls))
    assert threading.active_count() == threads
    problems = raised.value.problems
    assert [problem.code for problem in problems] == ["FLOE-X003", "FLOE-X004", "FLOE-X006"]
    for problem, named in zip(problems, ("TEST_TOKEN", str(tmp_path / "absent"), "bad.pem"), strict=True):
        assert named in problem.message
    assert str(raised.value).startswith("error[FLOE-X003]: the variable TEST_TOKEN, which the header ")
    assert "SECRET" not in str(raised.value)


def test_a_missing_reference_turns_telemetry_off_and_nothing_else(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TEST_TOKEN", raising=False)
    path = manifest(
        "https://127.0.0.1:1", "authentication: {auth_type: bearer, bearer_token: '${env:TEST_TOKEN}'}"
    )
    with pytest.raises(UnresolvedError, match="TEST_TOKEN"):
        TelemetryProvider.from_manifest(path)
    with init(path) as telemetry, telemetry.operation(OperationKind.COMPILE, "sales"):
        assert not telemetry.enabled
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("telemetry is off, context still propagates:\nerror[FLOE-X003]: the variable ")


@pytest.mark.usefixtures("hostile")
def test_a_manifest_in_full(
    protocol: Protocol, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the policy: mutual TLS, basic authentication, a header, gzip, a setting of the code."""
    authority, clients = trustme.CA(), trustme.CA()
    ca = written(tmp_path / "ca.pem", authority.cert_pem)
    certificate, key = client_files(tmp_path, clients.issue_cert("pipeline"))
    (tmp_path / "password").write_text("of:file\n")
    path = manifest(
        "https://replaced.invalid:4318",
        f"otlp_protocol: {'grpc' if protocol is Protocol.GRPC else 'http/protobuf'}",
        "compression: gzip",
        "headers: {X-Team: sales}",
        f"tls: {{ca_file: {ca}, cert_file: {certificate}, key_file: {key}}}",
        f"authentication: {{auth_type: basic, username: etl, password: '${{file:{tmp_path}/password}}'}}",
    )
    with receiver(protocol, authority.issue_cert("127.0.0.1"), clients) as collector:
        telemetry = TelemetryProvider.from_manifest(
            path, settings={"otlp_endpoint": collector.endpoint}, environ={}
        )
        assert telemetry.sdk
        assert emit(telemetry.sdk)
        telemetry.shutdown(5)
        found = {name: value for name, value in sent(collector).items() if name != "content-encoding"}
        assert found == {"x-team": "sales", "authorization": "Basic ZXRsOm9mOmZpbGU="}
        assert len(collector.spans) == len(collector.logs) == 1


def test_grpc_needs_its_extra(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = exporters(Protocol.GRPC, "http://127.0.0.1:1").traces
    assert plan
    outlet.check_protocol(plan)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(outlet.MissingExtraError, match=r"floe-telemetry\[grpc\]"):
        TelemetryProvider.from_manifest(manifest("http://127.0.0.1:1", "otlp_protocol: grpc"))
