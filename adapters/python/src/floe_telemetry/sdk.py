"""The OpenTelemetry SDK, set up by a plan: imported only by a process that has telemetry on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.util.types import Attributes

from floe_telemetry._once import logger, warn_once
from floe_telemetry.baggage_attributes import (
    BaggageAttributes,
    BaggageLogProcessor,
    BaggageSpanProcessor,
)
from floe_telemetry.clock import MONOTONIC, Clock
from floe_telemetry.contract import (
    CONTRACT_VERSION,
    SCHEMA_URL,
    Batch,
    InstrumentKind,
    Measurement,
    Plan,
    Signal,
)
from floe_telemetry.exceptions import Exceptions
from floe_telemetry.export import LogExport, MetricExport, SpanExport
from floe_telemetry.failed import FailedOperations
from floe_telemetry.id_generator import IdGenerator
from floe_telemetry.inflight import InFlight
from floe_telemetry.outlet import Delivery, Outlet
from floe_telemetry.policy import Policy
from floe_telemetry.redaction import Redactor
from floe_telemetry.reference import Problem, UnresolvedError
from floe_telemetry.resource import ProcessResource
from floe_telemetry.sampler import FloeSampler

SCOPE: Final = "floe-telemetry"
"""Name of the scope of floe's own operations."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a signal's items. For metrics, an item is a data point that was collected for an
    export.
    """

    produced: int
    delivered: int
    dropped: int
    queued: int


class _TracerProvider(TracerProvider):
    """The SDK's provider, which tells the sampler the scope where that matters, and the exporter whether
    others see spans.
    """

    export: SpanExport | None = None
    """Set when floe's own processors are there."""

    def __init__(self, sampler: FloeSampler, *, scoped: bool, **options: Any) -> None:
        super().__init__(sampler, **options)
        self._sampler_of: Final = sampler.scoped if scoped else None

    def get_tracer(self, instrumenting_module_name: str, *arguments: Any, **options: Any) -> trace.Tracer:
        tracer = super().get_tracer(instrumenting_module_name, *arguments, **options)
        if self._sampler_of is not None and isinstance(tracer, Tracer):
            tracer.sampler = self._sampler_of(instrumenting_module_name or "")
        return tracer

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        if self.export is not None:
            self.export.shared = True
        super().add_span_processor(span_processor)


class _SpanProcessor(BatchSpanProcessor):
    """The SDK's processor, which counts, and lets operations that are not sampled wait for a failure."""

    produced = 0

    def __init__(
        self,
        exporter: SpanExporter,
        failed: FailedOperations | None,
        exceptions: Exceptions,
        **options: Any,
    ) -> None:
        super().__init__(exporter, **options)
        self._failed: Final = failed
        self._exceptions: Final = exceptions

    def on_end(self, span: ReadableSpan) -> None:
        if len(span._events):
            span = self._exceptions.told(span)
        context = span.context
        if context is not None and context.trace_flags & 1:
            self.produced += 1
            self._batch_processor.emit(span)
        elif self._failed is not None:
            for each in self._failed.ended(span):
                self.produced += 1
                self._batch_processor.emit(each)


class _LogProcessor(BatchLogRecordProcessor):
    """The SDK's processor, which counts."""

    produced = 0

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.produced += 1
        super().on_emit(log_record)


