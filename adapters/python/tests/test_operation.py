from __future__ import annotations

import asyncio
import os
import subprocess
import threading

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from collector import Collector
from conftest import Provider
from floe_telemetry.contract import ExceptionInfo, OperationKind, Outcome
from floe_telemetry.engine import ComponentError, Instance
from floe_telemetry.provider import TelemetryProvider

SECRET = "postgres://user:hunter2@host/db"


def test_an_exception_is_recorded_redacted_and_raised_again(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    with pytest.raises(subprocess.CalledProcessError), telemetry.operation(OperationKind.COMPILE, "sales"):
        raise subprocess.CalledProcessError(1, SECRET)
    assert telemetry.force_flush(5)
    span = collector.span("floe.compile sales")
    assert span.attributes["error.type"] == "subprocess.CalledProcessError"
    [(name, event)] = span.events
    assert name == "exception"
    assert event["exception.type"] == "subprocess.CalledProcessError"
    assert event["exception.message"] == span.description
    assert "test_operation.py" in event["exception.stacktrace"]
    assert b"hunter2" not in b"".join(collector.raw)
    [errors] = collector.metric("floe.errors")
    assert errors.attributes["error.type"] == "subprocess.CalledProcessError"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyboardInterrupt(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (SystemExit(0), "success"),
        (SystemExit(3), "error"),
    ],
)
def test_what_is_no_exception(
    error: BaseException, outcome: str, provider: Provider, collector: Collector
) -> None:
    telemetry = provider(collector.endpoint)
    with pytest.raises(type(error)), telemetry.operation(OperationKind.CUSTOM, "work"):
        raise error
    assert telemetry.force_flush(5)
    assert collector.span("work").attributes["floe.outcome"] == outcome


def test_children_see_the_context_and_the_baggage(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    with telemetry.operation(OperationKind.COMPILE, "sales") as operation:
        assert trace.get_current_span() is operation.span
        assert baggage.get_baggage("floe.namespace") == "acme.sales"
    assert baggage.get_baggage("floe.namespace") is None
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_compile_and_its_stages(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)

    @telemetry.compile("decorated")
    async def compiled() -> int:
        await asyncio.sleep(0)
        return 42

    assert asyncio.run(compiled()) == 42
    with telemetry.compile("sales", bytes=17) as compile, compile.stage("parse") as stage:
        stage.add(warnings=1)
    assert telemetry.force_flush(5)
    parent, child = collector.span("floe.compile sales"), collector.span("floe.compile.stage parse")
    assert (child.trace_id, child.parent_id) == (parent.trace_id, parent.span_id)
    assert collector.span("floe.compile decorated").attributes["floe.outcome"] == "success"


def in_thread(telemetry: TelemetryProvider, name: str, context: Context) -> dict[str, object]:
    """Runs an operation in a new thread, in which this context is current, and answers with the baggage in
    it.
    """
    found: dict[str, object] = {}

    def work() -> None:
        otel_context.attach(context)
        with telemetry.operation(OperationKind.CUSTOM, name):
            found.update(baggage.get_all())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found


def test_a_thread_continues_the_process(
    provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "TRACEPARENT", f"00-{'a' * 32}-{'b' * 16}-01")
    monkeypatch.setitem(os.environ, "BAGGAGE", "team=core;p=1")
    telemetry = provider(collector.endpoint)
    assert in_thread(telemetry, "plain", Context())["team"] == "core"
    of_user = in_thread(telemetry, "with baggage", baggage.set_baggage("tenant", "x", Context()))
    assert (of_user["tenant"], "team" in of_user) == ("x", False)
    other = {"traceparent": f"00-{'c' * 32}-{'d' * 16}-01"}
    assert "team" not in in_thread(telemetry, "elsewhere", telemetry.propagator.extract(other, Context()))
    telemetry.operation(OperationKind.CUSTOM, "given").begin(parent=Context()).end()
    assert telemetry.force_flush(5)
    parents = {span.name: span.parent_id for span in collector.spans}
    assert parents == {"plain": "b" * 16, "with baggage": "b" * 16, "elsewhere": "d" * 16, "given": ""}


def test_a_thread_of_a_process_with_baggage_only(
    provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "BAGGAGE", "team=core")
    telemetry = provider(collector.endpoint)
    assert in_thread(telemetry, "work", Context())["team"] == "core"
    assert telemetry.force_flush(5)
    assert collector.span("work").parent_id == ""


def test_a_decorator(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)

    @telemetry.operation(OperationKind.CUSTOM, "called", **{"custom.fact": 1})
    def called(number: int) -> int:
        """Keeps its name."""
        return number + 1

    @telemetry.operation(OperationKind.CUSTOM, "awaited")
    async def awaited() -> str:
        await asyncio.sleep(0)
        return "done"

    async def both() -> list[str]:
        return [*await asyncio.gather(awaited(), awaited())]

    assert (called(1), called(2), called.__doc__) == (2, 3, "Keeps its name.")
    assert asyncio.run(both()) == ["done", "done"]
    assert telemetry.force_flush(5)
    names = sorted(span.name for span in collector.spans)
    assert names == ["awaited", "awaited", "called", "called"]
    assert {span.parent_id for span in collector.spans} == {""}
    assert all(s.attributes["custom.fact"] == 1 for s in collector.spans if s.name == "called")


def test_explicit_times_facts_and_words(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    operation = telemetry.operation(OperationKind.DBT_NODE, "unique", resource_type="test")
    operation.begin(start_time=1_000_000_000)
    operation.add(failures=3)
    error = ExceptionInfo("", "Got 3 results", "")
    assert operation.end("fail", error=error, end_time=3_500_000_000, rows=None) is Outcome.FAILURE
    assert operation.end("success") is None
    assert telemetry.force_flush(5)
    span = collector.span("dbt.test unique")
    assert (span.start, span.end, span.description) == (1_000_000_000, 3_500_000_000, "Got 3 results")
    assert span.attributes["floe.dbt.failures"] == 3
    [duration] = collector.metric("floe.dbt.node.duration")
    assert duration.value == 2.5


def test_a_failing_policy_does_not_fail_the_work(
    provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = provider(collector.endpoint)

    def trap(*_: object, **__: object) -> None:
        raise ComponentError("FLOE-C006", "trap", "")

    with monkeypatch.context() as patched:
        patched.setattr(Instance, "call", trap)
        with telemetry.operation(OperationKind.COMPILE, "good"):
            pass
        with pytest.raises(ValueError, match="hunter2"), telemetry.operation(OperationKind.COMPILE, "bad"):
            raise ValueError(SECRET)
        assert telemetry.force_flush(5)
    # Nobody could look at their names.
    assert [(span.name, span.status) for span in collector.spans] == [("***", 0), ("***", 2)]
    assert b"hunter2" not in b"".join(collector.raw)
