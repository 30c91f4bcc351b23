"""The OpenTelemetry SDK, set up by a plan: imported only by a process that has telemetry on."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
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
from floe_telemetry.contract import CONTRACT_VERSION, InstrumentKind, Measurement, Plan
from floe_telemetry.export import (
    SIGNALS,
    Delivery,
    LogExport,
    MetricExport,
    Outlet,
    SpanExport,
    check_protocol,
)
from floe_telemetry.failed import FailedOperations
from floe_telemetry.policy import Policy
from floe_telemetry.redaction import Redactor
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

    def __init__(self, exporter: SpanExporter, failed: FailedOperations | None, **options: Any) -> None:
        super().__init__(exporter, **options)
        self._failed: Final = failed

    def on_end(self, span: ReadableSpan) -> None:
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
    """Tracer, meter and logger provider of one plan, and their way to the Collector."""

    def __init__(self, policy: Policy, plan: Plan, clock: Clock = MONOTONIC) -> None:
        check_protocol(plan.exporter)
        self._plan: Final = plan
        self._outlets: Final = {signal: Outlet(signal, plan.exporter) for signal in SIGNALS}
        resource = Resource.create({**_process_attributes(policy), **plan.resource})
        batch: dict[str, Any] = {
            "max_queue_size": plan.batch.queue,
            "max_export_batch_size": plan.batch.size,
            "schedule_delay_millis": plan.batch.delay,
        }
        reader = PeriodicExportingMetricReader(
            MetricExport(self._outlets["metrics"]),
            export_interval_millis=plan.interval,
            export_timeout_millis=plan.exporter.timeout,
        )
        self.meter_provider: Final = MeterProvider([reader], resource, shutdown_on_exit=False)
        # Given explicitly: the SDK would measure itself on the global meter provider, which is another one at
        # times.
        meters: dict[str, Any] = {"meter_provider": self.meter_provider}
        redactor = Redactor(policy)
        failed = plan.sampler.failed
        self.failed: Final = FailedOperations(failed, clock) if failed.spans else None
        """Where operations that are not sampled are recorded all the same, and wait."""
        export = SpanExport(redactor, self._outlets["traces"], plan.attributes)
        self._spans: Final = _SpanProcessor(
            export,
            self.failed,
            **batch,
            **meters,
        )
        self.tracer_provider: Final = _TracerProvider(
            FloeSampler(policy, plan, clock=clock),
            scoped=plan.sampler.scoped,
            resource=resource,
            shutdown_on_exit=False,
            **meters,
        )
        self._logs: Final = _LogProcessor(LogExport(redactor, self._outlets["logs"]), **batch, **meters)
        self.logger_provider: Final = LoggerProvider(resource, shutdown_on_exit=False, **meters)
        if plan.baggage:
            attributes = BaggageAttributes(plan.baggage, plan.attributes)
            self.tracer_provider.add_span_processor(BaggageSpanProcessor(attributes))
            self.logger_provider.add_log_record_processor(BaggageLogProcessor(attributes))
        self.tracer_provider.add_span_processor(self._spans)
        self.tracer_provider.export = export
        self.logger_provider.add_log_record_processor(self._logs)
        self.tracer: Final = self.tracer_provider.get_tracer(SCOPE, CONTRACT_VERSION)
        self._record: Final = _recorders(self.meter_provider.get_meter(SCOPE, CONTRACT_VERSION), plan)
        self._closed = False

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
        metrics = self._outlets["metrics"].delivery
        points = metrics.delivered + metrics.failed + metrics.exporting
        return {
            "traces": _counts(self._spans, self._outlets["traces"].delivery),
            "metrics": Counts(points, metrics.delivered, metrics.failed, metrics.exporting),
            "logs": _counts(self._logs, self._outlets["logs"].delivery),
        }

    def flush(self, seconds: float) -> bool:
        """Sends what waits. True if and only if all of it was delivered in time."""
        deliveries = [outlet.delivery for outlet in self._outlets.values()]
        failed = [delivery.failed for delivery in deliveries]
        finished = _in_parallel(
            [self._spans.force_flush, self._logs.force_flush, self.meter_provider.force_flush],
            seconds,
        )
        return finished and failed == [delivery.failed for delivery in deliveries]

    def shutdown(self, seconds: float) -> None:
        """Sends what waits and ends, within the time. What cannot be delivered is reported in one warning."""
        if self._closed:
            return
        self._closed = True
        # A process that ends has no time for the SDK's seconds of backing off: each batch gets one attempt.
        for outlet in self._outlets.values():
            outlet.hurry()
        _in_parallel(
            [self.tracer_provider.shutdown, self.logger_provider.shutdown, self.meter_provider.shutdown],
            seconds,
        )
        counts = self.counts()
        lost = {signal: counts[signal].produced - counts[signal].delivered for signal in ("traces", "logs")}
        if any(lost.values()):
            logger.warning(
                "FLOE-X001: %d spans and %d log records were not delivered to the Collector at %s; "
                "check that it runs there and that this process may reach it, or raise "
                "`observability.telemetry.shutdown_timeout_millis` if it is slow",
                lost["traces"],
                lost["logs"],
                self._plan.exporter.endpoint,
            )


def _process_attributes(policy: Policy) -> dict[str, str | int]:
    info = policy.describe()
    return {
        "process.pid": os.getpid(),
        "service.instance.id": str(uuid.uuid4()),
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
