"""OTLP/HTTP as the plan says.

`requests` completes what it is given from `~/.netrc` and the environment. Here the plan holds alone. Proxies
are the machine's.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  # which resolving a name imports otherwise, later
import gzip
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
import urllib3
from opentelemetry.exporter.otlp.proto.http.version import __version__ as exporter_version
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from floe_telemetry import __version__, contract
from floe_telemetry.contract import Signal
from floe_telemetry.outlet import Answer, Result
from floe_telemetry.reference import Credentials, is_tls, tls_context
from floe_telemetry.responses import MOST_BYTES, read, status_words

_PROTOBUF: Final = "application/x-protobuf"
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
"""By the OTLP specification, "Retryable Response Codes"."""
_BROKEN: Final = (
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
)
"""Connections that cannot be had, or that end before the answer does."""


def sender(signal: Signal, plan: contract.Exporter, credentials: Credentials) -> HttpSender:
    """The sender of one signal."""
    return HttpSender(signal, plan, credentials)


class HttpSender:
    """Sends the requests of one signal. A redirect is not followed: it would take headers elsewhere."""

    def __init__(self, signal: Signal, plan: contract.Exporter, credentials: Credentials) -> None:
        self._signal: Final = signal
        self._endpoint: Final = plan.endpoint
        self._compressed: Final = plan.compression is contract.Compression.GZIP
        self._session: Final = _Session(plan, credentials)

    def send(self, request: bytes, seconds: float) -> Answer:
        """Sends a request and reads the answer by the rules of OTLP."""
        body = gzip.compress(request) if self._compressed else request
        try:
            with self._session.post(
                self._endpoint, data=body, timeout=seconds, allow_redirects=False, stream=True
            ) as response:
                return self._answer(response, response.raw.read(MOST_BYTES, decode_content=True))
        except _BROKEN as error:
            return Answer(Result.RETRY, _reason(error))

    def _answer(self, response: requests.Response, body: bytes) -> Answer:
        status = response.status_code
        said = f"HTTP {status} {response.reason or ''}".rstrip()
        kind = response.headers.get("Content-Type", _PROTOBUF).partition(";")[0].strip().lower()
        if status == 200:
            if kind != _PROTOBUF:
                return Answer(Result.REFUSED, f"{said} with {kind}, which is no answer of OTLP")
            return read(self._signal, body)
        words = status_words(body) if kind == _PROTOBUF else body.decode("utf-8", "replace")
        words = f"{said}: {words}" if words.strip() else said
        if status in _RETRYABLE:
            return Answer(Result.RETRY, words, after=_seconds(response.headers.get("Retry-After", "")))
        # The Collector's receiver answers 400 where its limit is exceeded.
        if status == 413 or (status == 400 and "request body too large" in words):
            return Answer(Result.TOO_LARGE, words)
        return Answer(Result.REFUSED, words)

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()


def _reason(error: BaseException) -> str:
    """What is at the root of an error: its wrappings name objects and addresses of memory."""
    while error.__context__ is not None:
        error = error.__context__
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _seconds(after: str) -> float | None:
    """The seconds of a `Retry-After`, which may be a date (RFC 9110, section 10.2.3)."""
    after = after.strip()
    if after.isascii() and after.isdigit() and len(after) < 10:
        return float(after)
    try:
        return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
    except (ValueError, OverflowError, TypeError):
        return None


class _Session(requests.Session):
    """The connections of one sender."""

    def __init__(self, plan: contract.Exporter, credentials: Credentials) -> None:
        super().__init__()
        headers = {
            "User-Agent": f"floe-telemetry/{__version__} OTel-OTLP-Exporter-Python/{exporter_version}",
            **dict(credentials.headers),
            "Content-Type": _PROTOBUF,
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
