"""FailedOperations: operations of traces that were not sampled wait here, in case one of them fails.

A sampler cannot know how a trace will end. So floe's operations are recorded though they are not sampled, and
when one of them fails, those of its trace go out: the ones that ended before it and the ones that end later,
such as its ancestors. What is exported of such a trace has no gap between operations of this process.
"""

from __future__ import annotations

import copy
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from weakref import WeakMethod

from opentelemetry.context import Context, create_key, set_value
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags

from floe_telemetry.attributes import merged
from floe_telemetry.clock import MONOTONIC, Clock

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from floe_telemetry.contract import Buffer

_OPERATION: Final = create_key("floe-operation")


def as_operation(context: Context) -> Context:
    """The context to start an operation's span in."""
    return set_value(_OPERATION, True, context)


def is_operation(context: Context | None) -> bool:
    """Whether the span that starts in this context is an operation's."""
    return context is not None and _OPERATION in context


class _Trace:
    """The operations of one trace that is not sampled."""

    __slots__ = ("failed", "open", "since", "waiting")

    def __init__(self, since: float) -> None:
        self.since = since
        """When the first of what waits ended, or when the trace failed."""
        self.open = 0
        self.failed = False
        self.waiting: deque[ReadableSpan] = deque()


class FailedOperations:
    """What waits, within the plan's bounds: it never holds more spans or traces than `plan.spans`."""

    def __init__(self, plan: Buffer, clock: Clock = MONOTONIC) -> None:
        self._plan: Final = plan
        self._clock: Final = clock
        after_fork = WeakMethod(self._clear)
        os.register_at_fork(after_in_child=lambda: (method := after_fork()) and method())
        self._clear()

    def _clear(self) -> None:
        """A forked child has operations of its own only; the parent sees to what waits."""
        self._lock = threading.Lock()
        self._traces: OrderedDict[int, _Trace] = OrderedDict()
        self._waiting = 0
        self._expires = 0.0

    def started(self, context: SpanContext) -> None:
        """An operation starts. One that is sampled needs nobody to keep it."""
        if context.trace_flags.sampled:
            return
        with self._lock:
            self._trace(context.trace_id).open += 1

    def ended(self, span: ReadableSpan) -> Sequence[ReadableSpan]:
        """An operation that is not sampled ended. Answers with what goes out now, as it goes out."""
        context = span.get_span_context()
        if context is None:
            return ()
        with self._lock:
            trace = self._trace(context.trace_id)
            trace.open = max(0, trace.open - 1)
            if span.status.status_code is StatusCode.ERROR and not trace.failed:
                trace.failed = True
                trace.since = self._clock()
            if trace.failed:
                released = [*self._take(trace), span]
                return [self._sampled(each) for each in released]
            if trace.open:
                self._keep(trace, span)
            else:
                self._forget(context.trace_id)
            return ()

    def _trace(self, trace_id: int) -> _Trace:
        now = self._clock()
        self._expire(now)
        trace = self._traces.get(trace_id)
        if trace is None:
            while len(self._traces) >= max(1, self._plan.spans):
                self._forget(next(iter(self._traces)))
            trace = self._traces[trace_id] = _Trace(now)
        return trace

    def _keep(self, trace: _Trace, span: ReadableSpan) -> None:
        if not trace.waiting:
            trace.since = self._clock()
        trace.waiting.append(span)
        self._waiting += 1
        while self._waiting > self._plan.spans:
            oldest_id, oldest = next((i, each) for i, each in self._traces.items() if each.waiting)
            if oldest is trace:
                trace.waiting.popleft()
                self._waiting -= 1
            else:
                self._forget(oldest_id)

    def _expire(self, now: float) -> None:
        """Forgets what has waited too long; a look once a second is enough."""
        if now < self._expires:
            return
        self._expires = now + 1.0
        before = now - self._plan.seconds
        for trace_id, trace in list(self._traces.items()):
            if (trace.failed or trace.waiting) and trace.since < before:
                self._take(trace)
                trace.failed = False
                if not trace.open:
                    self._forget(trace_id)

    def _forget(self, trace_id: int) -> None:
        self._take(self._traces.pop(trace_id))

    def _take(self, trace: _Trace) -> list[ReadableSpan]:
        taken = list(trace.waiting)
        trace.waiting.clear()
        self._waiting -= len(taken)
        return taken

    def _sampled(self, span: ReadableSpan) -> ReadableSpan:
        """A copy that is exported. Its tracestate has no `th`, as it was, and its attributes say why it is
        there.
        """
        sampled = copy.copy(span)
        context = span.get_span_context()
        if context is not None:
            flags = TraceFlags(context.trace_flags | TraceFlags.SAMPLED)
            sampled._context = SpanContext(
                context.trace_id, context.span_id, context.is_remote, flags, context.trace_state
            )
        sampled._attributes = merged(span._attributes, {}, self._plan.attributes)
        return sampled
