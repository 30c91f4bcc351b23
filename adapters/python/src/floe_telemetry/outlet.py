"""The way of one signal out of the process: its OTLP exporter, built when it is first needed, and a count of
what arrived.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from floe_telemetry import contract
from floe_telemetry._once import warn_once
from floe_telemetry.reference import Credentials, UnresolvedError, check, check_tls, resolve

_EXPORTERS: Final = "opentelemetry.exporter.otlp.proto"
"""The logger of the SDK's exporters."""


class MissingExtraError(Exception):
    """A part of this package that is installed on its own is not there."""


class Delivery:
    """What became of the items of one signal that reached the exporter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.delivered = 0
        self.failed = 0
        self.exporting = 0
        self.failing = False
        """Whether the last export failed."""

    def begin(self, items: int) -> None:
        """An export starts."""
        with self._lock:
            self.exporting += items

    def end(self, items: int, delivered: bool) -> None:
        """An export ended."""
        with self._lock:
            self.exporting -= items
            self.failing = not delivered
            if delivered:
                self.delivered += items
            else:
                self.failed += items


class _Exporter(Protocol):
    def export(self, batch: Any, /) -> Any: ...

    def shutdown(self) -> None: ...


class Outlet:
    """The OTLP exporter of one signal. What it refers to is read when it is built and, as files are rotated,
    before each export.
    """

    def __init__(
        self, signal: contract.Signal, plan: contract.Exporter, environ: Mapping[str, str] = os.environ
    ) -> None:
        check_protocol(plan)
        self._signal: Final = signal
        self._plan: Final = plan
        self._environ: Final = environ
        self._exporter: _Exporter | None = None
        self._credentials: Credentials | None = None
        self._hurried = False
        self.delivery: Final = Delivery()

    @property
    def endpoint(self) -> str:
        """Where the signal goes."""
        return self._plan.endpoint

    def check(self) -> None:
        """Raises [`UnresolvedError`] with what the exporter needs and that is not there. Builds nothing."""
        check(self._plan, self._environ)

    def export(self, batch: Any, items: int, success: Any, failure: Any) -> Any:
        """Exports a batch and counts its items."""
        self.delivery.begin(items)
        delivered = False
        try:
            delivered = self._current().export(batch) is success
            if not delivered and not self._hurried:  # else it is told at the end, with what was lost
                _warn_of(self.endpoint)
        except UnresolvedError as unresolved:
            _warn(unresolved)
        finally:
            self.delivery.end(items, delivered)
        return success if delivered else failure

    def hurry(self) -> None:
        """No more retries: what waits for one gives up. An export in progress goes on."""
        self._hurried = True
        client = getattr(self._exporter, "_client", None)
        for event in (
            getattr(client, "_shutdown_event", None),
            getattr(self._exporter, "_shutdown_in_progress", None),
        ):
            if isinstance(event, threading.Event):
                event.set()

    def shutdown(self) -> None:
        """Closes connections."""
        if self._exporter is not None:
            self._exporter.shutdown()

    def _current(self) -> _Exporter:
        """The exporter, built anew where what it refers to is another than before. What cannot be used in the
        midst of a rotation leaves the exporter as it was.
        """
        exporter = self._exporter
        try:
            credentials = resolve(self._plan, self._environ)
            if exporter is not None and credentials == self._credentials:
                return exporter
            check_tls(self._plan, credentials)
        except UnresolvedError as unresolved:
            if exporter is None:
                raise
            _warn(unresolved)
            return exporter
        _quieten()
        module = import_module(_MODULES[self._plan.protocol])
        built: _Exporter = module.exporter(self._signal, self._plan, credentials)
        self.shutdown()
        self._exporter, self._credentials = built, credentials
        if self._hurried:
            self.hurry()
        return built


_MODULES: Final = {
    contract.Protocol.GRPC: "floe_telemetry.otlp_grpc",
    contract.Protocol.HTTP_PROTOBUF: "floe_telemetry.otlp_http",
}


def _warn(unresolved: UnresolvedError) -> None:
    for problem in unresolved.problems:
        text = "warning[%s]: %s\n  help: %s"
        warn_once(problem.message, text, problem.code, problem.message, problem.help)


def _warn_of(endpoint: str) -> None:
    text = (
        "warning[FLOE-X007]: telemetry does not reach %s; what comes is tried, and counted where it is lost\n"
        "  help: `floe-telemetry doctor MANIFEST` finds out why; the logger %s says it of each attempt"
    )
    warn_once(f"undelivered {endpoint}", text, endpoint, _EXPORTERS)


def _quieten() -> None:
    """The exporters tell of each attempt. Who wants to read that sets their logger's level."""
    exporters = logging.getLogger(_EXPORTERS)
    if exporters.level == logging.NOTSET:
        exporters.setLevel(logging.CRITICAL)


def check_protocol(plan: contract.Exporter) -> None:
    """Raises [`MissingExtraError`] if the plan's transport is not installed. Imports nothing."""
    from importlib.util import find_spec

    try:
        installed = find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None
    except ModuleNotFoundError:
        installed = False
    if plan.protocol is contract.Protocol.GRPC and not installed:
        raise MissingExtraError(
            "otlp_protocol is grpc, but the gRPC exporter is not installed\n"
            "  help: pip install 'floe-telemetry[grpc]', or write otlp_protocol: http/protobuf"
        )
