"""Stands where a backend would: takes whatever is sent to it by HTTP or gRPC, says yes, and keeps it."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cramjam
import grpc  # type: ignore[import-untyped]


@dataclass(frozen=True)
class Request:
    """One request. Names of headers are in lower case; the body is decompressed as the header says."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Request], bytes]


@dataclass
class StandIn:
    """What arrived so far, and at which port."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: Callable[[], Any] = lambda: None

    def keep(self, request: Request) -> None:
        with self.lock:
            self.requests.append(request)

    def matching(self, wanted: Callable[[Request], bool]) -> list[Request]:
        """The requests so far that are wanted."""
        with self.lock:
            return [request for request in self.requests if wanted(request)]

    def wait(self, wanted: Callable[[Request], bool], seconds: float = 20) -> Request:
        """The first request that is wanted, as soon as it is there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.matching(wanted)
            if found:
                return found[0]
            time.sleep(0.05)
        with self.lock:
            seen = [(request.method, request.path, len(request.body)) for request in self.requests]
        raise AssertionError(f"what was waited for did not come within {seconds} s; what came: {seen}")


def http(answer: Answer = lambda _: b"{}", *, port: int = 0) -> StandIn:
    """A server that speaks HTTP. `answer` makes the body of a response from a request."""
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def take(self) -> None:
            request = Request(
                self.command,
                self.path,
                {key.lower(): value for key, value in self.headers.items()},
                self.read(),
            )
            stand_in.keep(request)
            body = answer(request)
            self.send_response(200)
            # OTLP wants its answer in the request's format; an empty message is none of the bytes.
            kind = request.headers.get("content-type", "application/json")
            if kind == "application/x-protobuf":
                body = b""
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_HEAD = take

        def read(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                chunks = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                body = b"".join(chunks)
            else:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
            match self.headers.get("content-encoding", ""):
                case "snappy":
                    return bytes(cramjam.snappy.decompress_raw(body))
                case "gzip":
                    return gzip.decompress(body)
                case "deflate" | "zlib":
                    return zlib.decompress(body)
            return body

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    stand_in.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    stand_in.stop = stop
    return stand_in


class _Any(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Every method there is: the request's bytes are kept, the answer is an empty message."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        headers = {
            key: value if isinstance(value, str) else value.decode("latin-1")
            for key, value in details.invocation_metadata
        }

        def take(body: bytes, _: grpc.ServicerContext) -> bytes:
            self.stand_in.keep(Request("gRPC", details.method, headers, body))
            return b""

        return grpc.unary_unary_rpc_method_handler(take)


def grpc_server(*, address: str = "127.0.0.1:0") -> StandIn:
    """A server that speaks gRPC, any service of it."""
    stand_in = StandIn()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_Any(stand_in)])
    stand_in.port = server.add_insecure_port(address)
    server.start()
    stand_in.stop = lambda: server.stop(0).wait()
    return stand_in
