"""Values of a component to the types of the contract, and what a component takes from them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from floe_telemetry import contract
from floe_telemetry.contract import AttributeValue, Diagnostic, ExceptionInfo, Info, Signal
from floe_telemetry.values import Record, plain

_to_json: Final = json.JSONEncoder(default=str).encode
"""Made once: `json.dumps` makes an encoder in each call that names a `default`."""
_to_object: Final = json.JSONEncoder(default=str, ensure_ascii=False, allow_nan=False).encode


def text(text: str) -> str:
    """Text that UTF-8 can carry: what is not (lone surrogates, from undecodable bytes) becomes a question
    mark.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def key_values(facts: Mapping[str, object]) -> list[Record]:
    """Names with values as JSON text. What is `None` is left out."""
    return [Record(key=text(key), value=_to_json(value)) for key, value in facts.items() if value is not None]


def json_object(facts: Mapping[str, object]) -> str:
    """Names with values as the text of one JSON object. A number that JSON does not have is null."""
    try:
        return text(_to_object(facts))
    except ValueError:
        return text(_to_object(_finite(facts)))


def of_object(found: str) -> dict[str, AttributeValue]:
    """Attributes by name, of the text of a JSON object."""
    return {name: value for name, value in json.loads(found).items() if value is not None}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def from_json(value: Any) -> Any:
    """A JSON value as an argument: an object is a record."""
    if isinstance(value, dict):
        return Record(**{name: from_json(field) for name, field in value.items()})
    return [from_json(each) for each in value] if isinstance(value, list) else value


_RESULTS: Final = {"configuration.configure", "collector.plan", "metrics.instrument", "backends.render"}
"""Functions that answer with either a record or a list of diagnostics."""


def to_json(function: str, found: Any) -> Any:
    """What a function answers as a JSON value. A case is an object of one member."""
    if function in _RESULTS:
        return {"err" if isinstance(found, list) else "ok": plain(found)}
    return plain(found)


def exception_record(error: ExceptionInfo) -> Record:
    """An exception as an argument."""
    return Record(
        type=text(error.type),
        message=text(error.message),
        stacktrace=text(error.stacktrace),
        causes=[text(cause) for cause in error.causes],
    )


def attributes(found: Iterable[Any]) -> dict[str, AttributeValue]:
    """Attributes by name. Their values are read at one go."""
    pairs = list(found)
    values = json.loads(f"[{','.join([each.value for each in pairs])}]")
    return {each.key: value for each, value in zip(pairs, values, strict=True) if value is not None}


def info(found: Any) -> Info:
    """Identity of a component."""
    return Info(found.name, found.version, found.contract)


def diagnostics(found: Iterable[Any]) -> list[Diagnostic]:
    """Findings."""
    return [
        Diagnostic(
            each.code,
            contract.Severity(each.severity),
            each.path,
            each.line,
            each.column,
            each.message,
            each.help,
        )
        for each in found
    ]


def exception(found: Any) -> ExceptionInfo:
    """An exception."""
    return ExceptionInfo(found.type, found.message, found.stacktrace, tuple(found.causes))


def plan(found: Any) -> contract.Plan:
    """What a host sets up."""
    return contract.Plan(
        enabled=found.enabled,
        environment=found.environment,
        resource=attributes(found.resource),
        attributes=attributes(found.attributes),
        sampler=_sampler(found.sampler),
        baggage=list(found.baggage),
        exporters=contract.Exporters(
            _exporter(found.exporters.traces),
            _exporter(found.exporters.metrics),
            _exporter(found.exporters.logs),
        ),
        console=_signals(found.console),
        batches=contract.Batches(_batch(found.batches.spans), _batch(found.batches.logs)),
        interval=found.interval,
        cardinality=found.cardinality,
        shutdown=found.shutdown,
        logging=contract.Logging(
            found.logging.level,
            [contract.LoggerLevel(each.name, each.level) for each in found.logging.levels],
            found.logging.json,
        ),
        exceptions=contract.ExceptionSignals(found.exceptions.event, found.exceptions.log),
        operations=contract.LongOperations(
            found.operations.heartbeat,
            found.operations.abandoned,
            getattr(found.operations, "skipped-ticks"),
        ),
        instruments=[instrument(each) for each in found.instruments],
        warnings=diagnostics(found.warnings),
    )


def instrument(found: Any) -> contract.Instrument:
    """An instrument."""
    return contract.Instrument(
        found.name,
        contract.InstrumentKind(found.kind),
        found.unit,
        found.description,
        list(found.boundaries),
    )


