"""OTLP/HTTP exporters that send what the plan says.

OpenTelemetry's exporters complete what they are given from `OTEL_EXPORTER_OTLP_*`, which the policy has
weighed already, and `requests` does so from `~/.netrc`. Here the plan holds alone. Proxies are the machine's.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http.version import __version__ as exporter_version
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from floe_telemetry import __version__, contract
from floe_telemetry.contract import Signal
from floe_telemetry.reference import Credentials, is_tls, tls_context

_EXPORTERS: Final[dict[Signal, Any]] = {
    Signal.TRACES: OTLPSpanExporter,
    Signal.METRICS: OTLPMetricExporter,
    Signal.LOGS: OTLPLogExporter,
}
_COMPRESSIONS: Final = {
    contract.Compression.NONE: Compression.NoCompression,
    contract.Compression.GZIP: Compression.Gzip,
}


def exporter(signal: Signal, plan: contract.Exporter, credentials: Credentials) -> Any:
    """The exporter of one signal."""
    return _EXPORTERS[signal](
        endpoint=plan.endpoint,
        timeout=plan.timeout / 1000,
        compression=_COMPRESSIONS[plan.compression],
        session=_Session(plan, credentials),
    )


class _Session(requests.Session):
    """The connections of one exporter."""

    def __init__(self, plan: contract.Exporter, credentials: Credentials) -> None:
        super().__init__()
        headers = {
            "User-Agent": f"floe-telemetry/{__version__} OTel-OTLP-Exporter-Python/{exporter_version}",
            **dict(credentials.headers),
            "Content-Type": "application/x-protobuf",
        }
        if plan.compression is not contract.Compression.NONE:
            headers["Content-Encoding"] = plan.compression.value
        self.auth = _Headers(headers)
        if is_tls(plan):
            self.mount("https://", _TlsAdapter(tls_context(plan.tls, credentials)))

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Takes the proxies from the environment, and nothing else."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return {**settings, "verify": True, "cert": None}


class _TlsAdapter(HTTPAdapter):
    """Connections whose TLS is what a context says."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context: Final = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Adds nothing: requests would have the connection trust its own bundle as well."""


class _Headers(requests.auth.AuthBase):
    """Sets all headers of a request. It comes last, and where it is, `~/.netrc` is not read."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers: Final = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers = CaseInsensitiveDict(self._headers)  # requests adds the length
        return request
