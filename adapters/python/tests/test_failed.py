from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from collector import Collector
from conftest import Manifest, Provider, run_python
from floe_telemetry.contract import Buffer, OperationKind
from floe_telemetry.failed import FailedOperations
from floe_telemetry.provider import TelemetryProvider
from test_pace import Clock

NONE = "sampling: {dev: 0.0}"


def names(collector: Collector) -> set[str]:
    return {span.name for span in collector.spans}


def fail(telemetry: TelemetryProvider, name: str) -> None:
    with pytest.raises(ValueError, match="no"), telemetry.operation(OperationKind.CUSTOM, name):
        raise ValueError("no")


def test_a_failure_keeps_its_trace(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint, NONE)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    with telemetry.operation(OperationKind.CUSTOM, "root"):
        with telemetry.operation(OperationKind.CUSTOM, "before"), tracer.start_as_current_span("detail"):
            pass
        with telemetry.operation(OperationKind.CUSTOM, "around"):
            fail(telemetry, "failing")
        with telemetry.operation(OperationKind.CUSTOM, "after"):
            pass
    with telemetry.operation(OperationKind.CUSTOM, "another trace"):
        pass
    assert telemetry.force_flush(5)
    assert names(collector) == {"root", "before", "around", "failing", "after"}
    root = collector.span("root")
    ids = {span.span_id for span in collector.spans}
    for span in collector.spans:
        assert span.trace_id == root.trace_id
        assert span.parent_id in ids or span is root  # no orphan
        assert span.state == ""
        assert span.attributes["floe.namespace"] == "acme.sales"
        for key, value in telemetry.plan.sampler.failed.attributes.items() if telemetry.plan else ():
            assert span.attributes[key] == value
    assert telemetry.plan
    assert telemetry.plan.sampler.failed.attributes
    assert telemetry.counts()["traces"].produced == 5
    assert telemetry.counts()["traces"].lost == 0


def test_nothing_goes_out_where_nothing_fails(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint, NONE)
    for _ in range(100):
        with (
            telemetry.operation(OperationKind.CUSTOM, "root"),
            telemetry.operation(OperationKind.CUSTOM, "leaf"),
        ):
            pass
    assert telemetry.force_flush(5)
    assert collector.spans == []
    assert telemetry.sdk
    failed = telemetry.sdk.failed
    assert failed
    assert not failed._traces
    assert failed._waiting == 0


def test_a_parent_elsewhere(provider: Provider, collector: Collector) -> None:
    """An unsampled trace that comes in: its tracestate stays as it was."""
    telemetry = provider(collector.endpoint, "sampling: {dev: 1.0}")
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00", "tracestate": "vendor=1"}
    context = telemetry.propagator.extract(headers, Context())
    operation = telemetry.operation(OperationKind.CUSTOM, "work").begin(parent=context)
    assert not operation.span.get_span_context().trace_flags.sampled
    out: dict[str, str] = {}
    telemetry.propagator.inject(out, operation.context)
    assert out["traceparent"].endswith("-00")
    operation.end("error")
    assert telemetry.force_flush(5)
    assert (collector.span("work").parent_id, collector.span("work").state) == ("b" * 16, "vendor=1")


def test_a_dropped_parent_is_not_named(provider: Provider, collector: Collector) -> None:
    """A plain span of a trace that is not sampled never goes out: the operation around it is the parent."""
    telemetry = provider(collector.endpoint, NONE)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    with (
        telemetry.operation(OperationKind.CUSTOM, "around"),
        tracer.start_as_current_span("plain"),
        tracer.start_as_current_span("plain too"),
    ):
        with telemetry.operation(OperationKind.CUSTOM, "before"):
            pass
        fail(telemetry, "failing")
    with tracer.start_as_current_span("plain root"):
        fail(telemetry, "below a root")
    with telemetry.operation(OperationKind.CUSTOM, "another"):
        context = otel_context.get_current()
        with tracer.start_as_current_span("new root", trace.set_span_in_context(trace.INVALID_SPAN, context)):
            fail(telemetry, "of another trace")
    assert telemetry.force_flush(5)
    around = collector.span("around")
    parents = {span.name: span.parent_id for span in collector.spans}
    assert parents == {
        "around": "",
        "before": around.span_id,
        "failing": around.span_id,
        "below a root": "",
        "of another trace": "",
    }


