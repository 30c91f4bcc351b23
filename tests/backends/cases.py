"""Every backend in every way that it can be reached, and what must arrive there."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import telemetry
from clickhouse import ClickHouse
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA
from stand_in import Answer, Request

Config = dict[str, Any]
TRACES, METRICS, LOGS = "traces", "metrics", "logs"
ALL = (TRACES, METRICS, LOGS)


@dataclass(frozen=True)
class Arrival:
    """What a signal looks like at the backend: where it goes, what it proves itself by, what is in it."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Text in the payload; without it the payload is OTLP and is decoded.
    holds: bytes = b""
    #: Whether metrics must be deltas.
    delta: bool = False

    def is_met(self, signal: str, request: Request) -> bool:
        """Whether a request is it."""
        if request.path.split("?")[0] != self.path:
            return False
        if any(request.headers.get(name) != value for name, value in self.headers.items()):
            return False
        if self.holds:
            return self.holds in request.body
        export = telemetry.decoded(signal, request.body)
        if telemetry.NAMES[signal] not in telemetry.names(signal, export):
            return False
        return not self.delta or _temporality(export) == {AGGREGATION_TEMPORALITY_DELTA}


def _temporality(export: Any) -> set[int]:
    return {
        metric.sum.aggregation_temporality
        for resource in export.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == telemetry.NAMES[METRICS]
    }


@dataclass(frozen=True)
class Case:
    """A backend with settings."""

    id: str
    backend: str
    arrivals: Mapping[str, Arrival]
    #: Settings, given the port of the stand-in.
    config: Callable[[int], Config] = lambda _: {}
    #: Values of variables, given the same.
    env: Callable[[int], dict[str, str]] = lambda _: {}
    #: What has to be added to the rendered configuration, given the same, where a backend's address is none of its settings.
    overlay: Callable[[int], Config] = lambda _: {}
    grpc: bool = False
    #: Whether it writes to the Collector's log, and sends nothing.
    log: bool = False
    #: What answers requests.
    answer: Callable[[], Answer] = lambda: lambda _: b"{}"
    #: What changes for a Collector that was built without one of its components, and the signals that are then lost.
    less: Config | None = None
    lost: tuple[str, ...] = ()

    @property
    def signals(self) -> tuple[str, ...]:
        return tuple(self.arrivals)


def http(port: int, path: str = "") -> str:
    return f"http://127.0.0.1:{port}{path}"


def exporter(id: str, **config: Any) -> Config:
    return {"exporters": {id: config}}


def otlp(signals: tuple[str, ...] = ALL, prefix: str = "", **headers: str) -> dict[str, Arrival]:
    """OTLP by HTTP. Names of headers have `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {signal: Arrival(f"{prefix}/v1/{signal}", named) for signal in signals}


def otlp_grpc(signals: tuple[str, ...] = ALL, **headers: str) -> dict[str, Arrival]:
    """OTLP by gRPC."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    service = {
        TRACES: "trace.v1.TraceService",
        METRICS: "metrics.v1.MetricsService",
        LOGS: "logs.v1.LogsService",
    }
    return {
        signal: Arrival(f"/opentelemetry.proto.collector.{service[signal]}/Export", named)
        for signal in signals
    }


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def endpoint(**settings: Any) -> Callable[[int], Config]:
    """Settings of a backend whose address is one of them."""
    return lambda port: {"endpoint": http(port), **settings}


def fixed(config: Any) -> Callable[[int], Any]:
    return lambda _: config


#: The span's name, as formats that are not OTLP have it.
SPAN, METRIC, LOG = (telemetry.NAMES[signal].encode() for signal in ALL)
PLAIN = {"insecure": True}

