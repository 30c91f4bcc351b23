"""FailedOperations: operations of traces that were not sampled wait here, in case one of them fails.

A sampler cannot know how a trace will end. So floe's operations are recorded though they are not sampled, and
when one of them fails, those of its trace go out: the ones that ended before it and the ones that end later,
such as its ancestors. What is exported of such a trace has no gap between operations of this process.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags, get_current_span

from floe_telemetry._platform import after_fork_in_child
from floe_telemetry.attributes import merged
from floe_telemetry.clock import MONOTONIC, Clock

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from floe_telemetry.contract import Buffer

_OPERATION: Final = create_key("floe-operation")
_ENCLOSING: Final = create_key("floe-enclosing-operation")


def as_operation(context: Context) -> Context:
    """The context to start an operation's span in."""
    return set_value(_OPERATION, True, context)


def is_operation(context: Context | None) -> bool:
    """Whether the span that starts in this context is an operation's."""
    return context is not None and _OPERATION in context


def enclosed(context: Context, operation: SpanContext) -> Context:
    """The context of an operation's children, which says what operation they are in."""
    return set_value(_ENCLOSING, operation, context)


def visible_parent(context: Context) -> SpanContext | None:
    """The parent to name if the operation that starts in this context goes out though it is not sampled.

    Its parent may be a span that nobody records. Then it is the nearest operation of this process around it
    in the same trace, which goes out as well.
    """
    parent = get_current_span(context).get_span_context()
    if not parent.is_valid:
        return None
    if parent.is_remote or parent.trace_flags.sampled:
        return parent
    operation = get_value(_ENCLOSING, context)
    if isinstance(operation, SpanContext) and operation.trace_id == parent.trace_id:
        return operation
    return None


class _Trace:
    """The operations of one trace that is not sampled."""

    __slots__ = ("failed", "open", "waiting")

    def __init__(self) -> None:
        self.open: dict[int, SpanContext | None] = {}
        """The operations that have not ended, by span id, with their visible parents."""
        self.failed = False
        self.waiting: deque[tuple[float, ReadableSpan]] = deque()
        """What ended, with the time from which it waits."""


class FailedOperations:
    """What waits, within the plan's bounds: it never holds more spans or traces than `plan.spans`."""

    def __init__(self, plan: Buffer, clock: Clock = MONOTONIC) -> None:
        self._plan: Final = plan
        self._clock: Final = clock
        after_fork_in_child(self._clear)
        self._clear()

    def _clear(self) -> None:
        """A forked child has operations of its own only; the parent sees to what waits."""
        # A signal's handler may begin an operation in the midst of another's beginning.
        self._lock = threading.RLock()
        self._traces: OrderedDict[int, _Trace] = OrderedDict()
        self._waiting = 0
        self._expires = 0.0

    def started(self, context: SpanContext, parent: SpanContext | None) -> None:
        """An operation starts, below this visible parent. One that is sampled needs nobody to keep it."""
        if context.trace_flags.sampled:
            return
        with self._lock:
            self._expire()
            trace = self._traces.get(context.trace_id)
            if trace is None:
                # As many operations that are never ended are remembered as spans may wait.
                while len(self._traces) >= max(1, self._plan.spans):
                    self._forget(next(iter(self._traces)))
                trace = self._traces[context.trace_id] = _Trace()
            trace.open[context.span_id] = parent

    def ended(self, span: ReadableSpan) -> Sequence[ReadableSpan]:
        """An operation that is not sampled ended. Answers with what goes out now, as it goes out."""
        context = span.get_span_context()
        if context is None:
            return ()
        failed = span.status.status_code is StatusCode.ERROR
        with self._lock:
            self._expire()
            trace = self._traces.get(context.trace_id)
            if trace is None:  # it was forgotten; what fails goes out all the same
                return [self._sampled(span)] if failed else ()
            parent = trace.open.pop(context.span_id, span.parent)
            if parent is not span.parent:
                span = copy.copy(span)  # other processors have the same object
                span._parent = parent
            trace.failed = trace.failed or failed
            trace.waiting.append((self._clock(), span))
            self._waiting += 1
            released = self._take(trace) if trace.failed else []
            if not trace.open:
                self._forget(context.trace_id)
            while self._waiting > self._plan.spans:
                self._forget_oldest_span()
        return [self._sampled(each) for _, each in released]

    def _forget_oldest_span(self) -> None:
        oldest = next(trace for trace in self._traces.values() if trace.waiting)
        oldest.waiting.popleft()
        self._waiting -= 1

    def _expire(self) -> None:
        """Forgets what has waited too long; a look once a second is enough."""
        now = self._clock()
        if now < self._expires:
            return
        self._expires = now + 1.0
        for trace in self._traces.values():
            while trace.waiting and trace.waiting[0][0] + self._plan.seconds < now:
                trace.waiting.popleft()
                self._waiting -= 1

    def _forget(self, trace_id: int) -> None:
        trace = self._traces.pop(trace_id, None)
        if trace:
            self._take(trace)

    def _take(self, trace: _Trace) -> list[tuple[float, ReadableSpan]]:
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
