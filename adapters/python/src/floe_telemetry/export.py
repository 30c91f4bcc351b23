"""How what the SDK made becomes requests: the plan's attributes, redaction, OTLP.

All of it runs on export threads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status

from floe_telemetry import contract
from floe_telemetry.attributes import merged
from floe_telemetry.redaction import Redactor, Secrets, redacted


class SpanFormat:
    """Spans: they get the plan's attributes, and their texts are redacted.

    A processor is handed a snapshot of a span, which is changed here. What the snapshot is made of is the
    application's still, and is replaced.
    """

    def __init__(self, redactor: Redactor, attributes: Mapping[str, contract.AttributeValue]) -> None:
        self._redactor = redactor
        self._attributes: Final[dict[str, Any]] = dict(attributes)
        self.shared = False
        """Whether other processors see the snapshots as well; then copies are changed."""

    def prepare(self, batch: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """Completes and redacts spans."""
        if self.shared:
            batch = [copy.copy(span) for span in batch]
        for span in batch:
            span._attributes = merged(span._attributes, self._attributes, {})
        secrets = self._redactor.secrets((*map(_texts_of_span, batch), _texts_of_sources(batch)))
        if secrets:
            sources = _Sources(secrets)
            for span in batch:
                _redact_span(span, secrets)
                span._resource = sources.resource(span._resource)
                span._instrumentation_scope = sources.scope(span._instrumentation_scope)
        return batch

    def encode(self, batch: Sequence[ReadableSpan]) -> bytes:
        """The request."""
        encoded: bytes = encode_spans(batch).SerializeToString()
        return encoded

    def items(self, batch: Sequence[ReadableSpan]) -> int:
        """How many spans there are."""
        return len(batch)

    def halves(self, batch: Sequence[ReadableSpan]) -> tuple[Sequence[ReadableSpan], Sequence[ReadableSpan]]:
        """The two halves."""
        return batch[: len(batch) // 2], batch[len(batch) // 2 :]


class LogFormat:
    """Log records: all their texts are redacted."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def prepare(self, batch: Sequence[ReadableLogRecord]) -> Sequence[ReadableLogRecord]:
        """Redacts records."""
        secrets = self._redactor.secrets((*map(_texts_of_log, batch), _texts_of_sources(batch)))
        if not secrets:
            return batch
        sources = _Sources(secrets)
        return [_redacted_log(item, secrets, sources) for item in batch]

    def encode(self, batch: Sequence[ReadableLogRecord]) -> bytes:
        """The request."""
        encoded: bytes = encode_logs(batch).SerializeToString()
        return encoded

    def items(self, batch: Sequence[ReadableLogRecord]) -> int:
        """How many records there are."""
        return len(batch)

    def halves(
        self, batch: Sequence[ReadableLogRecord]
    ) -> tuple[Sequence[ReadableLogRecord], Sequence[ReadableLogRecord]]:
        """The two halves."""
        return batch[: len(batch) // 2], batch[len(batch) // 2 :]


class MetricFormat:
    """Metrics: attributes of points and exemplars are redacted, and who they are of."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def prepare(self, batch: MetricsData) -> MetricsData:
        """Redacts a collection."""
        secrets = self._redactor.secrets([_texts_of_metrics(batch)])
        return _redacted_metrics(batch, secrets) if secrets else batch

    def encode(self, batch: MetricsData) -> bytes:
        """The request."""
        encoded: bytes = encode_metrics(batch).SerializeToString()
        return encoded

    def items(self, batch: MetricsData) -> int:
        """How many points there are."""
        return sum(len(metric.data.data_points) for metric in _metrics_of(batch))

    def halves(self, batch: MetricsData) -> tuple[MetricsData, MetricsData]:
        """The two halves of its points."""
        half = self.items(batch) // 2
        return _points(batch, 0, half), _points(batch, half, self.items(batch))


def _metrics_of(data: MetricsData) -> Iterator[Any]:
    for of_resource in data.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            yield from of_scope.metrics


def _points(data: MetricsData, begin: int, end: int) -> MetricsData:
    """The points of a collection from one position to another, and what they belong to."""
    seen = 0

    def of_metric(metric: Any) -> Any | None:
        nonlocal seen
        points = metric.data.data_points
        chosen = points[max(0, begin - seen) : max(0, end - seen)]
        seen += len(points)
        return replace(metric, data=replace(metric.data, data_points=chosen)) if chosen else None

    resources = []
    for of_resource in data.resource_metrics:
        scopes = []
        for of_scope in of_resource.scope_metrics:
            if found := [other for metric in of_scope.metrics if (other := of_metric(metric)) is not None]:
                scopes.append(replace(of_scope, metrics=found))
        if scopes:
            resources.append(replace(of_resource, scope_metrics=scopes))
    return MetricsData(resources)


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
