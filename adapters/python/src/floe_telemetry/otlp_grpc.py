"""OTLP/gRPC exporters that send what the plan says.

OpenTelemetry's exporters complete what they are given from `OTEL_EXPORTER_OTLP_*`, which the policy has
weighed already: so nothing is left out here.
"""

from __future__ import annotations

from typing import Any, Final

import grpc
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.grpc.version import __version__ as exporter_version

from floe_telemetry import __version__, contract
from floe_telemetry.contract import Signal
from floe_telemetry.reference import Credentials, is_tls

_EXPORTERS: Final[dict[Signal, Any]] = {
    Signal.TRACES: OTLPSpanExporter,
    Signal.METRICS: OTLPMetricExporter,
    Signal.LOGS: OTLPLogExporter,
}
_COMPRESSIONS: Final = {
    contract.Compression.NONE: grpc.Compression.NoCompression,
    contract.Compression.GZIP: grpc.Compression.Gzip,
}
_NO_HEADERS: Final = ","
"""No headers, in the form of the variable: for an empty list, the exporter would read the variable."""
_USER_AGENT: Final = f"floe-telemetry/{__version__} OTel-OTLP-Exporter-Python/{exporter_version}"


def exporter(signal: Signal, plan: contract.Exporter, credentials: Credentials) -> Any:
    """The exporter of one signal."""
    return _EXPORTERS[signal](
        endpoint=plan.endpoint,
        insecure=not is_tls(plan),
        credentials=_channel_credentials(credentials) if is_tls(plan) else None,
        headers=credentials.headers or _NO_HEADERS,
        timeout=plan.timeout / 1000,
        compression=_COMPRESSIONS[plan.compression],
        channel_options=(("grpc.primary_user_agent", _USER_AGENT),),
    )


def _channel_credentials(credentials: Credentials) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=credentials.authorities or None,
        private_key=credentials.key or None,
        certificate_chain=credentials.certificate or None,
    )
