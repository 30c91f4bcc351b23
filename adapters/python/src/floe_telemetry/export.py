"""Between the SDK's batches and the OTLP exporters: redaction, and a count of what arrived.

All of it runs on export threads. The real exporters are imported and built by the first export, off the
application's path.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeVar

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from floe_telemetry import contract
from floe_telemetry._once import warn_once
from floe_telemetry.policy import Policy

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")
_MASK: Final = "***"


class MissingExtraError(Exception):
    """A part of this package that is installed on its own is not there."""


class Delivery:
    """What became of the items of one signal that reached the exporter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.delivered = 0
        self.failed = 0
        self.exporting = 0
        self.last_error = ""

    def begin(self, items: int) -> None:
        """An export starts."""
        with self._lock:
            self.exporting += items

    def end(self, items: int, delivered: bool) -> None:
        """An export ended."""
        with self._lock:
            self.exporting -= items
            if delivered:
                self.delivered += items
            else:
                self.failed += items


class _Exporter(Protocol):
    def export(self, batch: Any, /) -> Any: ...

    def shutdown(self) -> None: ...


class Outlet:
    """The OTLP exporter of one signal, built when it is first needed."""

    def __init__(self, signal: Signal, plan: contract.Exporter) -> None:
        self._signal: Final = signal
        self._plan: Final = plan
        self._exporter: _Exporter | None = None
        self._hurried = False
        self.delivery: Final = Delivery()

    def export(self, batch: Any, items: int, success: Any, failure: Any) -> Any:
        """Exports a batch and counts its items."""
        self.delivery.begin(items)
        delivered = False
        try:
            if self._exporter is None:
                self._exporter = _otlp_exporter(self._signal, self._plan)
                if self._hurried:
                    self.hurry()
            delivered = self._exporter.export(batch) is success
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


def _otlp_exporter(signal: Signal, plan: contract.Exporter) -> _Exporter:
    seconds = plan.timeout / 1000
    if plan.protocol is contract.Protocol.GRPC:
        exporter, options = _grpc_exporter(signal), {"endpoint": plan.endpoint}
    else:
        exporter, options = _http_exporter(signal), {"endpoint": f"{plan.endpoint}/v1/{signal}"}
    built: _Exporter = exporter(timeout=seconds, **options)
    return built


def _http_exporter(signal: Signal) -> Callable[..., Any]:
    if signal == "traces":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter
    if signal == "metrics":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    return OTLPLogExporter


def _grpc_exporter(signal: Signal) -> Callable[..., Any]:
    if signal == "traces":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter
    if signal == "metrics":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    return OTLPLogExporter


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


class SpanExport(SpanExporter):
    """Spans: status descriptions and the texts of attributes and events are redacted."""

    def __init__(self, policy: Policy, outlet: Outlet) -> None:
        self._policy = policy
        self._outlet = outlet

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Redacts and exports a batch."""
        redacted = _redacted(self._policy, spans, _texts_of_span, _span_with)
        result: SpanExportResult = self._outlet.export(
            redacted, len(spans), SpanExportResult.SUCCESS, SpanExportResult.FAILURE
        )
        return result

    def shutdown(self) -> None:
        """Closes connections."""
        self._outlet.shutdown()


class LogExport(LogRecordExporter):
    """Log records: bodies and the texts of attributes are redacted."""

    def __init__(self, policy: Policy, outlet: Outlet) -> None:
        self._policy = policy
        self._outlet = outlet

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Redacts and exports a batch."""
        redacted = _redacted(self._policy, batch, _texts_of_log, _log_with)
        result: LogRecordExportResult = self._outlet.export(
            redacted, len(batch), LogRecordExportResult.SUCCESS, LogRecordExportResult.FAILURE
        )
        return result

    def shutdown(self) -> None:
        """Closes connections."""
        self._outlet.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits in here."""
        return True


class MetricExport(MetricExporter):
    """Metrics. They hold no text but what the policy or the application chose as attributes."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        self._outlet = outlet

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any
    ) -> MetricExportResult:
        """Exports a collection."""
        points = sum(
            len(metric.data.data_points)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        result: MetricExportResult = self._outlet.export(
            metrics_data, points, MetricExportResult.SUCCESS, MetricExportResult.FAILURE
        )
        return result

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Closes connections."""
        self._outlet.shutdown()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits in here."""
        return True


Item = TypeVar("Item")


@dataclass(slots=True)
class _Slot:
    """A place of an item that holds text."""

    text: str
    key: tuple[int, str]
    """Which text of the item it is: what the functions below make of it."""


def _redacted(
    policy: Policy,
    batch: Sequence[Item],
    slots_of: Callable[[Item], list[_Slot]],
    with_texts: Callable[[Item, dict[tuple[int, str], str]], Item],
) -> Sequence[Item]:
    """The batch with redacted texts, by one call of the policy. Items that hold no secret stay the same
    objects.
    """
    slots = [slots_of(item) for item in batch]
    texts = [slot.text for of_item in slots for slot in of_item]
    if not texts:
        return batch
    try:
        answers = iter(policy.redact(texts))
    except Exception as error:
        # A text that could not be checked may hold a secret.
        warn_once("redact", "%s; texts are masked instead of redacted", error)
        answers = iter([_MASK] * len(texts))
    result = []
    for item, of_item in zip(batch, slots, strict=True):
        changed = {slot.key: answer for slot in of_item if (answer := next(answers)) != slot.text}
        result.append(with_texts(item, changed) if changed else item)
    return result


_STATUS: Final = (-2, "")
_OWN: Final = -1


def _texts_of_attributes(attributes: Mapping[str, Any] | None, position: int) -> list[_Slot]:
    return [
        _Slot(value, (position, name)) for name, value in (attributes or {}).items() if isinstance(value, str)
    ]


def _texts_of_span(span: ReadableSpan) -> list[_Slot]:
    slots = [_Slot(span.status.description, _STATUS)] if span.status.description else []
    slots += _texts_of_attributes(span.attributes, _OWN)
    for position, event in enumerate(span.events):
        slots += _texts_of_attributes(event.attributes, position)
    return slots


def _span_with(span: ReadableSpan, texts: dict[tuple[int, str], str]) -> ReadableSpan:
    """A copy with other texts: the application may still hold the span."""
    span = copy.copy(span)
    if _STATUS in texts:
        span._status = Status(span.status.status_code, texts[_STATUS])
    own = {name: text for (at, name), text in texts.items() if at == _OWN}
    if own:
        span._attributes = {**(span.attributes or {}), **own}
    events = []
    for position, event in enumerate(span.events):
        changed = {name: text for (at, name), text in texts.items() if at == position}
        if changed:
            event = Event(event.name, {**(event.attributes or {}), **changed}, event.timestamp)
        events.append(event)
    span._events = events
    return span


_BODY: Final = (0, "")


def _texts_of_log(record: ReadableLogRecord) -> list[_Slot]:
    body = record.log_record.body
    slots = [_Slot(body, _BODY)] if isinstance(body, str) and body else []
    return slots + _texts_of_attributes(record.log_record.attributes, 1)


def _log_with(record: ReadableLogRecord, texts: dict[tuple[int, str], str]) -> ReadableLogRecord:
    log_record = copy.copy(record.log_record)
    if _BODY in texts:
        log_record.body = texts.pop(_BODY)
    if texts:
        log_record.attributes = {
            **(log_record.attributes or {}),
            **{name: text for (_, name), text in texts.items()},
        }
    return ReadableLogRecord(log_record, record.resource, record.instrumentation_scope, record.limits)
