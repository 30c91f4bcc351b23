"""The OpenTelemetry SDK, set up by a plan: imported only by a process that has telemetry on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.trace import SpanProcessor, Tracer, TracerProvider

from floe_telemetry._command import command
from floe_telemetry._once import warn, warn_once
from floe_telemetry.account import NO_ITEMS, Counts
from floe_telemetry.baggage_attributes import (
    BaggageAttributes,
    BaggageLogProcessor,
    BaggageSpanProcessor,
)
from floe_telemetry.batches import Batches, LogBatches, Reader, SpanBatches
from floe_telemetry.bounds import bounded
from floe_telemetry.clock import MONOTONIC, Clock
from floe_telemetry.contract import (
    CONTRACT_VERSION,
    SCHEMA_URL,
    Measurement,
    Plan,
    Signal,
)
from floe_telemetry.exceptions import Exceptions
from floe_telemetry.export import LogFormat, MetricFormat, SpanFormat
from floe_telemetry.failed import FailedOperations
from floe_telemetry.id_generator import IdGenerator
from floe_telemetry.inflight import InFlight
from floe_telemetry.metrics import recorder
from floe_telemetry.outlet import Format, Outlet
from floe_telemetry.policy import Policy
from floe_telemetry.redaction import Redactor
from floe_telemetry.reference import Problem, UnresolvedError
from floe_telemetry.resource import ProcessResource
from floe_telemetry.sampler import FloeSampler
from floe_telemetry.worker import Job, Worker

SCOPE: Final = "floe-telemetry"
"""Name of the scope of floe's own operations."""


class _TracerProvider(TracerProvider):
    """The SDK's provider, which tells the sampler the scope where that matters, and the exporter whether
    others see spans.
    """

    spans: SpanFormat | None = None
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
        if self.spans is not None:
            self.spans.shared = True
        super().add_span_processor(span_processor)


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
        plan = self.plan = bounded(plan)
        redactor = self.redactor = Redactor(policy)
        self.attributes: Final = plan.attributes
        """What all that this process exports has among its attributes."""
        forms: dict[Signal, Format] = {
            Signal.TRACES: (spans := SpanFormat(redactor, plan.attributes)),
            Signal.METRICS: MetricFormat(redactor),
            Signal.LOGS: LogFormat(redactor),
        }
        self._outlets: Final = {
            signal: Outlet(signal, exporter, forms[signal], redactor.text, environ)
            for signal, exporter in zip(Signal, plan.exporters, strict=True)
            if exporter
        }
        _check(self._outlets.values())
        resource = ProcessResource({**_policy_attributes(policy), **plan.resource})
        self._workers: Final[dict[Signal, Worker]] = {}
        readers: list[MetricReader] = []
        if metrics_out := self._outlets.get(Signal.METRICS):
            reader = Reader(metrics_out, plan.interval / 1000, plan.cardinality)
            readers.append(reader)
            self._workers[Signal.METRICS] = reader.worker
        self.meter_provider: Final = MeterProvider(readers, resource, shutdown_on_exit=False)
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
        if spans_out := self._outlets.get(Signal.TRACES):
            if plan.sampler.failed.spans:
                self.failed = FailedOperations(plan.sampler.failed, clock)
            batches = Batches(spans_out, plan.batches.spans)
            self._workers[Signal.TRACES] = batches.worker
            if baggage:
                self.tracer_provider.add_span_processor(BaggageSpanProcessor(baggage))
            exceptions = Exceptions(policy, plan.exceptions, self.logger_provider)
            self.tracer_provider.add_span_processor(SpanBatches(batches, self.failed, exceptions))
            self.tracer_provider.spans = spans
        if logs_out := self._outlets.get(Signal.LOGS):
            batches = Batches(logs_out, plan.batches.logs)
            self._workers[Signal.LOGS] = batches.worker
            if baggage:
                self.logger_provider.add_log_record_processor(BaggageLogProcessor(baggage))
            self.logger_provider.add_log_record_processor(LogBatches(batches))
        self.tracer: Final = self.tracer_provider.get_tracer(SCOPE, CONTRACT_VERSION, schema_url=SCHEMA_URL)
        self.meter: Final = self.meter_provider.get_meter(SCOPE, CONTRACT_VERSION, SCHEMA_URL)
        self._record: Final = {each.name: recorder(self.meter, each) for each in plan.instruments}
        self._closed = False
        self.in_flight: InFlight | None = None
        """The operations that are open."""
        if Signal.TRACES in self._outlets:
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
        """What became of the items of each signal. Of one that is not exported, there are none."""
        outlets = ((signal, self._outlets.get(signal)) for signal in Signal)
        return {signal.value: outlet.account.counts() if outlet else NO_ITEMS for signal, outlet in outlets}

    def flush(self, seconds: float) -> bool:
        """Exports what waits. True if and only if all of it was delivered in time."""
        lost = [counts.lost for counts in self.counts().values()]
        jobs = [(worker, worker.job) for worker in self._workers.values()]
        return _all_done(jobs, seconds) and lost == [counts.lost for counts in self.counts().values()]

    def shutdown(self, seconds: float) -> None:
        """Exports what waits and ends, within the time. What is lost is reported in one warning."""
        if self._closed:
            return
        self._closed = True
        try:
            if self.in_flight is not None:
                self.in_flight.close()
            for outlet in self._outlets.values():
                outlet.end(seconds)
            # By threads that are there, since an ending interpreter starts none; and not by this one, since
            # processors of others may take longer than there is time.
            spare = next(iter(self._workers.values()), Worker("floe-telemetry", seconds, lambda: None))
            ends: dict[Signal, Job] = {
                Signal.TRACES: self.tracer_provider.shutdown,
                Signal.LOGS: self.logger_provider.shutdown,
                Signal.METRICS: self.meter_provider.shutdown,
            }
            _all_done([(self._workers.get(signal, spare), end) for signal, end in ends.items()], seconds)
            spare.end()
        finally:
            for worker in self._workers.values():
                worker.end()
            for outlet in self._outlets.values():
                outlet.close()
        self._sum_up()

    def _sum_up(self) -> None:
        """Says in one line what was lost since the process began."""
        counts = self.counts()
        losing = [outlet for outlet in self._outlets.values() if outlet.account.counts().lost]
        if not losing:
            return
        reasons: dict[str, int] = {}
        for each in counts.values():
            for reason, items in each.dropped.items():
                reasons[reason] = reasons.get(reason, 0) + items
        points = counts[Signal.METRICS].lost
        words = next(filter(None, (outlet.last_words for outlet in losing)), "")
        warn(
            "warning[FLOE-X001]: %s and %s were not delivered to %s%s (%s)%s\n"
            "  help: %s finds out why; OTEL_SDK_DISABLED=true sends nothing",
            _counted(counts[Signal.TRACES].lost, "span"),
            _counted(counts[Signal.LOGS].lost, "log record"),
            " and ".join(dict.fromkeys(outlet.endpoint for outlet in losing)),
            f", nor were {_counted(points, 'data point')}" if points else "",
            ", ".join(f"{reason}: {items}" for reason, items in reasons.items()),
            f": {words}" if words else "",
            command("doctor MANIFEST"),
        )


def _counted(count: int, noun: str) -> str:
    """`1 span`, `2 spans`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _all_done(jobs: Iterable[tuple[Worker, Job]], seconds: float) -> bool:
    """Has jobs done by workers. True if all were in time."""
    deadline = time.monotonic() + seconds
    asked = [worker.ask(job) for worker, job in jobs]
    return all([done.wait(max(0.0, deadline - time.monotonic())) for done in asked])


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
