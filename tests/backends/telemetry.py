"""Spans, metrics and logs to send, and reading them back."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterable

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

Export = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest
SIGNALS: dict[str, type[Export]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
#: A counter that runs has begun once.
BEGIN = time.time_ns() - 60_000_000_000
#: A trace of now: AWS takes the first 32 bits for its time.
TRACE = int(time.time()) << 96 | 0xA3CE929D0E0E4736
#: What is looked for at the other end, a signal each.
NAMES = {"traces": "load orders", "metrics": "floe.test.rows", "logs": "orders are loaded"}


def text(key: str, value: str) -> KeyValue:
    """An attribute."""
    return KeyValue(key=key, value=AnyValue(string_value=value))


def resource(**attributes: str) -> Resource:
    """What floe's telemetry says of itself."""
    named = {"service.name": "sales-pipeline", "floe.namespace": "acme.sales", **attributes}
    return Resource(attributes=[text(key, value) for key, value in named.items()])


def span(
    name: str = NAMES["traces"],
    *,
    trace: int = TRACE,
    id: int = 0x00F067AA0BA902B7,
    failed: bool = False,
    milliseconds: int = 5,
    attributes: Iterable[KeyValue] = (),
) -> Span:
    """A span that ends now."""
    now = time.time_ns()
    return Span(
        name=name,
        trace_id=trace.to_bytes(16, "big"),
        span_id=id.to_bytes(8, "big"),
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=now - milliseconds * 1_000_000,
        end_time_unix_nano=now,
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
        attributes=attributes,
    )


def traces(spans: Iterable[Span], about: Resource | None = None) -> ExportTraceServiceRequest:
    """A request with spans."""
    scope = ScopeSpans(spans=spans)
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=about or resource(), scope_spans=[scope])]
    )


def one_of_each(step: int = 0) -> dict[str, Export]:
    """A span, a cumulative counter's point and a log record. A later step has a larger count, as a running counter has."""
    now = time.time_ns()
    point = NumberDataPoint(start_time_unix_nano=BEGIN, time_unix_nano=now, as_int=42 + step)
    total = Sum(
        data_points=[point], aggregation_temporality=AGGREGATION_TEMPORALITY_CUMULATIVE, is_monotonic=True
    )
    record = LogRecord(
        time_unix_nano=now,
        observed_time_unix_nano=now,
        severity_number=SEVERITY_NUMBER_INFO,
        severity_text="INFO",
        body=AnyValue(string_value=NAMES["logs"]),
    )
    return {
        "traces": traces([span(id=0x00F067AA0BA902B7 + step)]),
        "metrics": ExportMetricsServiceRequest(
            resource_metrics=[
                ResourceMetrics(
                    resource=resource(),
                    scope_metrics=[
                        ScopeMetrics(metrics=[Metric(name=NAMES["metrics"], unit="1", sum=total)])
                    ],
                )
            ]
        ),
        "logs": ExportLogsServiceRequest(
            resource_logs=[ResourceLogs(resource=resource(), scope_logs=[ScopeLogs(log_records=[record])])]
        ),
    }


def send(port: int, signal: str, request: Export) -> None:
    """Sends a request by OTLP/HTTP to this machine; anything but success is an error."""
    call = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/{signal}",
        data=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
    with urllib.request.urlopen(call, timeout=10) as answer:
        assert answer.status == 200


def decoded(signal: str, body: bytes) -> Export:
    """OTLP as protobuf."""
    request = SIGNALS[signal]()
    request.ParseFromString(body)
    return request


def names(signal: str, request: Export) -> set[str]:
    """Names of spans and metrics, bodies of log records."""
    found: set[str] = set()
    if isinstance(request, ExportTraceServiceRequest):
        for spans in request.resource_spans:
            found |= {span.name for scope in spans.scope_spans for span in scope.spans}
    elif isinstance(request, ExportMetricsServiceRequest):
        for metrics in request.resource_metrics:
            found |= {metric.name for scope in metrics.scope_metrics for metric in scope.metrics}
    else:
        for logs in request.resource_logs:
            found |= {record.body.string_value for scope in logs.scope_logs for record in scope.log_records}
    return found
