"""Calls that run in a context until they are done, whatever a function is: a plain one, or one that answers
with a coroutine, a generator or a context manager, whose work is done later and in steps.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from floe_telemetry._once import warn_once

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound=Executor)


class Scope(Protocol):
    """What a call runs in."""

    context: Context

    def end(self, status: str | None = None, *, error: BaseException | None = None) -> object:
        """The call is done. Never raises."""


class _Kept:
    """A context that nobody waits for."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def end(self, status: str | None = None, *, error: BaseException | None = None) -> None:
        """Nothing to do."""


class _Step:
    """The context in which a call goes on. Between its steps, the caller has its own."""

    def __init__(self, scope: Scope) -> None:
        self._context = scope.context
        self._token: Any = None

    def __enter__(self) -> None:
        self._token = otel_context.attach(self._context)

    def __exit__(self, *_: object) -> None:
        self._context = otel_context.get_current()  # which the call's own spans may have changed
        otel_context.detach(self._token)


def running(function: Callable[..., Any], start: Callable[[], Scope]) -> Callable[..., Any]:
    """The function, with each of its calls in a scope of its own, from the start of the call to the end of
    its work. It is of the same kind: coroutine functions and generator functions stay such.
    """
    called = function if inspect.isroutine(function) or _is_partial(function) else type(function).__call__
    if inspect.isclass(function):
        called = function
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            return await _awaited(start(), function, args, kwargs)

        return run_async
    if inspect.isasyncgenfunction(called):
        return functools.wraps(function)(_generating_async(function, start))
    if inspect.isgeneratorfunction(called) and not _is_awaited(called):

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from _generated(start(), function(*args, **kwargs)))

        return generate

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        scope = start()
        token = otel_context.attach(scope.context)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _leave(scope, token)
            scope.end(error=error)
            raise
        _leave(scope, token)
        return _outlasting(scope, result)

    return run


def _is_partial(function: object) -> bool:
    return isinstance(function, functools.partial)


def _is_awaited(function: Any) -> bool:
    """Whether a generator function is a coroutine by `types.coroutine`."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(inspect.unwrap(function) if inspect.ismethod(function) else function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _leave(scope: Scope, token: Any) -> None:
    if otel_context.get_current() is scope.context:  # what the function made current on purpose stays
        otel_context.detach(token)


async def _awaited(
    scope: Scope, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    token = otel_context.attach(scope.context)
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        _leave(scope, token)
        scope.end(error=error)
        raise
    _leave(scope, token)
    scope.end()
    return result


def _generated(scope: Scope, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """A generator's steps, each in the scope's context."""
    inside = _Step(scope)
    step: Callable[[Any], Any] = generator.send
    argument: Any = None
    while True:
        try:
            with inside:
                yielded = step(argument)
        except StopIteration as stopped:
            scope.end()
            return stopped.value
        except BaseException as error:
            scope.end(error=error)
            raise
        try:
            argument, step = (yield yielded), generator.send
        except GeneratorExit as closed:
            try:
                with inside:
                    generator.close()
            except BaseException as error:
                scope.end(error=error)
                raise
            scope.end(error=closed)
            raise
        except BaseException as thrown:
            argument, step = thrown, generator.throw


def _generating_async(
    function: Callable[..., AsyncGenerator[Any, Any]], start: Callable[[], Scope]
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """An asynchronous generator function whose steps are each in the scope's context."""

    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        scope, generator = start(), function(*args, **kwargs)
        inside = _Step(scope)
        step: Callable[[Any], Awaitable[Any]] = generator.asend
        argument: Any = None
        while True:
            try:
                with inside:
                    yielded = await step(argument)
            except StopAsyncIteration:
                scope.end()
                return
            except BaseException as error:
                scope.end(error=error)
                raise
            try:
                argument, step = (yield yielded), generator.asend
            except GeneratorExit as closed:
                try:
                    with inside:
                        await generator.aclose()
                except BaseException as error:
                    scope.end(error=error)
                    raise
                scope.end(error=closed)
                raise
            except BaseException as thrown:
                argument, step = thrown, generator.athrow

    return generate


