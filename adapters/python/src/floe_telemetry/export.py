"""Between the SDK's batches and the OTLP exporters: the plan's attributes, and redaction.

All of it runs on export threads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
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
        secrets = self._redactor.secrets((*map(_texts_of_span, spans), _texts_of_sources(spans)))
        if secrets:
            sources = _Sources(secrets)
            for span in spans:
                _redact_span(span, secrets)
                span._resource = sources.resource(span._resource)
                span._instrumentation_scope = sources.scope(span._instrumentation_scope)
        result: SpanExportResult = self._outlet.export(
            spans, len(spans), SpanExportResult.SUCCESS, SpanExportResult.FAILURE
        )
        return result

    def shutdown(self) -> None:
        """Closes connections."""
        self._outlet.shutdown()


class LogExport(LogRecordExporter):
    """Log records: all their texts are redacted."""

    def __init__(self, redactor: Redactor, outlet: Outlet) -> None:
        self._redactor = redactor
        self._outlet = outlet

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Redacts and exports a batch."""
        secrets = self._redactor.secrets((*map(_texts_of_log, batch), _texts_of_sources(batch)))
        if secrets:
            sources = _Sources(secrets)
            batch = [_redacted_log(item, secrets, sources) for item in batch]
        result: LogRecordExportResult = self._outlet.export(
            batch, len(batch), LogRecordExportResult.SUCCESS, LogRecordExportResult.FAILURE
        )
        return result

    def shutdown(self) -> None:
        """Closes connections."""
        self._outlet.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits in here."""
        return True


class MetricExport(MetricExporter):
    """Metrics: attributes of points and exemplars are redacted, and who they are of."""

    def __init__(self, redactor: Redactor, outlet: Outlet) -> None:
        super().__init__()
        self._redactor = redactor
        self._outlet = outlet

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any
    ) -> MetricExportResult:
        """Redacts and exports a collection."""
        secrets = self._redactor.secrets([_texts_of_metrics(metrics_data)])
        if secrets:
            metrics_data = _redacted_metrics(metrics_data, secrets)
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
    texts: list[Any] = [span._name, span._attributes]
    if span._status.description:
        texts.append(span._status.description)
    for event in span._events:
        texts += (event.name, event.attributes)
    if len(span._links):
        texts += [link.attributes for link in span._links]
    return texts


def _redact_span(span: ReadableSpan, secrets: Secrets) -> None:
    span._name = redacted(span._name, secrets)
    span._attributes = redacted(span._attributes, secrets)
    if span._status.description in secrets:
        span._status = Status(span._status.status_code, secrets[span._status.description or ""])

    def event_without(event: Event) -> Event:
        name, attributes = redacted(event.name, secrets), redacted(event.attributes, secrets)
        return Event(name, attributes, event.timestamp)

    def link_without(link: Link) -> Link:
        return Link(link.context, redacted(link.attributes, secrets))

    span._events = each(event_without, span._events)
    span._links = each(link_without, span._links)


def each(change: Callable[[Any], Any], items: Sequence[Any]) -> Sequence[Any]:
    """The items changed, without those that are `None` then. What the SDK dropped for its limits stays
    counted.
    """
    changed = [other for item in items if (other := change(item)) is not None]
    dropped = getattr(items, "dropped", 0)
    if not dropped:
        return changed
    bounded = BoundedList.from_seq(len(changed), changed)
    bounded.dropped = dropped
    return bounded


def _texts_of_log(record: ReadableLogRecord) -> list[Any]:
    log = record.log_record
    return [log.body, log.attributes, log.event_name, log.severity_text]


def _redacted_log(record: ReadableLogRecord, secrets: Secrets, sources: _Sources) -> ReadableLogRecord:
    log_record = copy.copy(record.log_record)
    log_record.body = redacted(log_record.body, secrets)
    log_record.attributes = redacted(log_record.attributes, secrets)
    log_record.event_name = redacted(log_record.event_name, secrets)
    log_record.severity_text = redacted(log_record.severity_text, secrets)
    resource, scope = sources.resource(record.resource), sources.scope(record.instrumentation_scope)
    return ReadableLogRecord(log_record, resource, scope, record.limits)


def _texts_of_metrics(data: MetricsData) -> Iterator[Any]:
    for of_resource in data.resource_metrics:
        yield of_resource.resource.attributes
        for of_scope in of_resource.scope_metrics:
            yield from _texts_of_scope(of_scope.scope)
            for metric in of_scope.metrics:
                yield from (metric.name, metric.description, metric.unit)
                for point in metric.data.data_points:
                    yield point.attributes
                    for exemplar in point.exemplars:
                        yield exemplar.filtered_attributes


def _redacted_metrics(data: MetricsData, secrets: Secrets) -> MetricsData:
    sources = _Sources(secrets)

    def clean(text: str) -> str:
        return secrets.get(text, text)

    def point_without(point: Any) -> Any:
        exemplars = [
            replace(exemplar, filtered_attributes=redacted(exemplar.filtered_attributes, secrets))
            for exemplar in point.exemplars
        ]
        return replace(point, attributes=redacted(point.attributes, secrets), exemplars=exemplars)

    def metric_without(metric: Any) -> Any:
        points = list(map(point_without, metric.data.data_points))
        return replace(
            metric,
            name=clean(metric.name),
            description=clean(metric.description or ""),
            unit=clean(metric.unit or ""),
            data=replace(metric.data, data_points=points),
        )

    return MetricsData(
        [
            replace(
                of_resource,
                resource=sources.resource(of_resource.resource),
                scope_metrics=[
                    replace(
                        of_scope,
                        scope=sources.scope(of_scope.scope),
                        metrics=list(map(metric_without, of_scope.metrics)),
                    )
                    for of_scope in of_resource.scope_metrics
                ],
            )
            for of_resource in data.resource_metrics
        ]
    )


def _texts_of_sources(items: Sequence[ReadableSpan] | Sequence[ReadableLogRecord]) -> Iterator[Any]:
    """What of the resources and scopes of a batch may hold text. Most items have the same."""
    resources = {id(item.resource): item.resource for item in items}
    scopes = {id(item.instrumentation_scope): item.instrumentation_scope for item in items}
    for resource in resources.values():
        yield resource.attributes
    for scope in scopes.values():
        yield from _texts_of_scope(scope)


def _texts_of_scope(scope: InstrumentationScope | None) -> Iterator[Any]:
    if scope is not None:
        yield from (scope.name, scope.version, scope.schema_url, scope.attributes)


class _Sources:
    """Resources and scopes of a batch without secrets, each made once."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets: Final = secrets
        self._made: Final[dict[int, Any]] = {}

    def resource(self, resource: Any) -> Any:
        """The resource without secrets."""
        if id(resource) not in self._made:
            attributes = redacted(resource.attributes, self._secrets)
            same = attributes is resource.attributes
            self._made[id(resource)] = resource if same else Resource(attributes, resource.schema_url)
        return self._made[id(resource)]

    def scope(self, scope: Any) -> Any:
        """The scope without secrets."""
        if scope is not None and id(scope) not in self._made:
            texts = (scope.name, scope.version, scope.schema_url, scope.attributes)
            clean = [redacted(text, self._secrets) for text in texts]
            same = all(text is other for text, other in zip(texts, clean, strict=True))
            self._made[id(scope)] = scope if same else InstrumentationScope(*clean)
        return self._made[id(scope)] if scope is not None else None
