"""Operations: floe's units of work, as spans and measurements."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, StatusCode

from floe_telemetry._once import warn_once
from floe_telemetry.baggage_text import baggage_text, with_baggage
from floe_telemetry.contract import Beginning, Ending, ExceptionInfo, OperationKind, Outcome, SpanKind, Status
from floe_telemetry.failed import as_operation, enclosed, visible_parent
from floe_telemetry.ids import Ids, given
from floe_telemetry.wrapping import running

if TYPE_CHECKING:
    from floe_telemetry.policy import Policy
    from floe_telemetry.provider import TelemetryProvider
    from floe_telemetry.sdk import Sdk

P = ParamSpec("P")
R = TypeVar("R")

_STATUS: Final = {Status.UNSET: StatusCode.UNSET, Status.OK: StatusCode.OK, Status.ERROR: StatusCode.ERROR}
_NANOSECONDS: Final = 1_000_000_000
_MOST_CAUSES: Final = 8


class Operation:
    """One unit of work. Use it as a context manager, as a decorator, or by `begin` and `end`.

    It never raises by itself: where the policy fails, that is logged once and the span goes on without its
    decision. An exception of the work is recorded, redacted, and raised again.
    """

    def __init__(
        self, provider: TelemetryProvider, kind: OperationKind, name: str, facts: dict[str, object]
    ) -> None:
        self._provider: Final = provider
        self.kind: Final = kind
        self.name: Final = name
        self._facts: Final = dict(facts)
        self._learnt: dict[str, object] = self._facts
        """What the policy is told at the end."""
        self._status: str | None = None
        self.started = 0
        """Nanoseconds since 1970."""
        self.beginning = Beginning(name, SpanKind.INTERNAL, {}, [])
        """What the policy said of its start."""
        self._clock = 0.0
        self._ended = False
        self._adopted = False
        self._token: Any = None
        self.span: Span = trace.INVALID_SPAN
        self.context: Context = Context()
        """The context of the operation's children: its span, and baggage with floe's members."""

    def begin(
        self,
        *,
        start_time: int | None = None,
        parent: Context | None = None,
        links: Sequence[Link] = (),
        ids: Ids | None = None,
        span: Span | None = None,
        outlived: bool = False,
    ) -> Operation:
        """Starts the span, by default now and under the current context, or where that has no span, under the
        one that this process was started with. Times are nanoseconds since 1970.

        `ids` are given to the span where others must know them. A `span` that somebody else started, and will
        end, is described instead of starting one. An operation is `outlived` if somebody else tells of it
        should this process die.
        """
        current = otel_context.get_current() if parent is None else parent
        self._clock = time.perf_counter()
        self.started = start_time or time.time_ns()
        self.span, self.context = trace.get_current_span(current), current
        try:
            context = _continued(current, self._provider.context) if parent is None else parent
            self._begin(context, links, ids, span, outlived)
        except Exception as error:
            warn_once(f"begin {type(error).__name__}", "an operation is not told of: %r", error)
        return self

    def _begin(
        self, context: Context, links: Sequence[Link], ids: Ids | None, span: Span | None, outlived: bool
    ) -> None:
        sdk, policy = self._provider.sdk, self._provider.policy
        if sdk is None or policy is None:
            self.span, self.context = trace.get_current_span(context), context
            return
        try:
            beginning = policy.begin(self.kind, self.name, self._facts)
            context = with_baggage(policy.child_baggage(baggage_text(context)), context)
        except Exception as error:
            warn_once("begin", "%s; operations have plain names", error)
            beginning = Beginning(f"{self.kind} {self.name}", SpanKind.INTERNAL, {}, list(self._facts))
        self._learnt = {name: self._facts[name] for name in beginning.recalls if name in self._facts}
        if span is not None:
            self._adopted = True
            self.span, self.context = span, trace.set_span_in_context(span, context)
            span.update_name(beginning.name)
            span.set_attributes(beginning.attributes)
            return
        with given(ids) if ids else contextlib.nullcontext():
            self.span = sdk.tracer.start_span(
                beginning.name,
                as_operation(context) if sdk.failed else context,
                trace.SpanKind[beginning.kind.name],
                beginning.attributes,
                links,
                self.started,
                record_exception=False,
                set_status_on_exception=False,
            )
        self.beginning = beginning
        if sdk.failed and self.span.is_recording():
            sdk.failed.started(self.span.get_span_context(), visible_parent(context))
        self.context = trace.set_span_in_context(self.span, context)
        if sdk.failed:
            self.context = enclosed(self.context, self.span.get_span_context())
        if sdk.in_flight is not None:
            sdk.in_flight.began(self, outlived=outlived)

    def stage(self, name: str, **facts: object) -> Operation:
        """A stage of this compile: an operation below it, where the compile is the current one."""
        return self._provider.operation(OperationKind.COMPILE_STAGE, name, **facts)

    def attach(self) -> None:
        """Makes the operation's context the current one of this thread."""
        self._token = otel_context.attach(self.context)

    def detach(self) -> None:
        """Ends what `attach` began. In another thread or task than that one it does nothing."""
        token, self._token = self._token, None
        if token is not None and otel_context.get_current() is self.context:
            otel_context.detach(token)

    def add(self, **facts: object) -> None:
        """Adds facts that were learnt since the start."""
        self._learnt.update(facts)

    def end(
        self,
        status: str | None = None,
        *,
        error: BaseException | ExceptionInfo | None = None,
        end_time: int | None = None,
        **facts: object,
    ) -> Outcome | None:
        """Ends the span and records measurements; a second call does nothing.

        `status` is the tool's own word for how it ended, by default `success`, or what the error means.
        """
        if self._ended:
            return None
        self._ended = True
        sdk, policy = self._provider.sdk, self._provider.policy
        if sdk is None or policy is None:
            return None
        word = status or self._status or _word(error)
        try:
            return self._end(sdk, policy, word, error, end_time, facts)
        except Exception as failure:
            warn_once(f"end {type(failure).__name__}", "an operation is not told of: %r", failure)
            return _outcome(word)

    def _end(
        self,
        sdk: Sdk,
        policy: Policy,
        word: str,
        error: BaseException | ExceptionInfo | None,
        end_time: int | None,
        facts: dict[str, object],
    ) -> Outcome:
        if sdk.in_flight is not None:
            sdk.in_flight.ended(self)
        self._learnt.update(facts)
        now = time.time_ns() if end_time is None else end_time
        # The wall clock may be set back while the work runs; it is right only where both times were given.
        elapsed = (now - self.started) / _NANOSECONDS if end_time else time.perf_counter() - self._clock
        exception = exception_info(error) if isinstance(error, BaseException) else error
        try:
            ending = policy.end(self.kind, self.name, word, max(0.0, elapsed), self._learnt, exception)
        except Exception as failure:
            warn_once("end", "%s; operations end without outcome", failure)
            ending = _plain_ending(word, exception)
        conclude(self.span, ending, now)
        if not self._adopted:
            self.span.end(now)
        sdk.record(ending.measurements, self.context)
        return ending.outcome

    def set_status(self, status: str) -> None:
        """The tool's own word for how the operation ends, where no exception says it."""
        self._status = status

    def __enter__(self) -> Operation:
        self.begin()
        self.attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.detach()
        self.end(error=error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Makes each call of a function an operation, which lasts until its work is done: until a coroutine
        or an awaitable has answered, a generator is exhausted or closed, or a context manager is left.

        Raises `TypeError` for a class, for what cannot be called, and for Dagster's definitions: decorate the
        function below `@op` or `@asset`.
        """
        if isinstance(function, (staticmethod, classmethod)):
            return cast("Callable[P, R]", type(function)(self(function.__func__)))
        found = _refused(function)
        if found:
            raise TypeError(
                f"error[FLOE-H008]: the operation {self.name!r} decorates {found}\n"
                "  help: put the decorator next to the function that does the work, below all others"
            )
        return cast("Callable[P, R]", running(function, self._again))

    def _again(self) -> Operation:
        return Operation(self._provider, self.kind, self.name, self._facts).begin()


def _refused(function: object) -> str | None:
    """What is decorated, where its calls could not be operations."""
    kind = type(function)
    if isinstance(function, type):
        return f"the class {function.__qualname__}"
    if not callable(function):
        return f"a {kind.__qualname__}, which cannot be called"
    if kind.__module__.partition(".")[0] == "dagster":
        return f"Dagster's {kind.__qualname__}"
    return None


def conclude(span: Span, ending: Ending, now: int) -> None:
    """What the policy said of an operation's end, on its span."""
    if not span.is_recording():
        return
    span.set_attributes(ending.attributes)
    if ending.exception:
        texts = (
            ("exception.type", ending.exception.type),
            ("exception.message", ending.exception.message),
            ("exception.stacktrace", ending.exception.stacktrace),
        )
        span.add_event("exception", {name: text for name, text in texts if text}, now)
    if ending.status is not Status.UNSET:
        span.set_status(_STATUS[ending.status], ending.description or None)


def _continued(current: Context, process: Context) -> Context:
    """The current context; where it has no span, in the trace that this process was started in, which a new
    thread does not inherit. What the application put there stays.
    """
    if not process or trace.get_current_span(current).get_span_context().is_valid:
        return current
    context = current if baggage.get_all(current) else with_baggage(baggage_text(process), current)
    started_in = trace.get_current_span(process)
    if started_in.get_span_context().is_valid:
        context = trace.set_span_in_context(started_in, context)
    return context


def exception_info(error: BaseException) -> ExceptionInfo:
    """The exception as OpenTelemetry describes it: qualified class name, message, stack trace."""
    return ExceptionInfo(
        type_name(type(error)),
        _message(error),
        _stacktrace(error),
        tuple(type_name(type(cause)) for cause in _causes(error)),
    )


def _causes(error: BaseException) -> list[BaseException]:
    """What caused it, from the nearest to the root; of a group its first exception, and that one's causes."""
    causes: list[BaseException] = []
    next_one: BaseException | None = error
    while next_one is not None and len(causes) < _MOST_CAUSES:
        if isinstance(next_one, BaseExceptionGroup):
            next_one = next_one.exceptions[0]
        else:
            next_one = next_one.__cause__ or (None if next_one.__suppress_context__ else next_one.__context__)
        if next_one is None or any(next_one is known for known in (error, *causes)):
            break
        causes.append(next_one)
    return causes


def type_name(kind: type[BaseException]) -> str:
    """The class name, qualified unless it is a built-in one."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # whose __str__ is broken
        return ""


def _stacktrace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:  # whose notes or causes are broken
        return ""


def _word(error: BaseException | ExceptionInfo | None) -> str:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "success"
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        return "cancelled"
    # Looked up, not imported: asyncio is a slow import, and who never imported it was not cancelled by it.
    asyncio = sys.modules.get("asyncio")
    return "cancelled" if asyncio and isinstance(error, asyncio.CancelledError) else "error"


def _outcome(word: str) -> Outcome:
    """What a word means where the policy cannot say."""
    plain = {"pass": Outcome.SUCCESS, "warn": Outcome.WARNING, "fail": Outcome.FAILURE}
    try:
        return plain.get(word) or Outcome(word)
    except ValueError:
        return Outcome.ERROR


def _plain_ending(word: str, exception: ExceptionInfo | None) -> Ending:
    """How an operation ends where the policy cannot say: with no text that it did not redact."""
    outcome = _outcome(word)
    failed = outcome in (Outcome.FAILURE, Outcome.ERROR)
    return Ending(
        outcome,
        Status.ERROR if failed else Status.UNSET,
        exception.type if exception else "",
        {},
        None,
        [],
    )