class Sdk:
    """Tracer, meter and logger provider of one plan, and their way to the Collector.

    A signal without exporter has no processor and no reader. Its provider is there all the same, so that
    context propagates.
    """

    def __init__(
        self,
        policy: Policy,
        plan: Plan,
        clock: Clock = MONOTONIC,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._plan: Final = plan
        self._outlets: Final = {
            signal: Outlet(signal, exporter, environ)
            for signal, exporter in zip(Signal, plan.exporters, strict=True)
            if exporter
        }
        _check(self._outlets.values())
        resource = ProcessResource({**_policy_attributes(policy), **plan.resource})
        redactor = self.redactor = Redactor(policy)
        self.meter_provider: Final = MeterProvider(
            self._metric_readers(plan), resource, shutdown_on_exit=False
        )
        # Given explicitly: the SDK would measure itself on the global meter provider, which is another one at
        # times.
        meters: dict[str, Any] = {"meter_provider": self.meter_provider}
        self.tracer_provider: Final = _TracerProvider(
            FloeSampler(policy, plan, clock=clock),
            scoped=plan.sampler.scoped,
            id_generator=IdGenerator(),
            resource=resource,
            shutdown_on_exit=False,
            **meters,
        )
        self.logger_provider: Final = LoggerProvider(resource, shutdown_on_exit=False, **meters)
        baggage = BaggageAttributes(plan.baggage, plan.attributes) if plan.baggage else None
        self.failed: FailedOperations | None = None
        """Where operations that are not sampled are recorded all the same, and wait."""
        self._spans: _SpanProcessor | None = None
        if spans := self._outlets.get(Signal.TRACES):
            if plan.sampler.failed.spans:
                self.failed = FailedOperations(plan.sampler.failed, clock)
            export = SpanExport(redactor, spans, plan.attributes)
            exceptions = Exceptions(policy, plan.exceptions, self.logger_provider)
            self._spans = _SpanProcessor(
                export, self.failed, exceptions, **_options(plan.batches.spans), **meters
            )
            if baggage:
                self.tracer_provider.add_span_processor(BaggageSpanProcessor(baggage))
            self.tracer_provider.add_span_processor(self._spans)
            self.tracer_provider.export = export
        self._logs: _LogProcessor | None = None
        if logs := self._outlets.get(Signal.LOGS):
            self._logs = _LogProcessor(LogExport(redactor, logs), **_options(plan.batches.logs), **meters)
            if baggage:
                self.logger_provider.add_log_record_processor(BaggageLogProcessor(baggage))
            self.logger_provider.add_log_record_processor(self._logs)
        self.tracer: Final = self.tracer_provider.get_tracer(SCOPE, CONTRACT_VERSION, schema_url=SCHEMA_URL)
        self._record: Final = _recorders(
            self.meter_provider.get_meter(SCOPE, CONTRACT_VERSION, SCHEMA_URL), plan
        )
        self._closed = False
        self.in_flight: InFlight | None = None
        """The operations that are open."""
        if self._spans is not None:
            self.in_flight = InFlight(self, policy, plan.operations, clock)
            self.in_flight.start()

    def record(self, measurements: Iterable[Measurement], context: Context) -> None:
        """Records measurements on the plan's instruments."""
        for measurement in measurements:
            record = self._record.get(measurement.instrument)
            if record:
                record(measurement.value, measurement.attributes, context)
            else:
                warn_once(
                    f"instrument {measurement.instrument}",
                    "the plan has no instrument %s; what is measured on it is lost",
                    measurement.instrument,
                )

    def counts(self) -> dict[str, Counts]:
        """What was produced, delivered, dropped and waits, by signal. Exact while nothing is on its way."""
        counts: dict[str, Counts] = {}
        for signal, outlet in self._outlets.items():
            delivery = outlet.delivery
            processor = {Signal.TRACES: self._spans, Signal.LOGS: self._logs}.get(signal)
            if processor:
                counts[signal.value] = _counts(processor, delivery)
            else:
                points = delivery.delivered + delivery.failed + delivery.exporting
                counts[signal.value] = Counts(points, delivery.delivered, delivery.failed, delivery.exporting)
        return counts

    def flush(self, seconds: float) -> bool:
        """Sends what waits. True if and only if all of it was delivered in time."""
        deliveries = [outlet.delivery for outlet in self._outlets.values()]
        failed = [delivery.failed for delivery in deliveries]
        batches = [processor.force_flush for processor in (self._spans, self._logs) if processor]
        finished = _in_parallel([*batches, self.meter_provider.force_flush], seconds)
        return finished and failed == [delivery.failed for delivery in deliveries]

    def shutdown(self, seconds: float) -> None:
        """Sends what waits and ends, within the time. What cannot be delivered is reported in one warning."""
        if self._closed:
            return
        self._closed = True
        if self.in_flight is not None:
            self.in_flight.close()
        # A process that ends has no time for the SDK's seconds of backing off: each batch gets one attempt.
        for outlet in self._outlets.values():
            outlet.hurry()
        in_time = _in_parallel(
            [self.tracer_provider.shutdown, self.logger_provider.shutdown, self.meter_provider.shutdown],
            seconds,
        )
        lost: dict[Signal, int] = {}
        for signal, outlet in self._outlets.items():
            if signal is Signal.METRICS:
                lost[signal] = outlet.delivery.failing or not in_time
            else:
                counts = self.counts()[signal.value]
                lost[signal] = max(0, counts.produced - counts.delivered)
        if any(lost.values()):
            missing = (outlet.endpoint for signal, outlet in self._outlets.items() if lost[signal])
            logger.warning(
                "warning[FLOE-X001]: %s and %s were not delivered to %s%s\n"
                "  help: `floe-telemetry doctor MANIFEST` finds out why; "
                "OTEL_SDK_DISABLED=true sends nothing",
                _counted(lost.get(Signal.TRACES, 0), "span"),
                _counted(lost.get(Signal.LOGS, 0), "log record"),
                " and ".join(dict.fromkeys(missing)),
                ", nor the last metrics" if lost.get(Signal.METRICS) else "",
            )

    def _metric_readers(self, plan: Plan) -> list[MetricReader]:
        exporter, outlet = plan.exporters.metrics, self._outlets.get(Signal.METRICS)
        if exporter is None or outlet is None:
            return []
        return [
            PeriodicExportingMetricReader(
                MetricExport(self.redactor, outlet),
                export_interval_millis=plan.interval,
                export_timeout_millis=exporter.timeout,
            )
        ]


def _counted(count: int, noun: str) -> str:
    """`1 span`, `2 spans`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _options(batch: Batch) -> dict[str, Any]:
    return {
        "max_queue_size": batch.queue,
        "max_export_batch_size": batch.size,
        "schedule_delay_millis": batch.delay,
    }


def _check(outlets: Iterable[Outlet]) -> None:
    """Raises [`UnresolvedError`] with all that any of them needs and that is not there."""
    problems: list[Problem] = []
    for outlet in outlets:
        try:
            outlet.check()
        except UnresolvedError as unresolved:
            problems += unresolved.problems
    if problems:
        raise UnresolvedError(*dict.fromkeys(problems))


def _policy_attributes(policy: Policy) -> dict[str, str]:
    """The policy that decides in this process."""
    info = policy.describe()
    return {
        "floe.policy.name": info.name,
        "floe.policy.version": info.version,
        "floe.policy.digest": policy.digest[:16],
    }


def _recorders(meter: metrics.Meter, plan: Plan) -> dict[str, Callable[[float, Attributes, Context], None]]:
    recorders: dict[str, Callable[[float, Attributes, Context], None]] = {}
    for each in plan.instruments:
        if each.kind is InstrumentKind.COUNTER:
            recorders[each.name] = meter.create_counter(each.name, each.unit, each.description).add
        else:
            recorders[each.name] = meter.create_histogram(
                each.name, each.unit, each.description, explicit_bucket_boundaries_advisory=each.boundaries
            ).record
    return recorders


def _counts(processor: _SpanProcessor | _LogProcessor, delivery: Delivery) -> Counts:
    # The SDK tells nobody how much its queue dropped: it is what neither waits nor reached the exporter.
    queued = len(processor._batch_processor._queue) + delivery.exporting
    dropped = max(0, processor.produced - delivery.delivered - queued)
    return Counts(processor.produced, delivery.delivered, dropped, queued)


def _in_parallel(calls: Iterable[Callable[[], Any]], seconds: float) -> bool:
    """Runs the calls in threads that may be left behind: the SDK's own time limits do not hold. True if all
    ended.
    """
    deadline = time.monotonic() + seconds
    ended: list[bool] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:
            warn_once(f"export {error}", "telemetry could not be sent: %s", error)
        else:
            ended.append(True)

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return len(ended) == len(threads)
