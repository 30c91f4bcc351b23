"""What floe costs, beside the bare SDK in the same run.

    just bench

Each figure is the best of the rounds: the others had company on the machine. Ratios compare; times alone do
not.
"""

from __future__ import annotations

import gc
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
from floe_telemetry.provider import TelemetryProvider
from floe_telemetry.sdk import Sdk

MANIFEST = """
metadata: {{name: sales, namespace: acme.sales, version: 1.2.0}}
observability: {{telemetry: {{otlp_endpoint: "http://127.0.0.1:1", sampling: {{dev: {ratio}}}}}}}
"""
HEADERS = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "baggage": "floe.namespace=acme.sales,floe.product.name=sales,floe.mode=dev",
}


class Null(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def microseconds(work: Callable[[], object], rounds: int, times: int = 2000) -> float:
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        started = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - started) / times)
    return best * 1e6


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
        outlet._exporter = Null()
    return provider


def span(provider: TracerProvider) -> Callable[[], None]:
    tracer = provider.get_tracer("bench")
    attributes: dict[str, AnyValue] = {"a": 1, "b": "two", "c": 3.0, "d": True}

    def work() -> None:
        with tracer.start_as_current_span("work", attributes=attributes):
            pass

    return work


def through(propagator: TextMapPropagator) -> Callable[[], None]:
    def work() -> None:
        propagator.inject({}, propagator.extract(HEADERS, Context()))

    return work


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
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    rows: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for label, ratio in (("span, sampled", 1.0), ("span, not sampled", 0.0)):
            ours = floe(ratio, directory)
            rows.append(
                (
                    label,
                    microseconds(span(bare(ratio)), rounds),
                    microseconds(span(sdk(ours).tracer_provider), rounds),
                )
            )
        ours = floe(1.0, directory)
        composite = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
        rows.append(
            (
                "extract + inject",
                microseconds(through(composite), rounds),
                microseconds(through(ours.propagator), rounds),
            )
        )

        def operation() -> None:
            with ours.operation(OperationKind.COMPILE, "work", a=1, b="two"):
                pass

        rows.append(("operation, against a span", rows[0][1], microseconds(operation, rounds, 500)))
        off = TelemetryProvider()

        def nothing() -> None:
            with off.operation(OperationKind.COMPILE, "work"):
                pass

        noop = trace.NoOpTracer()

        def no_span() -> None:
            with noop.start_as_current_span("work"):
                pass

        rows.append(
            ("operation, telemetry off", microseconds(no_span, rounds), microseconds(nothing, rounds))
        )
        print(f"{'':28}{'SDK us':>10}{'floe us':>10}{'ratio':>8}")
        for label, theirs, mine in rows:
            print(f"{label:28}{theirs:10.1f}{mine:10.1f}{mine / theirs:8.2f}")

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
