from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry.trace import Status, StatusCode

from collector import Collector
from conftest import Manifest, Provider
from floe_telemetry import export, logs
from floe_telemetry.contract import Exporter, Protocol
from floe_telemetry.engine import ComponentError
from floe_telemetry.policy import Policy
from floe_telemetry.provider import TelemetryProvider

SECRET = "password=hunter2"


def test_what_the_sdk_records_by_itself_is_redacted(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    with pytest.raises(ValueError, match="hunter2"), tracer.start_as_current_span("automatic"):
        raise ValueError(SECRET)
    with tracer.start_as_current_span("plain", attributes={"source": SECRET, "rows": 3}) as span:
        span.set_status(Status(StatusCode.ERROR, "no secret"))
        span.add_event("exception", {"exception.message": SECRET, "other": SECRET, "number": 1}, timestamp=7)
        span.add_event("other", {"a": "b"})
    assert telemetry.force_flush(5)
    automatic, plain = collector.span("automatic"), collector.span("plain")
    assert automatic.description == "ValueError: password=***"
    [(_, event)] = automatic.events
    assert event["exception.message"] == "password=***"
    assert "hunter2" not in event["exception.stacktrace"]
    assert plain.description == "no secret"
    assert (plain.attributes["source"], plain.attributes["rows"]) == ("password=***", 3)
    assert plain.events == [
        ("exception", {"exception.message": "password=***", "other": "password=***", "number": 1}),
        ("other", {"a": "b"}),
    ]


def test_logs_are_redacted(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    logger = logging.Logger("user")
    logger.addHandler(logs.OtlpHandler(telemetry.sdk.logger_provider))
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("failed with %s", SECRET, extra={"source": SECRET})
    assert telemetry.force_flush(5)
    log = collector.log("failed with password=***")
    assert log.attributes["exception.type"] == "ValueError"
    assert log.attributes["exception.message"] == log.attributes["source"] == "password=***"
    assert b"hunter2" not in b"".join(collector.raw)


def test_one_call_a_batch(provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    redact = Policy._redact

    def counted(policy: Policy, texts: list[str], size: int) -> list[str]:
        calls.append(len(texts))
        return redact(policy, texts, size)

    monkeypatch.setattr(Policy, "_redact", counted)
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    for number in range(100):
        with tracer.start_as_current_span(f"span {number}") as span:
            span.set_status(Status(StatusCode.ERROR, SECRET))
    assert telemetry.force_flush(5)
    # One call; of each span the status, and the four attributes that every span carries.
    assert calls == [100 * (1 + 4)]
    assert {span.description for span in collector.spans} == {"password=***"}


def test_a_large_batch_is_redacted_in_parts() -> None:
    texts = [f"{SECRET} {'x' * 3000} {number}" for number in range(200)]
    redacted = Policy.load().redact(texts)
    assert [text.replace(SECRET, "password=***") for text in texts] == redacted


def test_what_cannot_be_redacted_is_masked(
    provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk

    def trap(*_: object) -> None:
        raise ComponentError("FLOE-C006", "trap", "")

    monkeypatch.setattr(Policy, "redact", trap)
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    with pytest.raises(ValueError, match="hunter2"), tracer.start_as_current_span("automatic"):
        raise ValueError(SECRET)
    assert telemetry.force_flush(5)
    assert collector.span("automatic").description == "***"
    assert b"hunter2" not in b"".join(collector.raw)


def test_grpc_needs_its_extra(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Exporter("http://127.0.0.1:1", Protocol.GRPC, 1000)
    export.check_protocol(plan)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(export.MissingExtraError, match=r"floe-telemetry\[grpc\]"):
        TelemetryProvider.from_manifest(manifest("http://127.0.0.1:1", "otlp_protocol: grpc"))


def test_grpc(provider: Provider) -> None:
    """Against a real server of OpenTelemetry's service."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

    received: list[str] = []

    class Service(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: object) -> Any:
            for of_resource in request.resource_spans:
                received.extend(span.name for scope in of_resource.scope_spans for span in scope.spans)
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        telemetry = provider(f"http://127.0.0.1:{port}", "otlp_protocol: grpc")
        assert telemetry.sdk
        telemetry.sdk.tracer_provider.get_tracer("user").start_span("over grpc").end()
        telemetry.shutdown(3)
        assert received == ["over grpc"]
    finally:
        server.stop(None)
