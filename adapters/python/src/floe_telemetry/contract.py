"""The records of the WIT contract (`wit/`), with the same names, as Python types.

A record's fields have the WIT names. A value that the contract carries as JSON text is a plain Python value
here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

Scalar = str | bool | int | float
AttributeValue = Scalar | list[str] | list[bool] | list[int] | list[float]
Attributes = Mapping[str, AttributeValue]

CONTRACT_VERSION = "0.1.0"

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The semantic conventions that the general attributes are of (tests/registry)."""


class Severity(StrEnum):
    """How bad a diagnostic is."""

    ERROR = "error"
    WARNING = "warning"


class Protocol(StrEnum):
    """OTLP transport."""

    GRPC = "grpc"
    HTTP_PROTOBUF = "http-protobuf"


class Compression(StrEnum):
    """How exports are compressed."""

    NONE = "none"
    GZIP = "gzip"


class Origin(StrEnum):
    """Who gave a value."""

    DEFAULT = "default"
    MANIFEST = "manifest"
    ENVIRONMENT = "environment"
    VARIABLE = "variable"
    CODE = "code"
    DERIVED = "derived"


class Signal(StrEnum):
    """An OpenTelemetry signal."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


class SettingType(StrEnum):
    """Type of a backend's setting."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    URL = "url"


class InstrumentKind(StrEnum):
    """Kind of an instrument."""

    COUNTER = "counter"
    UP_DOWN_COUNTER = "up-down-counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


class SpanKind(StrEnum):
    """OpenTelemetry's span kind."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class ParentMode(StrEnum):
    """What the parent means for a span's sampling."""

    FOLLOW = "follow"
    IGNORE = "ignore"


class OperationKind(StrEnum):
    """What kind of work an operation is."""

    PIPELINE_RUN = "pipeline-run"
    COMPILE = "compile"
    COMPILE_STAGE = "compile-stage"
    DBT_INVOCATION = "dbt-invocation"
    DBT_NODE = "dbt-node"
    DAGSTER_RUN = "dagster-run"
    DAGSTER_STEP = "dagster-step"
    ASSET_MATERIALIZATION = "asset-materialization"
    ASSET_OBSERVATION = "asset-observation"
    ASSET_CHECK = "asset-check"
    SENSOR_TICK = "sensor-tick"
    SCHEDULE_TICK = "schedule-tick"
    COMMAND = "command"
    CUSTOM = "custom"


class Outcome(StrEnum):
    """How an operation ended."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Status(StrEnum):
    """OpenTelemetry's span status."""

    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


class Info(NamedTuple):
    """Identity of a component."""

    name: str
    version: str
    contract: str


class Diagnostic(NamedTuple):
    """One finding about an input: what is wrong, where, and what to do."""

    code: str
    severity: Severity
    path: str
    line: int
    column: int
    message: str
    help: str

    def render(self, source: str) -> str:
        """The diagnostic as text for people, in the way of a compiler."""
        at = f"{source}:{self.line}:{self.column}" if self.line else source
        place = f"{at} ({self.path})" if self.path else at
        if not self.line and re.fullmatch("[A-Z0-9]+(_[A-Z0-9]+)+", self.path):
            place = f"variable {self.path}"
        return f"{self.severity}[{self.code}]: {self.message}\n  --> {place}\n  help: {self.help}"


class Rejected(Exception):
    """A component refuses its input, with all that is wrong with it."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("\n".join(found.message for found in diagnostics))
        self.diagnostics: Final = diagnostics


class Variable(NamedTuple):
    """A variable of the process environment."""

    name: str
    value: str


class TextReference(NamedTuple):
    """Text that stands in the plan."""

    text: str


class VariableReference(NamedTuple):
    """Text of an environment variable."""

    variable: str


class FileReference(NamedTuple):
    """Text of a file, without white space at its end."""

    file: str


class MemberReference(NamedTuple):
    """A member of an environment variable that has the form of `OTEL_EXPORTER_OTLP_HEADERS`."""

    variable: str
    key: str


Reference = TextReference | VariableReference | FileReference | MemberReference
"""Text, or where it is found."""


class Header(NamedTuple):
    """A header of every export."""

    name: str
    prefix: str
    value: list[Reference]
    base64: bool


class Tls(NamedTuple):
    """Files of PEM text for TLS. An empty path is none."""

    ca: str
    certificate: str
    key: str


class Exporter(NamedTuple):
    """Where one signal goes: to an OTLP Collector."""

    endpoint: str
    protocol: Protocol
    timeout: int
    compression: Compression
    headers: list[Header]
    tls: Tls


class Exporters(NamedTuple):
    """The exporter of each signal; a signal without one is not exported."""

    traces: Exporter | None
    metrics: Exporter | None
    logs: Exporter | None


class Batch(NamedTuple):
    """Batching between the application and the exporter."""

    queue: int
    size: int
    delay: int


class Batches(NamedTuple):
    """The batching of each signal that is batched."""

    spans: Batch
    logs: Batch


class LoggerLevel(NamedTuple):
    """The lowest severity of a logger and of those below it."""

    name: str
    level: str


class Logging(NamedTuple):
    """What is logged and how."""

    level: str
    levels: list[LoggerLevel]
    json: bool


class Rule(NamedTuple):
    """What the sampling rule of this number adds."""

    attributes: dict[str, AttributeValue]


class Buffer(NamedTuple):
    """How failed operations are kept although their trace was not."""

    spans: int
    seconds: int
    attributes: dict[str, AttributeValue]


class Sampler(NamedTuple):
    """What a sampler needs beside intents."""

    tracestate: str
    named: bool
    scoped: bool
    dependencies: list[str]
    rules: list[Rule]
    limit: float
    failed: Buffer


class Instrument(NamedTuple):
    """One instrument: of those that operations record on, or an application's own."""

    name: str
    kind: InstrumentKind
    unit: str
    description: str
    boundaries: list[float]


