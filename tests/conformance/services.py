"""Starts the services of this directory, and records what they send."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = ("rust", "python")
COMMANDS: Final = {
    "rust": lambda: [os.environ["FLOE_CONFORMANCE"]],
    "python": lambda: [sys.executable, str(Path(__file__).parent / "service.py")],
}
NOT_INHERITED: Final = (
    "TRACEPARENT",
    "TRACESTATE",
    "BAGGAGE",
    "OTEL_",
    "FLOE_MODE",
    "FLOE_TELEMETRY_MANIFEST",
)
"""What the names of those variables start with that would be a context, or change the manifest."""

Lines = Sequence[tuple[str, str]]
"""Header lines as they are sent: in order, of any case, several of one name."""


class Service:
    """A service in a process of its own, on a free port."""

    def __init__(self, language: str, variables: Mapping[str, str] | None = None) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        self._process = subprocess.Popen(
            [*COMMANDS[language](), "0"],
            env=inherited | dict(variables or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        said = self._process.stdout.readline()
        assert said.startswith("listening on http://127.0.0.1:"), (said, *self._process.communicate())
        self.port = int(said.rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}/test"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Ends the service: its exit code, and what it wrote to its two outputs since the start."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            output, errors = self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        return self._process.returncode, output, errors


def call(port: int, headers: Lines, body: bytes) -> tuple[int, str]:
    """Sends one request, on a connection of its own: status and text of the answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest("POST", "/test")
        for name, value in [*headers, ("content-length", str(len(body)))]:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Recorder:
    """An HTTP server that answers every request and keeps its header lines."""

    def __init__(self) -> None:
        received: dict[str, list[tuple[str, str]]] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                received[self.path] = self.headers.items()
                self.send_response(200 if self.path != "/broken" else 500)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def through(self, port: int, headers: Lines, times: int = 1) -> list[list[tuple[str, str]]]:
        """The header lines of the requests that a service makes when it is called with these."""
        paths = [f"/{number}" for number in range(times)]
        calls: list[dict[str, Any]] = [{"url": self.url + path, "arguments": []} for path in paths]
        assert call(port, headers, json.dumps(calls).encode()) == (200, "")
        return [self._received.pop(path) for path in paths]

    def stop(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def recorder() -> Iterator[Recorder]:
    """A recorder for as long as it is needed."""
    running = Recorder()
    try:
        yield running
    finally:
        running.stop()
