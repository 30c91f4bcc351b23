"""What the server's response to an export says."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from floe_telemetry.contract import Signal
from floe_telemetry.outlet import Answer, Result

MOST_BYTES: Final = 1024 * 1024
"""Of a response: what is longer is no answer of OTLP."""
_RESPONSES: Final[dict[Signal, tuple[Any, str]]] = {
    Signal.TRACES: (ExportTraceServiceResponse, "rejected_spans"),
    Signal.METRICS: (ExportMetricsServiceResponse, "rejected_data_points"),
    Signal.LOGS: (ExportLogsServiceResponse, "rejected_log_records"),
}


def read(signal: Signal, body: bytes) -> Answer:
    """A successful response: how much of it is a success."""
    response, rejected = _RESPONSES[signal]
    try:
        partial = response.FromString(body).partial_success
    except DecodeError:
        return Answer(Result.REFUSED, "the response is no answer of OTLP")
    return Answer(Result.SUCCESS, partial.error_message, getattr(partial, rejected))


def status_words(body: bytes) -> str:
    """The message of an error, which OTLP has as a `google.rpc.Status`."""
    try:
        return str(Status.FromString(body).message)
    except DecodeError:
        return ""
