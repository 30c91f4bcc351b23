"""The service that W3C's trace-context harness calls, on floe's Python host: `just w3c-service python PORT`.

A SERVER span for a request, and a CLIENT span for each request that it makes in turn.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import urllib3
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode

from floe_telemetry.carriers import HeadersGetter
from floe_telemetry.provider import TelemetryProvider

LARGEST: Final = 1024 * 1024
"""Largest body in bytes."""
TIMEOUT_SECONDS: Final = 30.0
MANIFEST: Final = Path(__file__).parent / "manifest.yaml"
"""The manifest where `FLOE_TELEMETRY_MANIFEST` names none."""

client: Final = urllib3.PoolManager(maxsize=64, retries=False, timeout=TIMEOUT_SECONDS)
tracer: Final = trace.get_tracer("floe-telemetry-conformance")


class Failure(Exception):
    """Why a request was not done."""

    def __init__(self, status: HTTPStatus, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.kind = kind


class Handler(BaseHTTPRequestHandler):
    """Answers requests to whatever path."""

    protocol_version = "HTTP/1.1"
    # Small answers go out at once.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        parent = propagate.extract(self.headers.items(), Context(), HeadersGetter())
        status, reason = HTTPStatus.OK, ""
        try:
            with span(SpanKind.SERVER, parent) as current:
                for call in calls(self.body()):
                    send(call, trace.set_span_in_context(current, parent))
        except Failure as failure:
            status, reason = failure.status, f"{failure}\n"
        body = reason.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.close_connection = True
            raise Failure(HTTPStatus.LENGTH_REQUIRED, "malformed", "a request has a Content-Length")
        if int(length) > LARGEST:
            self.close_connection = True
            raise Failure(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "malformed", f"a body has at most {LARGEST} bytes"
            )
        return self.rfile.read(int(length))

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: spans do."""


@contextmanager
def span(kind: SpanKind, parent: Context) -> Iterator[Span]:
    """A span. It is named by the method alone: paths are the harness's and of any number."""
    started = tracer.start_span("POST", parent, kind, {"http.request.method": "POST"})
    status = HTTPStatus.OK
    try:
        yield started
    except Failure as failure:
        status = failure.status
        started.set_attribute("error.type", failure.kind)
        started.set_status(StatusCode.ERROR, str(failure))
        raise
    finally:
        started.set_attribute("http.response.status_code", status)
        started.end()


def calls(body: bytes) -> list[tuple[str, Any]]:
    """URL and arguments of each `{"url": …, "arguments": …}`. Missing and null arguments are an empty array, as the harness reads them."""
    try:
        return [
            (str(call["url"]), [] if call.get("arguments") is None else call["arguments"])
            for call in list(json.loads(body))
        ]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = f"the body is not an array of calls: {type(error).__name__}: {error}"
        raise Failure(HTTPStatus.BAD_REQUEST, "malformed", reason) from None


def send(call: tuple[str, Any], parent: Context) -> None:
    """Posts the arguments, with the context of a span of its own."""
    url, arguments = call
    with span(SpanKind.CLIENT, parent) as current:
        headers = {"Content-Type": "application/json"}
        propagate.inject(headers, trace.set_span_in_context(current, parent))
        try:
            response = client.request("POST", url, body=json.dumps(arguments), headers=headers)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise Failure(HTTPStatus.BAD_GATEWAY, "unreachable", f"{url} cannot be called: {error}") from None
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise Failure(HTTPStatus.BAD_GATEWAY, "unreachable", f"{url} answered {response.status}")


class Server(ThreadingHTTPServer):
    """A thread a connection; those that wait for another request end with the process."""

    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serves until SIGINT or SIGTERM."""
    port = int(sys.argv[1])
    with TelemetryProvider.from_manifest(os.environ.get("FLOE_TELEMETRY_MANIFEST") or MANIFEST) as telemetry:
        server = Server(("127.0.0.1", port), Handler)
        for number in (signal.SIGINT, signal.SIGTERM):
            # Not in this thread: it is the one that serves, and shutdown() waits for it.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever(poll_interval=0.05)
        server.server_close()
    spans = telemetry.counts()["traces"]
    print(f"spans: {spans.produced} produced, {spans.delivered} delivered")


if __name__ == "__main__":
    main()
