"""OTLP receivers for tests: what a Collector would have received, decoded."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

REQUESTS: dict[str, type[Any]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}

RESPONSES: dict[str, tuple[type[Any], str]] = {
    "/v1/traces": (ExportTraceServiceResponse, "rejected_spans"),
    "/v1/metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
    "/v1/logs": (ExportLogsServiceResponse, "rejected_log_records"),
}


@dataclass
class Span:
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    start: int
    end: int
    status: int
    description: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    resource: dict[str, Any]
    scope: str
    state: str
    links: list[tuple[str, dict[str, Any]]]
    """Span ids and attributes."""


@dataclass
class Log:
    logger: str
    body: str
    severity: str
    trace_id: str
    span_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Point:
    metric: str
    unit: str
    value: float
    count: int
    bounds: list[float]
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What was received. `status` answers with another HTTP status, `delay` answers late, `reply` sets headers
    of the answer, and `body` another one than a success. `rejected` and `words` are a partial success. HTTP
    bodies beyond `largest` are answered with 413.
    """

    endpoint: str = ""
    status: int = 200
    delay: float = 0.0
    largest: int = 2**31
    reply: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    rejected: int = 0
    words: str = ""
    spans: list[Span] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    """Of each request, by lower-case names; of gRPC, its metadata."""
    paths: list[str] = field(default_factory=list)

    def span(self, name: str) -> Span:
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{name}: {len(found)} spans among {sorted(span.name for span in self.spans)}"
        return found[0]

    def log(self, text: str) -> Log:
        found = [log for log in self.logs if text in log.body]
        assert len(found) == 1, f"{text}: {len(found)} logs among {[log.body for log in self.logs]}"
        return found[0]

    def metric(self, name: str) -> list[Point]:
        return [point for point in self.points if point.metric == name]

    def response(self, path: str) -> Any:
        """The answer to a request of a signal."""
        kind, rejected = RESPONSES[path]
        partial = {rejected: self.rejected, "error_message": self.words}
        return kind(partial_success=partial) if self.rejected or self.words else kind()

    def receive(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        self.headers.append(headers)
        self.paths.append(path)
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = REQUESTS[path].FromString(body)
        self.raw.append(body)
        if path == "/v1/traces":
            for of_resource in request.resource_spans:
                resource = _attributes(of_resource.resource.attributes)
                for of_scope in of_resource.scope_spans:
                    for span in of_scope.spans:
                        self.spans.append(_span(span, resource, of_scope.scope.name))
        elif path == "/v1/logs":
            for of_resource in request.resource_logs:
                resource = _attributes(of_resource.resource.attributes)
                for of_scope in of_resource.scope_logs:
                    for log in of_scope.log_records:
                        self.logs.append(
                            Log(
                                of_scope.scope.name,
                                log.body.string_value,
                                log.severity_text,
                                log.trace_id.hex(),
                                log.span_id.hex(),
                                _attributes(log.attributes),
                                resource,
                            )
                        )
        else:
            for of_resource in request.resource_metrics:
                resource = _attributes(of_resource.resource.attributes)
                for of_scope in of_resource.scope_metrics:
                    for metric in of_scope.metrics:
                        self.points.extend(_points(metric, resource))


def _span(span: Any, resource: dict[str, Any], scope: str) -> Span:
    return Span(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code,
        span.status.message,
        _attributes(span.attributes),
        [(event.name, _attributes(event.attributes)) for event in span.events],
        resource,
        scope,
        span.trace_state,
        [(link.span_id.hex(), _attributes(link.attributes)) for link in span.links],
    )


def _points(metric: Any, resource: dict[str, Any]) -> Iterator[Point]:
    for point in metric.histogram.data_points:
        yield Point(
            metric.name,
            metric.unit,
            point.sum,
            point.count,
            list(point.explicit_bounds),
            _attributes(point.attributes),
            resource,
        )
    for point in metric.sum.data_points:
        value = point.as_double or point.as_int
        yield Point(metric.name, metric.unit, value, 0, [], _attributes(point.attributes), resource)


def _attributes(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


@contextmanager
def running(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Collector]:
    """A receiver of OTLP/HTTP, on a port of its own unless one is given."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(collector.delay)
            status = 413 if len(body) > collector.largest else collector.status
            if status == 200:
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.receive(urlsplit(self.path).path, body, headers)  # of a proxy, it is a URL
            answer = collector.response(urlsplit(self.path).path).SerializeToString()
            answer = answer if collector.body is None else collector.body
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **collector.reply}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    collector.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def running_grpc(credentials: Any = None, port: int = 0) -> Iterator[Collector]:
    """A receiver of OTLP/gRPC, on a port of its own unless one is given."""
    import grpc
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

    collector = Collector()

    class Service:
        def __init__(self, path: str) -> None:
            self._path = path

        def Export(self, request: Any, context: Any) -> Any:
            if collector.status != 200:
                context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            collector.receive(self._path, request.SerializeToString(), dict(context.invocation_metadata()))
            return collector.response(self._path)

    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service("/v1/traces"), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Service("/v1/metrics"), server)
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Service("/v1/logs"), server)
    address = f"127.0.0.1:{port}"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    collector.endpoint = f"{'https' if credentials else 'http'}://127.0.0.1:{port}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None)
