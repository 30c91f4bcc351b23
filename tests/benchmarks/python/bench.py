"""What floe costs, beside the bare SDK in the same run.

    just bench

The two take turns, round after round, and each figure is the best of its rounds: the others had company on the
machine. Ratios compare; times alone do not.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AnyValue

from floe_telemetry.contract import OperationKind
from floe_telemetry.outlet import Answer, Result
from floe_telemetry.provider import TelemetryProvider
from floe_telemetry.sdk import Sdk

MANIFEST = """
metadata: {{name: sales, namespace: acme.sales, version: 1.2.0}}
observability: {{telemetry: {{otlp_endpoint: "http://127.0.0.1:1", sampling: {{dev: {ratio}}}}}}}
"""
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = {"traceparent": TRACEPARENT}
BAGGAGE = {"baggage": "floe.namespace=acme.sales,floe.product.name=sales,floe.mode=dev"}
REQUESTS = [
    {"traceparent": f"00-{n:032x}-{n:016x}-01", "tracestate": "ot=th:0", **BAGGAGE} for n in range(1, 2000)
]
"""As they come in from other floe processes: with another trace each."""
USERS = [{**request, "baggage": f"user={n}"} for n, request in enumerate(REQUESTS)]
"""Requests for which the policy has to be called."""

Work = Callable[[], object]


class Null(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class NoSender:
    def send(self, request: bytes, seconds: float) -> Answer:
        return Answer(Result.SUCCESS)

    def close(self) -> None: ...


def seconds(work: Work, times: int) -> float:
    gc.collect()
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


class Row:
    """Two ways to do the same."""

    def __init__(self, label: str, theirs: Work, ours: Work, times: int = 2000) -> None:
        self.label = label
        self._works = (theirs, ours)
        self._times = times
        self._best = [float("inf"), float("inf")]

    def round(self) -> None:
        for which, work in enumerate(self._works):
            self._best[which] = min(self._best[which], seconds(work, self._times))

    def __str__(self) -> str:
        theirs, ours = (best * 1e6 for best in self._best)
        return f"{self.label:32}{theirs:10.1f}{ours:10.1f}{ours / theirs:8.2f}"


def bare(ratio: float) -> TracerProvider:
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Null()))
    return provider


def floe(ratio: float, directory: Path) -> TelemetryProvider:
    path = directory / f"{ratio}.yaml"
    path.write_text(MANIFEST.format(ratio=ratio))
    provider = TelemetryProvider.from_manifest(path)
    assert provider.sdk
    for outlet in provider.sdk._outlets.values():
        outlet._form.encode = lambda batch: b""  # type: ignore[method-assign]
        outlet._current = NoSender  # type: ignore[method-assign]
    return provider


def span(provider: TracerProvider) -> Work:
    tracer = provider.get_tracer("bench")
    attributes: dict[str, AnyValue] = {"a": 1, "b": "two", "c": 3.0, "d": True}

    def work() -> None:
        with tracer.start_as_current_span("work", attributes=attributes):
            pass

    return work


def child(provider: TracerProvider) -> Work:
    """A span under one of another process, which was sampled."""
    tracer = provider.get_tracer("bench")
    parent = TraceContextTextMapPropagator().extract({"traceparent": TRACEPARENT}, Context())
    attributes: dict[str, AnyValue] = {"a": 1, "b": "two", "c": 3.0, "d": True}

    def work() -> None:
        with tracer.start_as_current_span("work", parent, attributes=attributes):
            pass

    return work


def extract(propagator: TextMapPropagator, headers: dict[str, str]) -> Work:
    return lambda: propagator.extract(headers, Context())


def extract_each(propagator: TextMapPropagator, headers: Sequence[dict[str, str]]) -> Work:
    """Requests that differ."""
    requests = itertools.cycle(headers)
    return lambda: propagator.extract(next(requests), Context())


def inject(propagator: TextMapPropagator, headers: dict[str, str]) -> Work:
    context = propagator.extract(headers, Context())
    return lambda: propagator.inject({}, context)


def cold_start(code: str, environ: dict[str, str], runs: int = 10) -> float:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=environ, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def sdk(provider: TelemetryProvider) -> Sdk:
    assert provider.sdk
    return provider.sdk


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        ours, none = floe(1.0, directory), floe(0.0, directory)
        kept, dropped = bare(1.0), bare(0.0)
        trace_alone = TraceContextTextMapPropagator()
        both = CompositePropagator([trace_alone, W3CBaggagePropagator()])
        mine = ours.propagator

        def operation() -> None:
            with ours.operation(OperationKind.COMPILE, "work", a=1, b="two"):
                pass

        off = TelemetryProvider()

        def nothing() -> None:
            with off.operation(OperationKind.COMPILE, "work"):
                pass

        noop = trace.NoOpTracer()

        def no_span() -> None:
            with noop.start_as_current_span("work"):
                pass

        rows = [
            Row("span, sampled", span(kept), span(sdk(ours).tracer_provider)),
            Row("span, sampled child", child(kept), child(sdk(ours).tracer_provider)),
            Row("span, not sampled", span(dropped), span(sdk(none).tracer_provider)),
            Row("extract", extract(trace_alone, TRACE), extract(mine, TRACE)),
            Row("inject", inject(trace_alone, TRACE), inject(mine, TRACE)),
            Row("extract, with baggage", extract(both, TRACE | BAGGAGE), extract(mine, TRACE | BAGGAGE)),
            Row("inject, with baggage", inject(both, TRACE | BAGGAGE), inject(mine, TRACE | BAGGAGE)),
            Row("extract, each other", extract_each(both, REQUESTS), extract_each(mine, REQUESTS)),
            Row("extract, no baggage twice", extract_each(both, USERS), extract_each(mine, USERS)),
            Row("operation, against a span", span(kept), operation, 500),
            Row("operation, telemetry off", no_span, nothing),
        ]
        for _ in range(rounds):
            for row in rows:
                row.round()
        print(f"{'':32}{'SDK us':>10}{'floe us':>10}{'ratio':>8}")
        for row in rows:
            print(row)

        environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(directory / "1.0.yaml")}
        end = "; import os; os._exit(0)"
        sdk_only = "import opentelemetry.sdk.trace.export, opentelemetry.sdk.metrics.export"
        sdk_only += ", opentelemetry.sdk._logs.export, opentelemetry.exporter.otlp.proto.http.trace_exporter"
        off_environ = {name: value for name, value in environ.items() if name != "FLOE_TELEMETRY_MANIFEST"}
        print("\ncold start, ms a process (median of 10)")
        for label, code, of_environ in (
            ("python alone", "pass", environ),
            ("SDK and OTLP exporter imported", sdk_only, environ),
            ("floe, provider ready", "import floe_telemetry; floe_telemetry.init()", environ),
            ("floe, telemetry off", "import floe_telemetry; floe_telemetry.TelemetryProvider()", off_environ),
        ):
            print(f"{label:32}{cold_start(code + end, of_environ):8.0f}")
    os._exit(0)


if __name__ == "__main__":
    main()
