"""What only a running Collector shows: queues that last, sampling of whole traces, two tiers, and what it says of itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stand_in
import telemetry
from cases import CASES
from measure import destination
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otelcol import Collector, cli, free_port, manifest, rendered
from stand_in import Request, StandIn


def gateway(
    newest: str, directory: Path, backends: Any, section: dict[str, Any], **options: Any
) -> Collector:
    """A Collector of the gateway tier as a manifest has it."""
    directory.mkdir(parents=True, exist_ok=True)
    config = rendered(manifest(directory, backends, section), "--topology", "gateway")
    return Collector(newest, directory / "run", config, **options)


def otlp(server: StandIn) -> dict[str, Any]:
    """The backend that a stand-in is."""
    return {"type": "otlp", "config": {"endpoint": f"http://127.0.0.1:{server.port}"}}


def has(name: str) -> Any:
    """Whether a request is OTLP with a span, metric or log record of this name."""

    def wanted(request: Request) -> bool:
        signal = request.path.rsplit("/", 1)[-1]
        return signal in telemetry.SIGNALS and name in telemetry.names(
            signal, telemetry.decoded(signal, request.body)
        )

    return wanted


def spans(server: StandIn) -> list[Span]:
    """Every span that arrived."""
    return [
        span
        for request in server.matching(lambda request: request.path == "/v1/traces")
        for resource in telemetry.decoded("traces", request.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_a_queue_on_disk_outlives_its_collector(newest: str, tmp_path: Path) -> None:
    port = free_port()
    section = {"storage_directory": str(tmp_path / "queues")}
    backends = {"type": "otlp", "config": {"endpoint": f"http://127.0.0.1:{port}"}}
    collector = gateway(newest, tmp_path, backends, section).start()
    for signal, request in telemetry.one_of_each().items():
        telemetry.send(collector.http, signal, request)
    # It said yes; nobody listens where it sends to; and then it is gone.
    collector.kill()
    server = stand_in.http(port=port)
    try:
        with collector:
            for name in telemetry.NAMES.values():
                server.wait(has(name))
    finally:
        server.stop()


def test_tail_sampling_keeps_what_failed_and_what_was_slow(
    newest: str, backend: StandIn, tmp_path: Path
) -> None:
    section = {"tail_sampling": {"ratio": 0, "slower_than_millis": 5000, "decision_wait_seconds": 1}}
    mark = telemetry.text("floe.sampling.kept", "failed")
    traces: list[Callable[[int], Span]] = [
        lambda trace: telemetry.span("failed", trace=trace, id=2, failed=True),
        lambda trace: telemetry.span("slow", trace=trace, id=2, milliseconds=6000),
        lambda trace: telemetry.span("kept by the SDK", trace=trace, id=2, attributes=[mark]),
        *[lambda trace: telemetry.span("ordinary", trace=trace, id=2)] * 50,
        lambda trace: telemetry.span("the last", trace=trace, id=2, failed=True),
    ]
    sent = []
    for trace, make in enumerate(traces, 0x1000):
        span = make(trace)
        sent.append(telemetry.traces([telemetry.span(f"root {span.name}", trace=trace, id=1), span]))
    with gateway(newest, tmp_path, otlp(backend), section) as collector:
        for request in sent:
            telemetry.send(collector.http, "traces", request)
        # Judged after all the others.
        backend.wait(has("the last"))
    kept = {span.name for span in spans(backend)}
    whole = ["failed", "slow", "kept by the SDK", "the last"]
    assert kept == {name for kept in whole for name in (kept, f"root {kept}")}


def test_spans_of_a_trace_meet_in_one_gateway(newest: str, tmp_path: Path) -> None:
    section = {
        "gateway": "otel-gateway:4317",
        "tail_sampling": {"ratio": 0, "decision_wait_seconds": 2},
    }
    backends = [stand_in.http(), stand_in.http()]
    gateways = [
        gateway(newest, tmp_path / f"gateway-{number}", otlp(server), section).start()
        for number, server in enumerate(backends)
    ]
    # The name of the tier resolves to nothing here: addresses take its place, and nothing else changes.
    members = [f"127.0.0.1:{gateway.grpc}" for gateway in gateways]
    overlay = {
        "exporters": {
            "load_balancing/gateway": {"resolver": {"dns": None, "static": {"hostnames": members}}},
            "otlp_grpc/gateway": {"endpoint": members[0]},
        }
    }
    agents = []
    for number in range(2):
        directory = tmp_path / f"agent-{number}"
        directory.mkdir()
        config = rendered(manifest(directory, {"type": "debug"}, section), "--topology", "agent")
        agents.append(Collector(newest, directory / "run", config, overlay).start())
    try:
        traces = range(0x2000, 0x2000 + 40)
        for trace in traces:
            # Of each trace one machine has the root, which went well, and another the span that failed.
            root = telemetry.span("root", trace=trace, id=1)
            failed = telemetry.span("failed", trace=trace, id=2, failed=True)
            telemetry.send(agents[trace % 2].http, "traces", telemetry.traces([root]))
            telemetry.send(agents[1 - trace % 2].http, "traces", telemetry.traces([failed]))
        telemetry.send(agents[0].http, "metrics", telemetry.one_of_each()["metrics"])
        backends[0].wait(has(telemetry.NAMES["metrics"]))
        deadline = time.monotonic() + 30
        while (
            sum(len(spans(server)) for server in backends) < 2 * len(traces) and time.monotonic() < deadline
        ):
            time.sleep(0.2)
        seen = [
            {(int.from_bytes(span.trace_id, "big"), span.name) for span in spans(server)}
            for server in backends
        ]
        # Both gateways have some, and each of its traces as a whole: kept, though only one half failed.
        for one in seen:
            assert one
            assert one == {(trace, name) for trace, _ in one for name in ("root", "failed")}
        assert {trace for one in seen for trace, _ in one} == set(traces)
        assert not seen[0] & seen[1]
    finally:
        for running in [*agents, *gateways]:
            running.stop()
        for server in backends:
            server.stop()


def test_telemetry_of_nobody_is_marked_and_passed_on(newest: str, backend: StandIn, tmp_path: Path) -> None:
    stranger = telemetry.resource()
    del stranger.attributes[:]
    stranger.attributes.append(telemetry.text("service.name", "cron"))
    with gateway(newest, tmp_path, otlp(backend), {}) as collector:
        telemetry.send(collector.http, "traces", telemetry.traces([telemetry.span("ours")]))
        telemetry.send(collector.http, "traces", telemetry.traces([telemetry.span("theirs")], stranger))
        for name in ("ours", "theirs"):
            backend.wait(has(name))
    marked = {}
    for request in backend.matching(lambda request: request.path == "/v1/traces"):
        for resource in telemetry.decoded("traces", request.body).resource_spans:
            attributes = {pair.key: pair.value for pair in resource.resource.attributes}
            assert attributes["deployment.environment.name"].string_value == "dev"
            for scope in resource.scope_spans:
                for span in scope.spans:
                    marked[span.name] = "floe.unidentified" in attributes
    assert marked == {"ours": False, "theirs": True}


def test_the_collectors_own_metrics_go_along(newest: str, backend: StandIn, tmp_path: Path) -> None:
    collector = gateway(newest, tmp_path, otlp(backend), {}, keep_readers=True)
    assert "endpoint: http://localhost:4318/v1/metrics" in collector.config
    with collector:
        request = backend.wait(has("otelcol_process_uptime"))
    resource = telemetry.decoded("metrics", request.body).resource_metrics[0].resource
    attributes = {pair.key: pair.value for pair in resource.attributes}
    assert attributes["service.name"].string_value == "floe-collector"
    assert "floe.unidentified" not in attributes


def test_a_signal_that_nobody_takes_is_no_error_for_its_sender(
    newest: str, backend: StandIn, tmp_path: Path
) -> None:
    jaeger = {
        "type": "jaeger",
        "config": {"endpoint": f"http://127.0.0.1:{backend.port}", "protocol": "http"},
    }
    done = cli("collector", "render", manifest(tmp_path, jaeger))
    assert done.stderr.count("FLOE-K003") == 2
    with gateway(newest, tmp_path, jaeger, {}) as collector:
        for signal, request in telemetry.one_of_each().items():
            telemetry.send(collector.http, signal, request)
        backend.wait(has(telemetry.NAMES["traces"]))
    assert not backend.matching(lambda request: request.path != "/v1/traces")


def test_statistics_are_counted_before_sampling(newest: str, backend: StandIn, tmp_path: Path) -> None:
    """A connector reads every span; the exporter of the same pipeline's end gets the sampled ones."""
    section = {"tail_sampling": {"ratio": 0, "decision_wait_seconds": 1}}
    address = f"http://127.0.0.1:{backend.port}"
    datadog = {"endpoint": address}
    overlay = {
        "exporters": {
            "datadog/datadog": {
                "hostname": "floe-test",
                "host_metadata": {"enabled": False},
                "traces": datadog,
                "metrics": datadog,
                "logs": datadog,
            }
        },
        "connectors": {"datadog/datadog-apm-stats": {"traces": {"bucket_interval": "1s"}}},
    }
    env = {"DD_API_KEY": "0123456789abcdef0123456789abcdef"}
    backends = {"type": "datadog", "config": {"api_key": "DD_API_KEY"}}
    with gateway(newest, tmp_path, backends, section, overlay=overlay, env=env) as collector:
        for trace in range(0x3000, 0x3000 + 20):
            telemetry.send(
                collector.http, "traces", telemetry.traces([telemetry.span("ordinary", trace=trace)])
            )
        backend.wait(lambda request: request.path == "/api/v0.2/stats", seconds=40)
    assert not backend.matching(
        lambda request: request.path == "/api/v0.2/traces" and b"ordinary" in request.body
    )


def test_no_backend_changes_what_an_sdk_does(tmp_path: Path) -> None:
    """The plan of the SDKs is the same whatever the backends are, and whatever their number."""
    every = [destination(case, 4318) for case in CASES]
    plans = set()
    for backends in [*every, every[:16]]:
        done = cli("plan", manifest(tmp_path, backends))
        assert done.returncode == 0, done.stderr
        plans.add(done.stdout)
    assert len(plans) == 1 and '"enabled": true' in plans.pop()
