"""OTLP/gRPC as the plan says."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.exporter.otlp.proto.grpc.version import __version__ as exporter_version

from floe_telemetry import __version__, contract
from floe_telemetry.contract import Signal
from floe_telemetry.outlet import Answer, Result
from floe_telemetry.reference import Credentials, is_tls
from floe_telemetry.responses import MOST_BYTES, read

_METHODS: Final = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_COMPRESSIONS: Final = {
    contract.Compression.NONE: grpc.Compression.NoCompression,
    contract.Compression.GZIP: grpc.Compression.Gzip,
}
_RETRYABLE: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""By the OTLP specification; RESOURCE_EXHAUSTED only with a RetryInfo."""
_RETRY_INFO: Final = "google.rpc.retryinfo-bin"
_SIZE: Final = ("larger than max", "message length too large")
"""How gRPC's implementations refuse a request for its size: by their own codes, but in these words."""
_OPTIONS: Final = (
    (
        "grpc.primary_user_agent",
        f"floe-telemetry/{__version__} OTel-OTLP-Exporter-Python/{exporter_version}",
    ),
    ("grpc.max_receive_message_length", MOST_BYTES),
    # How soon a connection that failed is tried again: retries wait for it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


def sender(signal: Signal, plan: contract.Exporter, credentials: Credentials) -> GrpcSender:
    """The sender of one signal."""
    return GrpcSender(signal, plan, credentials)


class GrpcSender:
    """Sends the requests of one signal."""

    def __init__(self, signal: Signal, plan: contract.Exporter, credentials: Credentials) -> None:
        self._signal: Final = signal
        self._metadata: Final = tuple((name.lower(), value) for name, value in credentials.headers)
        target, compression = urlsplit(plan.endpoint).netloc or plan.endpoint, _COMPRESSIONS[plan.compression]
        self._channel: Final[Any] = (
            grpc.secure_channel(target, _channel_credentials(credentials), _OPTIONS, compression)
            if is_tls(plan)
            else grpc.insecure_channel(target, _OPTIONS, compression)
        )
        self._call: Final = self._channel.unary_unary(_METHODS[signal])  # bytes in, bytes out

    def send(self, request: bytes, seconds: float) -> Answer:
        """Sends a request and reads the answer by the rules of OTLP."""
        try:
            return read(self._signal, self._call(request, timeout=seconds, metadata=self._metadata))
        except grpc.RpcError as error:
            return _answer(error)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


def _answer(error: Any) -> Answer:
    code, details = error.code(), error.details() or ""
    words = f"gRPC {code.name}: {details}" if details else f"gRPC {code.name}"
    if any(words_of_size in details for words_of_size in _SIZE):
        return Answer(Result.TOO_LARGE, words)
    after = _retry_after(error)
    retryable = code in _RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and after is not None)
    return Answer(Result.RETRY if retryable else Result.REFUSED, words, after=after)


def _retry_after(error: Any) -> float | None:
    """The delay that the server asks for."""
    for name, value in error.trailing_metadata() or ():
        if name == _RETRY_INFO:
            try:
                delay = RetryInfo.FromString(value).retry_delay
            except DecodeError:
                return None
            return max(0.0, float(delay.seconds + delay.nanos / 1e9))
    return None


def _channel_credentials(credentials: Credentials) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=credentials.authorities or None,
        private_key=credentials.key or None,
        certificate_chain=credentials.certificate or None,
    )