def test_a_remote_parent_stays(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint, "sampling: {dev: 1.0}")
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}
    token = otel_context.attach(telemetry.propagator.extract(headers, Context()))
    try:
        fail(telemetry, "below")
        with tracer.start_as_current_span("plain"):
            fail(telemetry, "below a plain span")
    finally:
        otel_context.detach(token)
    assert telemetry.force_flush(5)
    assert collector.span("below").parent_id == "b" * 16
    assert collector.span("below a plain span").parent_id == ""


def test_it_can_be_turned_off(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint, "sampling: {dev: 0.0, keep_failed: false}")
    fail(telemetry, "failing")
    assert telemetry.force_flush(5)
    assert collector.spans == []


def span(trace_id: int, span_id: int, failed: bool = False) -> ReadableSpan:
    status = Status(StatusCode.ERROR if failed else StatusCode.UNSET)
    context = SpanContext(trace_id, span_id, False, TraceFlags(2))
    return ReadableSpan(f"{trace_id}/{span_id}", context, status=status, attributes={"own": 1})


def start(failed: FailedOperations, trace_id: int, times: int = 1) -> None:
    for number in range(times):
        failed.started(SpanContext(trace_id, number + 1, False), None)


def out(failed: FailedOperations, *ended: ReadableSpan) -> list[str]:
    return [each.name for one in ended for each in failed.ended(one)]


def test_the_oldest_trace_makes_room() -> None:
    failed = FailedOperations(Buffer(4, 60, {"why": "failed"}), Clock())
    for trace_id in (1, 2, 3):
        start(failed, trace_id, 4)
        assert out(failed, span(trace_id, 1), span(trace_id, 2)) == []
    assert failed._waiting == 4
    assert out(failed, span(1, 3, failed=True)) == ["1/3"]  # 1/1 and 1/2 made room
    assert out(failed, span(2, 3, failed=True)) == ["2/1", "2/2", "2/3"]
    assert out(failed, span(3, 3, failed=True)) == ["3/1", "3/2", "3/3"]


def test_a_large_trace_keeps_its_newest() -> None:
    failed = FailedOperations(Buffer(4, 60, {}), Clock())
    start(failed, 1, 12)
    assert out(failed, *(span(1, number) for number in range(10))) == []
    assert out(failed, span(1, 10, failed=True)) == ["1/6", "1/7", "1/8", "1/9", "1/10"]
    assert out(failed, span(1, 11)) == ["1/11"]


def test_marks_are_bounded_too() -> None:
    failed = FailedOperations(Buffer(4, 60, {}), Clock())
    for trace_id in range(100):
        start(failed, trace_id)
        assert out(failed, span(trace_id, 1, failed=True)) == [f"{trace_id}/1"]
        assert len(failed._traces) <= 4


def test_a_wait_ends() -> None:
    clock = Clock()
    failed = FailedOperations(Buffer(4, 60, {}), clock)
    start(failed, 1, 3)
    assert out(failed, span(1, 1)) == []
    clock.now += 61
    assert out(failed, span(1, 2, failed=True)) == ["1/2"]  # 1/1 has waited too long
    clock.now += 30
    assert out(failed, span(1, 3)) == ["1/3"]  # the trace has failed
    clock.now += 61
    start(failed, 1)
    assert out(failed, span(1, 1)) == []  # long ago
    assert not failed._traces


def test_what_goes_out() -> None:
    failed = FailedOperations(Buffer(4, 60, {"why": "failed"}), Clock())
    start(failed, 1)
    [kept] = failed.ended(span(1, 1, failed=True))
    assert kept.context
    assert kept.context.trace_flags == 3
    assert kept.attributes == {"own": 1, "why": "failed"}


def test_threads() -> None:
    failed = FailedOperations(Buffer(1000, 60, {}), Clock())
    found: list[str] = []

    def work(of_thread: int) -> None:
        for number in range(200):
            trace_id = of_thread * 1000 + number + 1
            start(failed, trace_id, 2)
            found.extend(out(failed, span(trace_id, 1), span(trace_id, 2, failed=number % 2 == 0)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 8 * 100 * 2
    assert failed._waiting == 0


def test_a_fork_has_operations_of_its_own(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import os, floe_telemetry
from floe_telemetry import OperationKind
telemetry = floe_telemetry.init()
with telemetry.operation(OperationKind.CUSTOM, "root"):
    with telemetry.operation(OperationKind.CUSTOM, "before the fork"):
        pass
    child = os.fork()
    if child == 0:
        telemetry.operation(OperationKind.CUSTOM, "in the child").begin().end("error")
        os._exit(0 if telemetry.force_flush(5) else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint, NONE))}
    ran = run_python(code, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    assert names(collector) == {"in the child"}
