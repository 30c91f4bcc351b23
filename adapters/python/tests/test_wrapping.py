"""Decorated functions of every kind, and functions that run elsewhere than where they were called."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import os
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from collector import Collector
from conftest import Manifest, Provider, run_python
from floe_telemetry.contract import OperationKind
from floe_telemetry.operation import Operation
from floe_telemetry.provider import TelemetryProvider


@pytest.fixture
def telemetry(provider: Provider, collector: Collector) -> TelemetryProvider:
    return provider(collector.endpoint)


def work(telemetry: TelemetryProvider) -> Operation:
    return telemetry.operation(OperationKind.CUSTOM, "work")


def outcome(telemetry: TelemetryProvider, collector: Collector) -> str:
    """How the one decorated call ended. Its work has a span of its own, which is a child of it."""
    assert telemetry.force_flush(5)
    span = collector.span("work")
    for inner in (each for each in collector.spans if each.name == "inner"):
        assert inner.parent_id == span.span_id
        assert span.start <= inner.start <= inner.end <= span.end
    return str(span.attributes["floe.outcome"])


def inner(telemetry: TelemetryProvider) -> contextlib.AbstractContextManager[Any]:
    return telemetry.operation(OperationKind.CUSTOM, "inner")


def test_a_generator(telemetry: TelemetryProvider, collector: Collector) -> None:
    said: list[object] = []

    @work(telemetry)
    def numbers(first: int) -> Any:
        with inner(telemetry) as operation:
            said.append((yield first))
            assert trace.get_current_span() is operation.span
            try:
                yield 2
            except KeyError as error:
                said.append(error)
            assert trace.get_current_span() is operation.span
        yield 3
        return "done"

    assert inspect.isgeneratorfunction(numbers)
    before = trace.get_current_span()
    running = numbers(1)
    assert next(running) == 1
    assert trace.get_current_span() is before
    assert running.send("sent") == 2
    thrown = KeyError("thrown")
    assert running.throw(thrown) == 3
    assert trace.get_current_span() is before
    with pytest.raises(StopIteration) as stopped:
        next(running)
    assert (said, stopped.value.value) == (["sent", thrown], "done")
    assert outcome(telemetry, collector) == "success"


@pytest.mark.parametrize("end", ["raises", "closed", "collected", "thrown"])
def test_a_generator_that_ends_early(end: str, telemetry: TelemetryProvider, collector: Collector) -> None:
    cleaned: list[str] = []

    @work(telemetry)
    def numbers() -> Iterator[int]:
        try:
            yield 1
            raise ValueError("here")
        finally:
            with inner(telemetry):
                cleaned.append(end)

    running: Any = numbers()
    assert next(running) == 1
    if end == "raises":
        with pytest.raises(ValueError, match="here"):
            next(running)
    elif end == "thrown":
        with pytest.raises(KeyboardInterrupt):
            running.throw(KeyboardInterrupt())
    elif end == "closed":
        running.close()
    del running
    assert cleaned == [end]
    assert outcome(telemetry, collector) == ("error" if end == "raises" else "cancelled")


@pytest.mark.parametrize("end", ["success", "error", "closed", "cancelled"])
def test_an_asynchronous_generator(end: str, telemetry: TelemetryProvider, collector: Collector) -> None:
    @work(telemetry)
    async def numbers() -> AsyncIterator[int]:
        with inner(telemetry):
            yield 1
            await asyncio.sleep(60 if end == "cancelled" else 0)
            if end == "error":
                raise ValueError("here")
            yield 2

    async def main() -> None:
        assert inspect.isasyncgenfunction(numbers)
        running: Any = numbers()
        before = trace.get_current_span()
        assert await anext(running) == 1
        assert trace.get_current_span() is before
        if end == "closed":
            await running.aclose()
        elif end == "error":
            with pytest.raises(ValueError, match="here"):
                await anext(running)
        elif end == "cancelled":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(running)
        else:
            assert [each async for each in running] == [2]

    asyncio.run(main())
    expected = {"closed": "cancelled", "cancelled": "cancelled"}.get(end, end)
    assert outcome(telemetry, collector) == expected


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", ["above", "below", "asynchronous"])
def test_a_context_manager(
    kind: str, fails: bool, telemetry: TelemetryProvider, collector: Collector
) -> None:
    def plain() -> Iterator[str]:
        yield "inside"

    async def asynchronous() -> AsyncIterator[str]:
        yield "inside"

    def enter() -> None:
        if kind == "asynchronous":
            manage_async = work(telemetry)(contextlib.asynccontextmanager(asynchronous))

            async def main() -> None:
                async with manage_async() as value:
                    assert value == "inside"
                    if fails:
                        raise ValueError("here")

            asyncio.run(main())
            return
        decorate = work(telemetry)
        manage: Any = (
            decorate(contextlib.contextmanager(plain))
            if kind == "above"
            else contextlib.contextmanager(decorate(plain))
        )
        with manage() as value:
            assert value == "inside"
            with telemetry.operation(OperationKind.CUSTOM, "body"):
                pass
            if fails:
                raise ValueError("here")

    with pytest.raises(ValueError, match="here") if fails else contextlib.nullcontext():
        enter()
    assert outcome(telemetry, collector) == ("error" if fails else "success")


class Called:
    async def __call__(self, number: int) -> int:
        await asyncio.sleep(0.01)
        return number + 1


class Awaited:
    closed = "not yet"

    def __await__(self) -> Any:
        yield from asyncio.sleep(0.01).__await__()
        return 2


async def add(number: int, more: int) -> int:
    await asyncio.sleep(0.01)
    return number + more


@types.coroutine
def old(number: int) -> Any:
    yield from asyncio.sleep(0.01).__await__()
    return number + 1


async def later(result: int) -> int:
    await asyncio.sleep(0.01)
    return result


AWAITED: dict[str, Callable[[int], Any]] = {
    "object": Called(),
    "partial": functools.partial(add, more=1),
    "coroutine": lambda number: add(number, 1),
    "task": lambda number: asyncio.get_running_loop().create_task(later(number + 1)),
    "awaitable": lambda number: Awaited(),
    "old": old,
}


@pytest.mark.parametrize("kind", AWAITED)
def test_what_is_awaited(kind: str, telemetry: TelemetryProvider, collector: Collector) -> None:
    function = work(telemetry)(AWAITED[kind])

    async def main() -> int:
        result = function(1)
        if kind == "task":
            assert isinstance(result, asyncio.Task)
        if kind == "awaitable":
            assert result.closed == "not yet"
        return int(await result)

    assert asyncio.run(main()) == 2
    assert outcome(telemetry, collector) == "success"
    span = collector.span("work")
    assert span.end - span.start >= 9_000_000


def test_a_future(telemetry: TelemetryProvider, collector: Collector) -> None:
    future: Future[int] = Future()
    assert work(telemetry)(lambda: future)() is future
    future.set_exception(ValueError("here"))
    assert outcome(telemetry, collector) == "error"


def test_methods(telemetry: TelemetryProvider, collector: Collector) -> None:
    class Loader:
        start = 1

        @work(telemetry)
        def plain(self, more: int) -> int:
            return self.start + more

        @work(telemetry)
        @classmethod
        def of_class(cls, more: int) -> int:
            return cls.start + more

        @work(telemetry)
        @staticmethod
        def static(more: int) -> int:
            return 1 + more

        @staticmethod
        @work(telemetry)
        def below(more: int) -> int:
            return 1 + more

    loader: Any = Loader()
    assert [f(1) for f in (loader.plain, loader.of_class, loader.static, loader.below)] == [2, 2, 2, 2]
    assert telemetry.force_flush(5)
    assert [span.name for span in collector.spans] == ["work"] * 4


@pytest.mark.parametrize("decorated", [int, type("Own", (), {}), None, 42, property(lambda _: 1)])
def test_what_cannot_be_an_operation(decorated: Any, telemetry: TelemetryProvider) -> None:
    with pytest.raises(TypeError, match="FLOE-H008"):
        work(telemetry)(decorated)


def test_dagsters(telemetry: TelemetryProvider, collector: Collector) -> None:
    import dagster

    @dagster.op(out={"a": dagster.Out(int), "b": dagster.Out(int)})
    @work(telemetry)
    def pair() -> Any:
        yield dagster.Output(1, "a")
        yield dagster.Output(2, "b")

    @dagster.job
    def job() -> None:
        pair()

    assert job.execute_in_process().output_for_node("pair", "b") == 2
    assert outcome(telemetry, collector) == "success"
    with pytest.raises(TypeError, match="Dagster's OpDefinition"):
        work(telemetry)(pair)


def test_threads_and_pools(telemetry: TelemetryProvider, collector: Collector) -> None:
    found: list[str] = []
    tenant = contextvars.ContextVar("tenant", default="")

    def look(*_: object) -> str:
        found.append(f"{trace.get_current_span().get_span_context().span_id:016x}")
        return found[-1]

    with ThreadPoolExecutor(2) as plain, telemetry.operation(OperationKind.CUSTOM, "outer") as operation:
        tenant.set("x")
        thread = threading.Thread(target=telemetry.wrap(look))
        thread.start()
        thread.join()
        pool = telemetry.executor(plain)
        assert pool is plain
        pool.submit(look).result()
        list(pool.map(look, range(3)))
        keep = telemetry.wrap(look)

        async def main() -> None:
            await asyncio.get_running_loop().run_in_executor(pool, look)

        asyncio.run(main())
        assert pool.submit(int, "4").result() == 4
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result()
        ids = f"{operation.span.get_span_context().span_id:016x}"
    assert keep() == ids
    assert found == [ids] * 7
    for bad in (None, 3, "text"):
        with pytest.raises(TypeError):
            telemetry.wrap(bad)  # type: ignore[type-var]
        with pytest.raises(TypeError):
            telemetry.executor(bad)  # type: ignore[type-var]


PROCESSES = """
import concurrent.futures, multiprocessing, sys, floe_telemetry

def double(number):
    with floe_telemetry.init().operation("custom", f"child {number}"):
        return 2 * number

if __name__ == "__main__":
    telemetry = floe_telemetry.init(sys.argv[1])
    method = multiprocessing.get_context(sys.argv[2])
    with telemetry.operation("custom", "parent"):
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=method) as pool:
            pool = telemetry.executor(pool)
            assert pool.submit(double, 1).result() == 2
            assert list(pool.map(double, [2, 3], chunksize=2)) == [4, 6]
        with method.Pool(1) as pool:
            assert pool.map(telemetry.wrap(double), [4]) == [8]
            pool.close(); pool.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes(method: str, manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROCESSES)
    path = manifest(collector.endpoint)
    run = f"import runpy, sys; sys.argv = ['app.py', {str(path)!r}, {method!r}]; runpy.run_path('app.py', run_name='__main__')"
    ran = run_python(run, tmp_path, {**os.environ})
    assert ran.returncode == 0, ran.stderr
    parent = collector.span("parent")
    for number in (1, 2, 3, 4):
        child = collector.span(f"child {number}")
        assert (child.trace_id, child.parent_id) == (parent.trace_id, parent.span_id)