def _generated_async(scope: Scope, generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    return _generating_async(lambda: generator, lambda: scope)()


def _outlasting(scope: Scope, result: Any) -> Any:
    """What a function answered. Where that goes on working, the scope ends with it."""
    if inspect.iscoroutine(result) or (inspect.isgenerator(result) and inspect.isawaitable(result)):
        return _awaited(scope, lambda: result, (), {})
    if inspect.isgenerator(result):
        return _generated(scope, result)
    if inspect.isasyncgen(result):
        return _generated_async(scope, result)
    if isinstance(result, contextlib._GeneratorContextManager):
        result.gen = _generated(scope, result.gen)
    elif isinstance(result, contextlib._AsyncGeneratorContextManager):
        result.gen = _generated_async(scope, result.gen)
    elif callable(getattr(type(result), "add_done_callback", None)):
        _end_with(scope, result)
    elif hasattr(type(result), "__await__") and not hasattr(type(result), "__aenter__"):
        return _Awaitable(scope, result)
    else:
        scope.end()
    return result


def _end_with(scope: Scope, future: Any) -> None:
    """Ends with a future. Its exception is looked at without asking for it: asyncio complains of one that
    nobody asked for.
    """

    def done(_: object) -> None:
        from asyncio import CancelledError

        error = CancelledError() if future.cancelled() else getattr(future, "_exception", None)
        scope.end(error=error)

    try:
        future.add_done_callback(done)
    except Exception:  # it calls back in another way
        scope.end()


class _Awaitable:
    """An awaitable that is no coroutine and no future, whose attributes stay."""

    def __init__(self, scope: Scope, awaitable: Any) -> None:
        self.__scope = scope
        self.__awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        return _generated(self.__scope, _steps(self.__awaitable))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__awaitable, name)


def _steps(awaitable: Any) -> Generator[Any, Any, Any]:
    return (yield from awaitable.__await__())


# Into threads, pools and processes.


class _InContext:
    """A function that runs in the context in which it was wrapped. It may be pickled for another process."""

    def __init__(
        self, provider: TelemetryProvider | None, function: Callable[..., Any], context: Context
    ) -> None:
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self._floe = provider, context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return running(self.__wrapped__, lambda: _Kept(self._floe[1]))(*args, **kwargs)

    def __reduce__(self) -> Any:
        provider, context = self._floe
        carrier: dict[str, str] = {}
        if provider is not None:
            provider.propagator.inject(carrier, context)
        return _Received, (self.__wrapped__, carrier, provider.source if provider else None)


class _Received:
    """A function that another process sent, with its context."""

    def __init__(self, function: Callable[..., Any], carrier: dict[str, str], source: str | None) -> None:
        self._function: Final = function
        self._carrier: Final = carrier
        self._source: Final = source

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = otel_context.get_current()
        try:
            from floe_telemetry.provider import TelemetryProvider, init, installed

            provider = installed() or (init(self._source) if self._source else TelemetryProvider())
            context = provider.propagator.extract(self._carrier, context)
        except Exception as error:
            warn_once("received", "a function of another process runs without its context: %r", error)
        return running(self._function, lambda: _Kept(context))(*args, **kwargs)

    def __reduce__(self) -> Any:
        return _Received, (self._function, self._carrier, self._source)


def in_context(provider: TelemetryProvider, function: F) -> F:
    """The function, to be called in the current context, whoever calls it, wherever and when."""
    if not callable(function):
        raise TypeError(f"telemetry.wrap takes a function, not {type(function).__name__}")
    context = otel_context.get_current()
    is_stepwise = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)
    if any(kind(function) for kind in is_stepwise):
        return running(function, lambda: _Kept(context))  # type: ignore[return-value]
    return _InContext(provider, function, context)  # type: ignore[return-value]


def executor_in_context(provider: TelemetryProvider, executor: E) -> E:
    """The executor, which runs each call in the context of whoever submits it."""
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(f"telemetry.executor takes an executor, not {type(executor).__name__}")
    submit: Callable[..., Any] = executor.submit

    @functools.wraps(submit)
    def submit_in_context(function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return submit(in_context(provider, function) if callable(function) else function, *args, **kwargs)

    executor.submit = submit_in_context  # type: ignore[method-assign]
    return executor