class ExceptionSignals(NamedTuple):
    """How the exception of a span is told: as an event of the span, as a log record in its context."""

    event: bool
    log: bool


class LongOperations(NamedTuple):
    """Operations that take long: interval of heartbeats, and when one is abandoned (0: never), in seconds;
    whether a tick that started nothing becomes a span.
    """

    heartbeat: int
    abandoned: int
    skipped_ticks: bool


class Plan(NamedTuple):
    """What a host sets up."""

    enabled: bool
    environment: str
    resource: dict[str, AttributeValue]
    attributes: dict[str, AttributeValue]
    sampler: Sampler
    baggage: list[str]
    exporters: Exporters
    console: list[Signal]
    """Signals that are printed instead of exported."""
    batches: Batches
    interval: int
    cardinality: int
    """Most attribute sets of one instrument."""
    shutdown: int
    logging: Logging
    exceptions: ExceptionSignals
    operations: LongOperations
    instruments: list[Instrument]
    warnings: list[Diagnostic]


class Explained(NamedTuple):
    """One effective value. A secret is its reference."""

    path: str
    value: object
    origin: Origin
    source: str
    line: int
    column: int


class Extraction(NamedTuple):
    """What came in with headers. A `span` of 0 means that there is nothing to continue."""

    high: int
    low: int
    span: int
    flags: int
    tracestate: str
    baggage: str
    problems: list[Diagnostic]


class Headers(NamedTuple):
    """Header values to set. A host sets no header for an empty one."""

    traceparent: str
    tracestate: str
    baggage: str


class SamplingIntent(NamedTuple):
    """How to decide every span of one (scope, name, kind, dependencies)."""

    threshold: int
    parent: ParentMode
    rule: int
    tracestate: str


class SamplingDecision(NamedTuple):
    """What became of one span."""

    keep: bool
    tracestate: str


class Pacing(NamedTuple):
    """How many traces may start for a while."""

    rate: float
    threshold: int
    tracestate: str
    budget: int
    seconds: float


class Beginning(NamedTuple):
    """How an operation's span starts."""

    name: str
    kind: SpanKind
    attributes: dict[str, AttributeValue]
    recalls: list[str]
    """Names of the facts that `end` must be told again."""


class ExceptionInfo(NamedTuple):
    """An exception as OpenTelemetry's `exception.*` attributes describe it."""

    type: str
    message: str
    stacktrace: str
    causes: tuple[str, ...] = ()
    """Types of what caused it, from the nearest to the root."""


class Measurement(NamedTuple):
    """One value to record on an instrument of the plan."""

    instrument: str
    value: float
    attributes: dict[str, AttributeValue]


class Ending(NamedTuple):
    """How an operation's span ends."""

    outcome: Outcome
    status: Status
    description: str
    attributes: dict[str, AttributeValue]
    exception: ExceptionInfo | None
    measurements: list[Measurement]


class DestinationSetting(NamedTuple):
    """A setting of a backend, as the manifest has it."""

    name: str
    value: object
    path: str
    line: int
    column: int


class Destination(NamedTuple):
    """A backend that the Collector sends to."""

    backend: str
    version: str
    signals: list[Signal]
    settings: list[DestinationSetting]
    secret: str
    path: str
    line: int
    column: int


class TailSampling(NamedTuple):
    """Tail sampling: the Collector decides when it has seen a trace."""

    wait: int
    errors: bool
    slow: int
    ratio: float


class Load(NamedTuple):
    """The load that the Collector is sized for."""

    spans: int
    logs: int
    points: int
    outage: int


class Server(NamedTuple):
    """TLS of the Collector's receivers: paths on the Collector's machine."""

    certificate: str
    key: str
    clients: str


class Deployment(NamedTuple):
    """What a Collector's configuration is made from."""

    version: str
    environment: str
    destinations: list[Destination]
    directory: str
    gateway: str
    tail: TailSampling | None
    storage: str
    load: Load
    tls: Server | None
    warnings: list[Diagnostic]


class Setting(NamedTuple):
    """One setting of a backend. `default` is `None` where there is none."""

    name: str
    type: SettingType
    required: bool
    secret: bool
    default: object
    description: str


class Backend(NamedTuple):
    """One backend of a component."""

    name: str
    description: str
    signals: list[Signal]
    settings: list[Setting]


class CollectorComponent(NamedTuple):
    """One Collector component: an exporter, a processor or an extension."""

    id: str
    config: object


class Pipeline(NamedTuple):
    """The part of one signal's pipeline that belongs to a backend."""

    signal: Signal
    processors: list[str]
    exporters: list[str]


class Connector(NamedTuple):
    """A connector of a fragment."""

    id: str
    config: object
    input: Signal
    output: Signal


class Fragment(NamedTuple):
    """A fragment of Collector configuration."""

    exporters: list[CollectorComponent]
    processors: list[CollectorComponent]
    extensions: list[CollectorComponent]
    connectors: list[Connector]
    pipelines: list[Pipeline]
    variables: list[str]
    warnings: list[Diagnostic]
