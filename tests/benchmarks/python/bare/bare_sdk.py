"""The OpenTelemetry SDK as its documentation sets it up."""

from __future__ import annotations

import os

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

ENDPOINT = "BARE_SDK_ENDPOINT"


class Telemetry:
    """Spans and one histogram, to the receiver that the environment names."""

    def __init__(self) -> None:
        endpoint = os.environ[ENDPOINT]
        resource = Resource.create({"service.name": "bare"})
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"))
        self._metrics = MeterProvider([reader], resource, shutdown_on_exit=False)
        self.tracer = self._traces.get_tracer("bare")
        self.duration = self._metrics.get_meter("bare").create_histogram("duration", "s")

    def shutdown(self) -> None:
        """Sends what waits."""
        self._traces.shutdown()
        self._metrics.shutdown()