CASES = [
    Case("jaeger-grpc", "jaeger", otlp_grpc((TRACES,)), endpoint(), grpc=True),
    Case("jaeger-http", "jaeger", otlp((TRACES,)), endpoint(protocol="http")),
    Case(
        "tempo-grpc", "tempo", otlp_grpc((TRACES,), x_scope_orgid="acme"), endpoint(tenant="acme"), grpc=True
    ),
    Case(
        "tempo-http",
        "tempo",
        otlp((TRACES,), x_scope_orgid="acme", authorization="Bearer tempo-1"),
        endpoint(protocol="http", tenant="acme", token="TEMPO_TOKEN"),
        fixed({"TEMPO_TOKEN": "tempo-1"}),
    ),
    Case(
        "loki",
        "loki",
        otlp((LOGS,), "/otlp", x_scope_orgid="acme", authorization=basic("floe", "loki-1")),
        endpoint(tenant="acme", username="floe", password="LOKI_PASSWORD"),
        fixed({"LOKI_PASSWORD": "loki-1"}),
    ),
    Case("prometheus-otlp", "prometheus", {METRICS: Arrival("/api/v1/otlp/v1/metrics")}, endpoint()),
    Case(
        "prometheus-remote-write",
        "prometheus",
        {
            METRICS: Arrival(
                "/api/v1/write",
                {"content-encoding": "snappy", "authorization": "Bearer prom-1"},
                b"floe_test_rows",
            )
        },
        endpoint(protocol="remote_write", token="PROM_TOKEN"),
        fixed({"PROM_TOKEN": "prom-1"}),
    ),
    Case(
        "grafana-cloud",
        "grafana-cloud",
        otlp(prefix="/otlp", authorization=basic("123456", "glc-1")),
        fixed({"zone": "prod-eu-west-0", "instance_id": 123456, "token": "GRAFANA_TOKEN"}),
        fixed({"GRAFANA_TOKEN": "glc-1"}),
        lambda port: exporter("otlp_http/grafana-cloud", endpoint=http(port, "/otlp")),
    ),
    Case(
        "honeycomb",
        "honeycomb",
        {
            **otlp((TRACES, LOGS), x_honeycomb_team="hc-1"),
            **otlp((METRICS,), x_honeycomb_team="hc-1", x_honeycomb_dataset="floe-metrics"),
        },
        fixed({"region": "eu", "api_key": "HONEYCOMB_KEY"}),
        fixed({"HONEYCOMB_KEY": "hc-1"}),
        lambda port: {
            "exporters": {
                "otlp_http/honeycomb": {"endpoint": http(port)},
                "otlp_http/honeycomb-metrics": {"endpoint": http(port)},
            }
        },
    ),
    Case(
        "newrelic",
        "newrelic",
        otlp(api_key="nr-1"),
        fixed({"license_key": "NEW_RELIC_KEY"}),
        fixed({"NEW_RELIC_KEY": "nr-1"}),
        lambda port: exporter("otlp_http/newrelic", endpoint=http(port)),
    ),
    Case(
        "dynatrace",
        "dynatrace",
        {
            **otlp((TRACES, LOGS), "/api/v2/otlp", authorization="Api-Token dt-1"),
            METRICS: Arrival("/api/v2/otlp/v1/metrics", {"authorization": "Api-Token dt-1"}, delta=True),
        },
        endpoint(token="DT_TOKEN"),
        fixed({"DT_TOKEN": "dt-1"}),
    ),
    Case(
        "elastic-http",
        "elastic",
        otlp(authorization="ApiKey el-1"),
        endpoint(api_key="ELASTIC_KEY"),
        fixed({"ELASTIC_KEY": "el-1"}),
    ),
    Case(
        "elastic-grpc",
        "elastic",
        otlp_grpc(authorization="Bearer el-2"),
        endpoint(protocol="grpc", secret_token="ELASTIC_TOKEN"),
        fixed({"ELASTIC_TOKEN": "el-2"}),
        grpc=True,
    ),
    Case(
        "signoz-cloud",
        "signoz",
        otlp_grpc(signoz_ingestion_key="sz-1"),
        fixed({"region": "eu", "ingestion_key": "SIGNOZ_KEY"}),
        fixed({"SIGNOZ_KEY": "sz-1"}),
        lambda port: exporter("otlp_grpc/signoz", endpoint=f"127.0.0.1:{port}", tls=PLAIN),
        grpc=True,
    ),
    Case("signoz-own", "signoz", otlp(), endpoint(protocol="http")),
    Case(
        "otlp-http",
        "otlp",
        otlp(x_acme_key="o-1", x_scope_orgid="acme"),
        endpoint(header="X-Acme-Key", header_value="ACME_KEY", tenant="acme"),
        fixed({"ACME_KEY": "o-1"}),
    ),
    Case("otlp-grpc", "otlp", otlp_grpc(), endpoint(protocol="grpc"), grpc=True),
    Case(
        "splunk",
        "splunk",
        {
            TRACES: Arrival("/v2/trace/otlp", {"x-sf-token": "sf-1"}),
            METRICS: Arrival("/v2/datapoint", {"x-sf-token": "sf-1"}, METRIC),
            LOGS: Arrival("/services/collector", {"authorization": "Splunk hec-1"}, LOG),
        },
        lambda port: {
            "realm": "us1",
            "access_token": "SPLUNK_TOKEN",
            "hec_endpoint": http(port),
            "hec_token": "HEC_TOKEN",
        },
        fixed({"SPLUNK_TOKEN": "sf-1", "HEC_TOKEN": "hec-1"}),
        lambda port: {
            "exporters": {
                "otlp_http/splunk": {"traces_endpoint": http(port, "/v2/trace/otlp")},
                "signalfx/splunk": {"ingest_url": http(port), "api_url": http(port)},
            }
        },
        less={"signals": [TRACES, LOGS]},
        lost=(METRICS,),
    ),
    Case(
        "datadog",
        "datadog",
        {
            TRACES: Arrival(
                "/api/v0.2/traces", {"dd-api-key": "0123456789abcdef0123456789abcdef"}, b"sales-pipeline"
            ),
            METRICS: Arrival("/api/v2/series", {"dd-api-key": "0123456789abcdef0123456789abcdef"}, METRIC),
            LOGS: Arrival("/api/v2/logs", {"dd-api-key": "0123456789abcdef0123456789abcdef"}, LOG),
        },
        fixed({"api_key": "DD_API_KEY", "site": "datadoghq.eu"}),
        fixed({"DD_API_KEY": "0123456789abcdef0123456789abcdef"}),
        lambda port: exporter(
            "datadog/datadog",
            hostname="floe-test",
            host_metadata={"enabled": False},
            traces={"endpoint": http(port)},
            metrics={"endpoint": http(port)},
            logs={"endpoint": http(port)},
        ),
        answer=lambda: lambda _: b'{"valid": true}',
        less={"config": {"api_key": "DD_API_KEY", "apm_stats": False}},
    ),
    Case(
        "azure-monitor",
        "azure-monitor",
        {
            TRACES: Arrival("/v2.1/track", {}, SPAN),
            METRICS: Arrival("/v2.1/track", {}, METRIC),
            LOGS: Arrival("/v2.1/track", {}, LOG),
        },
        fixed({"connection_string": "AZURE_CONNECTION"}),
        lambda port: {
            "AZURE_CONNECTION": "InstrumentationKey=00000000-0000-0000-0000-000000000001;"
            f"IngestionEndpoint={http(port)}/"
        },
        answer=lambda: lambda _: b'{"itemsReceived": 1, "itemsAccepted": 1, "errors": []}',
        lost=ALL,
    ),
    Case(
        "aws-xray",
        "aws-xray",
        {TRACES: Arrival("/TraceSegments", {}, b"sales-pipeline")},
        fixed({"region": "eu-west-1"}),
        fixed({"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}),
        lambda port: exporter("awsxray/aws-xray", endpoint=http(port)),
        answer=lambda: lambda _: b'{"UnprocessedTraceSegments": []}',
    ),
    Case(
        "google-cloud",
        "google-cloud",
        {
            TRACES: Arrival("/google.devtools.cloudtrace.v2.TraceService/BatchWriteSpans", {}, SPAN),
            METRICS: Arrival("/google.monitoring.v3.MetricService/CreateTimeSeries", {}, METRIC),
            LOGS: Arrival("/google.logging.v2.LoggingServiceV2/WriteLogEntries", {}, LOG),
        },
        fixed({"project": "acme-telemetry"}),
        overlay=lambda port: exporter(
            "googlecloud/google-cloud",
            trace={"endpoint": f"127.0.0.1:{port}", "use_insecure": True},
            metric={"endpoint": f"127.0.0.1:{port}", "use_insecure": True},
            log={"endpoint": f"127.0.0.1:{port}", "use_insecure": True},
        ),
        grpc=True,
    ),
    Case(
        "clickhouse-http",
        "clickhouse",
        {
            signal: Arrival("/", {"authorization": basic("floe", "ch-1")}, name)
            for signal, name in zip(ALL, (SPAN, METRIC, LOG), strict=True)
        },
        endpoint(username="floe", password="CLICKHOUSE_PASSWORD"),
        fixed({"CLICKHOUSE_PASSWORD": "ch-1"}),
        # Blocks that can be looked into.
        lambda port: exporter("clickhouse/clickhouse", compress="none"),
        answer=ClickHouse,
    ),
    Case(
        "debug",
        "debug",
        {signal: Arrival("", holds=name) for signal, name in zip(ALL, (SPAN, METRIC, LOG), strict=True)},
        log=True,
    ),
]

#: What the Collector only checks: the tables that clickhouse-http fills, by ClickHouse's own protocol.
CHECKED = [Case("clickhouse-native", "clickhouse", {}, fixed({"endpoint": "tcp://clickhouse:9000"}))]
