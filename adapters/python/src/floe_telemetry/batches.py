"""The queues between the application and the exports, and the threads that empty them."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk import metrics
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from floe_telemetry._once import warn_once
from floe_telemetry._platform import after_fork_in_child
from floe_telemetry.account import DropReason
from floe_telemetry.contract import Batch
from floe_telemetry.exceptions import Exceptions
from floe_telemetry.failed import FailedOperations
from floe_telemetry.outlet import Outlet
from floe_telemetry.worker import Worker

_INSTRUMENTS: Final = (
    metrics.Counter,
    metrics.UpDownCounter,
    metrics.Histogram,
    metrics._Gauge,
    metrics.ObservableCounter,
    metrics.ObservableUpDownCounter,
    metrics.ObservableGauge,
)


class Batches:
    """The queue of one signal. A full one refuses what comes: nobody waits for room."""

    def __init__(self, outlet: Outlet, plan: Batch) -> None:
        self._outlet: Final = outlet
        self._plan: Final = plan
        self._queue: deque[Any] = deque()
        self._woken = self._closed = False
        self.worker: Final = Worker(
            f"floe-telemetry-{outlet.signal}", plan.delay / 1000, self._export_all, outlet.load
        )
        self.worker.start()
        after_fork_in_child(self._forked)

    def put(self, item: Any) -> None:
        """Queues an item. Never blocks, and says nothing: the worker does."""
        account, queue = self._outlet.account, self._queue
        account.produce(1)
        if self._closed:
            return  # the account knows
        if len(queue) >= self._plan.queue:
            account.drop(1, DropReason.QUEUE_FULL)
            return
        queue.append(item)
        if self.worker.idle:  # in a forked child
            self.worker.start()
        if len(queue) >= self._plan.size and not self._woken:
            self._woken = True
            self.worker.wake(self._export_full)

    def flush(self, seconds: float) -> bool:
        """Exports what waits. True if it was tried in time."""
        if self.worker.is_current:
            self._export_all()
            return True
        return self.worker.ask(self._export_all).wait(seconds)

    def close(self) -> None:
        """Exports what waits; what comes from now on is dropped."""
        self._closed = True
        self.flush(self._outlet.left())

    def _export_full(self) -> None:
        self._woken = False
        self._export(self._plan.size)

    def _export_all(self) -> None:
        self._export(1)

    def _export(self, least: int) -> None:
        """Exports batches as long as this many items wait."""
        while len(self._queue) >= least:
            items = min(len(self._queue), self._plan.size)
            self._outlet.export([self._queue.popleft() for _ in range(items)])

    def _forked(self) -> None:
        """What waits in the parent is the parent's."""
        self._queue = deque()
        self._woken = False
        self.worker.clear()


class SpanBatches(SpanProcessor):
    """Queues spans that are sampled, and lets operations that are not wait for a failure."""

    def __init__(self, batches: Batches, failed: FailedOperations | None, exceptions: Exceptions) -> None:
        self._batches: Final = batches
        self._failed: Final = failed
        self._exceptions: Final = exceptions

    def on_end(self, span: ReadableSpan) -> None:
        """A span ended."""
        try:
            if len(span._events):
                span = self._exceptions.told(span)
            context = span.context
            if context is not None and context.trace_flags & 1:
                self._batches.put(span)
            elif self._failed is not None:
                for each in self._failed.ended(span):
                    self._batches.put(each)
        except Exception as error:  # this is the application's own call
            warn_once("on_end", "a span that ended is not exported: %r", error)

    def shutdown(self) -> None:
        """Exports what waits, and takes no more."""
        self._batches.close()

    def force_flush(self, timeout_millis: int | None = 30_000) -> bool:
        """Exports what waits."""
        return self._batches.flush((30_000 if timeout_millis is None else timeout_millis) / 1000)


class LogBatches(LogRecordProcessor):
    """Queues log records."""

    def __init__(self, batches: Batches) -> None:
        self._batches: Final = batches

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """A record is emitted. Its context, which may be large, is not kept."""
        try:
            record = copy.copy(log_record.log_record)
            record.context = Context()
            resource = log_record.resource or Resource({})
            scope, limits = log_record.instrumentation_scope, log_record.limits
            self._batches.put(ReadableLogRecord(record, resource, scope, limits))
        except Exception as error:  # this is the application's own call
            warn_once("on_emit", "a log record is not exported: %r", error)

    def shutdown(self) -> None:
        """Exports what waits, and takes no more."""
        self._batches.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Exports what waits."""
        return self._batches.flush(timeout_millis / 1000)


class Reader(MetricReader):
    """Collects metrics at intervals and exports them."""

    def __init__(self, outlet: Outlet, seconds: float, cardinality: int) -> None:
        super().__init__(cardinality_limits=dict.fromkeys(_INSTRUMENTS, cardinality))
        self._outlet: Final = outlet
        self._closed = False
        self.worker: Final = Worker("floe-telemetry-metrics", seconds, self.collect, outlet.load)
        self.worker.start()
        after_fork_in_child(self._forked)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:
        points = self._outlet.items(metrics_data)
        if points:
            self._outlet.account.produce(points)
            self._outlet.export(metrics_data)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Exports what was measured."""
        if self.worker.is_current:
            self.collect()
            return True
        return self.worker.ask(self.collect).wait(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Exports what was measured, for the last time."""
        if not self._closed:
            self._closed = True
            self.force_flush(min(timeout_millis, self._outlet.left() * 1000))

    def _forked(self) -> None:
        self.worker.clear()
        if not self._closed:
            self.worker.start()  # nobody tells a reader that something is measured
