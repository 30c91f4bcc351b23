"""Between the SDK's batches and the OTLP exporters: the plan's attributes, and redaction.

All of it runs on export threads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, Status

from floe_telemetry import contract
from floe_telemetry.attributes import merged
from floe_telemetry.outlet import Outlet
from floe_telemetry.redaction import Redactor, Secrets, redacted


class SpanExport(SpanExporter):
    """Spans: they get the plan's attributes, and their texts are redacted.

    A processor is handed a snapshot of a span, which is changed here. What the snapshot is made of is the
    application's still, and is replaced.
    """

    def __init__(
        self, redactor: Redactor, outlet: Outlet, attributes: Mapping[str, contract.AttributeValue]
    ) -> None:
        self._redactor = redactor
        self._outlet = outlet
        self._attributes: Final[dict[str, Any]] = dict(attributes)
        self.shared = False
        """Whether other processors see the snapshots as well; then copies are changed."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Completes, redacts and exports a batch."""
        if self.shared:
            spans = [copy.copy(span) for span in spans]
        for span in spans:
            span._attributes = merged(span._attributes, self._attributes, {})
        secrets = self._redactor.secrets(map(_texts_of_span, spans))
        if secrets:
            for span in spans:
                _redact_span(span, secrets)
        result: SpanExportResult = self._outlet.export(
            spans, len(spans), SpanExportResult.SUCCESS, SpanExportResult.FAILURE
        )
        return result

    def shutdown(self) -> None:
        """Closes connections."""
        self._outlet.shutdown()


class LogExport(LogRecordExporter):
    """Log records: bodies and attributes are redacted."""

    def __init__(self, redactor: Redactor, outlet: Outlet) -> None:
        self._redactor = redactor
        self._outlet = outlet

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Redacts and exports a batch."""
        secrets = self._redactor.secrets((item.log_record.body, item.log_record.attributes) for item in batch)
        redacted = [_redacted_log(item, secrets) for item in batch] if secrets else batch
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


def _texts_of_span(span: ReadableSpan) -> list[Any]:
    """What of a span may hold text."""
    texts: list[Any] = [span._attributes]
    if span._status.description:
        texts.append(span._status.description)
    if len(span._events):
        texts += [event.attributes for event in span._events]
    if len(span._links):
        texts += [link.attributes for link in span._links]
    return texts


def _redact_span(span: ReadableSpan, secrets: Secrets) -> None:
    span._attributes = redacted(span._attributes, secrets)
    if span._status.description in secrets:
        span._status = Status(span._status.status_code, secrets[span._status.description or ""])

    def event_without(event: Event) -> Event:
        return Event(event.name, redacted(event.attributes, secrets), event.timestamp)

    def link_without(link: Link) -> Link:
        return Link(link.context, redacted(link.attributes, secrets))

    span._events = _each(event_without, span._events)
    span._links = _each(link_without, span._links)


def _each(change: Callable[[Any], Any], items: Sequence[Any]) -> Sequence[Any]:
    """The items changed. What the SDK dropped for its limits stays counted."""
    changed = [change(item) for item in items]
    dropped = getattr(items, "dropped", 0)
    if not dropped:
        return changed
    bounded = BoundedList.from_seq(len(changed), changed)
    bounded.dropped = dropped
    return bounded


def _redacted_log(record: ReadableLogRecord, secrets: Secrets) -> ReadableLogRecord:
    log_record = copy.copy(record.log_record)
    log_record.body = redacted(log_record.body, secrets)
    log_record.attributes = redacted(log_record.attributes, secrets)
    return ReadableLogRecord(log_record, record.resource, record.instrumentation_scope, record.limits)