def instrument_record(asked: contract.Instrument) -> Record:
    """An instrument as an argument."""
    return Record(
        name=text(asked.name),
        kind=asked.kind.value,
        unit=text(asked.unit),
        description=text(asked.description),
        boundaries=[float(each) for each in asked.boundaries],
    )


def explained(found: Iterable[Any]) -> list[contract.Explained]:
    """Effective values."""
    return [
        contract.Explained(
            each.path,
            json.loads(each.value),
            contract.Origin(each.origin),
            each.source,
            each.line,
            each.column,
        )
        for each in found
    ]


def deployment(found: Any) -> contract.Deployment:
    """What a Collector's configuration is made from."""
    tail, tls, load = found.tail, found.tls, found.load
    return contract.Deployment(
        version=found.version,
        environment=found.environment,
        destinations=[_destination(each) for each in found.destinations],
        directory=found.directory,
        gateway=found.gateway,
        tail=tail and contract.TailSampling(tail.wait, tail.errors, tail.slow, tail.ratio),
        storage=found.storage,
        load=contract.Load(load.spans, load.logs, load.points, load.outage),
        tls=tls and contract.Server(tls.certificate, tls.key, tls.clients),
        warnings=diagnostics(found.warnings),
    )


def backends(found: Iterable[Any]) -> list[contract.Backend]:
    """What a component offers."""
    return [
        contract.Backend(
            each.name,
            each.description,
            _signals(each.signals),
            [
                contract.Setting(
                    setting.name,
                    contract.SettingType(setting.type),
                    setting.required,
                    setting.secret,
                    json.loads(setting.default) if setting.default else None,
                    setting.description,
                )
                for setting in each.settings
            ],
        )
        for each in found
    ]


def fragment(found: Any) -> contract.Fragment:
    """A fragment of Collector configuration."""
    return contract.Fragment(
        exporters=_components(found.exporters),
        processors=_components(found.processors),
        extensions=_components(found.extensions),
        connectors=[
            contract.Connector(each.id, json.loads(each.config), Signal(each.input), Signal(each.output))
            for each in found.connectors
        ],
        pipelines=[
            contract.Pipeline(Signal(each.signal), list(each.processors), list(each.exporters))
            for each in found.pipelines
        ],
        variables=list(found.variables),
        warnings=diagnostics(found.warnings),
    )


def _sampler(found: Any) -> contract.Sampler:
    failed = found.failed
    return contract.Sampler(
        tracestate=found.tracestate,
        named=found.named,
        scoped=found.scoped,
        dependencies=list(found.dependencies),
        rules=[contract.Rule(attributes(rule.attributes)) for rule in found.rules],
        limit=found.limit,
        failed=contract.Buffer(failed.spans, failed.seconds, attributes(failed.attributes)),
    )


def _exporter(found: Any) -> contract.Exporter | None:
    if found is None:
        return None
    return contract.Exporter(
        endpoint=found.endpoint,
        protocol=contract.Protocol(found.protocol),
        timeout=found.timeout,
        compression=contract.Compression(found.compression),
        headers=[
            contract.Header(each.name, each.prefix, list(map(_reference, each.value)), each.base64)
            for each in found.headers
        ],
        tls=contract.Tls(found.tls.ca, found.tls.certificate, found.tls.key),
    )


def _reference(found: Any) -> contract.Reference:
    if found.tag == "member":
        return contract.MemberReference(found.payload.variable, found.payload.key)
    if found.tag == "file":
        return contract.FileReference(found.payload)
    if found.tag == "variable":
        return contract.VariableReference(found.payload)
    return contract.TextReference(found.payload)


def _batch(found: Any) -> contract.Batch:
    return contract.Batch(found.queue, found.size, found.delay)


def _signals(found: Iterable[str]) -> list[Signal]:
    return [Signal(each) for each in found]


def _destination(found: Any) -> contract.Destination:
    return contract.Destination(
        found.backend,
        found.version,
        _signals(found.signals),
        [
            contract.DestinationSetting(each.name, json.loads(each.value), each.path, each.line, each.column)
            for each in found.settings
        ],
        found.secret,
        found.path,
        found.line,
        found.column,
    )


def _components(found: Iterable[Any]) -> list[contract.CollectorComponent]:
    return [contract.CollectorComponent(each.id, json.loads(each.config)) for each in found]
