"""The policy, as every adapter of this package asks it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakMethod

from floe_telemetry.calls import Strategy
from floe_telemetry.contract import (
    AttributeValue,
    Batch,
    Beginning,
    Buffer,
    Diagnostic,
    Ending,
    ExceptionInfo,
    Exporter,
    Extraction,
    Headers,
    Info,
    Instrument,
    InstrumentKind,
    Logging,
    Measurement,
    OperationKind,
    Outcome,
    Pacing,
    ParentMode,
    Plan,
    Protocol,
    Rule,
    Sampler,
    SamplingDecision,
    SamplingIntent,
    Severity,
    SpanKind,
    Status,
    Variable,
)
from floe_telemetry.engine import CALL_SECONDS, Component, ComponentError, Instance, check_contract
from floe_telemetry.values import Record, plain

_REDACT_BYTES: Final = 64 * 1024
"""Most text in one call of `redact`: its time is linear in it, and a call's time is limited."""
_FAILURES: Final = 3
_PAUSE_SECONDS: Final = 60.0


class Rejected(Exception):
    """The policy refuses a manifest."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("\n".join(found.message for found in diagnostics))
        self.diagnostics = diagnostics


class Policy:
    """A policy component with one configuration. Any thread may call it; each has its own instance.

    Every method but `load` and `configure` may raise [`ComponentError`] with the code FLOE-C006. After three
    of them in a row the component is left alone for a minute, so that one that loops cannot slow a pipeline
    down.
    """

    def __init__(
        self, component: Component, manifest: str | None = None, variables: Iterable[Variable] = ()
    ) -> None:
        self._component = component
        self._manifest = manifest
        self._variables = [Record(name=found.name, value=_text(found.value)) for found in variables]
        self._threads = threading.local()
        self._failures = 0
        self._resume_at = 0.0
        after_fork = WeakMethod(self._after_fork)
        os.register_at_fork(after_in_child=lambda: (method := after_fork()) and method())

    @classmethod
    def load(cls, path: Path | None = None, calls: Strategy | None = None) -> Policy:
        """The policy before configuration: context propagates, no span is kept. `calls` is another way of
        calling than the process's.
        """
        policy = cls(Component.load(path, calls))
        check_contract(policy.describe().contract)
        return policy

    def configure(self, manifest: str, variables: Iterable[Variable]) -> tuple[Policy, Plan]:
        """The same component with this configuration, and its plan. Raises [`Rejected`] with all errors."""
        configured = Policy(self._component, manifest, variables)
        instance = configured._component.instantiate()
        plan = configured._configure(instance)
        configured._threads.instance = instance
        return configured, plan

    @property
    def digest(self) -> str:
        """SHA-256 of the component, in hexadecimal digits."""
        return self._component.digest

    def describe(self) -> Info:
        """Who the component is."""
        found = self._call("describe.describe")
        return Info(found.name, found.version, found.contract)

    def variables(self) -> list[str]:
        """Names of the environment variables that `configure` takes."""
        return list(self._call("configuration.variables"))

    def extract(self, traceparent: str, tracestate: str, baggage: str) -> Extraction:
        """Reads incoming headers. An absent one is the empty string."""
        found = self._call("propagation.extract", _text(traceparent), _text(tracestate), _text(baggage))
        return Extraction(
            found.high,
            found.low,
            found.span,
            found.flags,
            found.tracestate,
            found.baggage,
            [_diagnostic(problem) for problem in found.problems],
        )

    def inject(self, high: int, low: int, span: int, flags: int, tracestate: str, baggage: str) -> Headers:
        """Writes outgoing headers."""
        found = self._call("propagation.inject", high, low, span, flags, _text(tracestate), _text(baggage))
        return Headers(found.traceparent, found.tracestate, found.baggage)

    def child_baggage(self, baggage: str) -> str:
        """The baggage that the children of an operation see."""
        return str(self._call("propagation.child-baggage", _text(baggage)))

    def intent(
        self, scope: str, name: str, kind: SpanKind, attributes: Mapping[str, object]
    ) -> SamplingIntent:
        """How to decide every span of this scope, name, kind and attributes."""
        found = self._call("sampling.intent", _text(scope), _text(name), kind.value, _key_values(attributes))
        return SamplingIntent(found.threshold, ParentMode(found.parent), found.rule, found.tracestate)

    def decide(self, low: int, tracestate: str, threshold: int) -> SamplingDecision:
        """Decides a span whose parent is ignored and has a tracestate."""
        found = self._call("sampling.decide", low, _text(tracestate), threshold)
        return SamplingDecision(found.keep, found.tracestate)

    def pace(self, limit: float, rate: float, offered: int, seconds: float) -> Pacing:
        """Paces the start of traces."""
        found = self._call("sampling.pace", float(limit), float(rate), offered, float(seconds))
        return Pacing(found.rate, found.threshold, found.tracestate, found.budget, found.seconds)

    def begin(self, kind: OperationKind, name: str, facts: Mapping[str, object]) -> Beginning:
        """Begins an operation."""
        found = self._call("operations.begin", str(kind), _text(name), _key_values(facts))
        return Beginning(found.name, SpanKind(found.kind), _attributes(found.attributes))

    def end(
        self,
        kind: OperationKind,
        name: str,
        status: str,
        seconds: float,
        facts: Mapping[str, object],
        error: ExceptionInfo | None,
    ) -> Ending:
        """Ends an operation."""
        found = self._call(
            "operations.end",
            str(kind),
            _text(name),
            _text(status),
            float(seconds),
            _key_values(facts),
            _exception_record(error) if error else None,
        )
        return Ending(
            Outcome(found.outcome),
            Status(found.status),
            found.description,
            _attributes(found.attributes),
            _exception(found.exception) if found.exception else None,
            [
                Measurement(each.instrument, each.value, _attributes(each.attributes))
                for each in found.measurements
            ],
        )

    def classify(self, error: ExceptionInfo) -> ExceptionInfo:
        """Names and cleans an exception."""
        return _exception(self._call("errors.classify", _exception_record(error)))

    def redact(self, texts: Sequence[str]) -> list[str]:
        """Redacts credentials in each text: same length and order."""
        redacted: list[str] = []
        chunk: list[str] = []
        size = 0
        for text in texts:
            if chunk and size + len(text) > _REDACT_BYTES:
                redacted += self._redact(chunk, size)
                chunk, size = [], 0
            chunk.append(_text(text))
            size += len(text)
        return redacted + (self._redact(chunk, size) if chunk else [])

    def _redact(self, texts: list[str], size: int) -> list[str]:
        found = self._call("errors.redact", texts, seconds=CALL_SECONDS * (1 + size / _REDACT_BYTES))
        if len(found) != len(texts):
            raise ComponentError(
                "FLOE-C006", "redact answers another number of texts", "report it to the author"
            )
        return list(found)

    def call_json(self, function: str, arguments: Sequence[Any]) -> Any:
        """Calls `interface.function` with JSON values and answers with one. Records are objects by field
        name, an absent option is null, a result is {"ok": …} or {"err": …}: the form of the vectors that both
        hosts run.
        """
        if function == "configuration.configure":
            manifest, variables = arguments
            given = [Variable(each["name"], each["value"]) for each in variables]
            instance = self._component.instantiate()
            found = instance.call(function, manifest, [Record(name=v.name, value=v.value) for v in given])
            return {"err": plain(found)} if isinstance(found, list) else {"ok": plain(found)}
        return plain(self._call(function, *map(_from_json, arguments)))

    def _call(self, function: str, *arguments: Any, seconds: float = CALL_SECONDS) -> Any:
        if self._failures >= _FAILURES and time.monotonic() < self._resume_at:
            raise ComponentError(
                "FLOE-C006",
                "the policy component failed three times in a row and is left alone for a minute",
                "see the failures logged before",
            )
        try:
            instance: Instance | None = getattr(self._threads, "instance", None)
            if instance is None:
                instance = self._component.instantiate()
                if self._manifest is not None:
                    self._configure(instance)
                self._threads.instance = instance
            found = instance.call(function, *arguments, seconds=seconds)
        except ComponentError:
            self._threads.instance = None  # what a trap leaves behind is not to be trusted
            self._failures += 1
            self._resume_at = time.monotonic() + _PAUSE_SECONDS
            raise
        self._failures = 0
        return found

    def _configure(self, instance: Instance) -> Plan:
        found = instance.call("configuration.configure", _text(self._manifest or ""), self._variables)
        if isinstance(found, list):
            raise Rejected([_diagnostic(each) for each in found])
        return _plan(found)

    def _after_fork(self) -> None:
        self._threads = threading.local()


def _text(text: str) -> str:
    """Text that UTF-8 can carry: what is not (lone surrogates, from undecodable bytes) becomes a question
    mark.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _key_values(facts: Mapping[str, object]) -> list[Record]:
    return [
        Record(key=_text(key), value=json.dumps(value, default=str))
        for key, value in facts.items()
        if value is not None
    ]


def _attributes(key_values: Iterable[Any]) -> dict[str, AttributeValue]:
    decoded = ((each.key, json.loads(each.value)) for each in key_values)
    return {key: value for key, value in decoded if value is not None}


def _diagnostic(found: Any) -> Diagnostic:
    return Diagnostic(
        found.code,
        Severity(found.severity),
        found.path,
        found.line,
        found.column,
        found.message,
        found.help,
    )


def _exception(found: Any) -> ExceptionInfo:
    return ExceptionInfo(found.type, found.message, found.stacktrace)


def _exception_record(error: ExceptionInfo) -> Record:
    return Record(type=_text(error.type), message=_text(error.message), stacktrace=_text(error.stacktrace))


def _plan(found: Any) -> Plan:
    return Plan(
        enabled=found.enabled,
        environment=found.environment,
        resource=_attributes(found.resource),
        attributes=_attributes(found.attributes),
        sampler=_sampler(found.sampler),
        baggage=list(found.baggage),
        exporter=Exporter(found.exporter.endpoint, Protocol(found.exporter.protocol), found.exporter.timeout),
        batch=Batch(found.batch.queue, found.batch.size, found.batch.delay),
        interval=found.interval,
        shutdown=found.shutdown,
        logging=Logging(found.logging.level, found.logging.json),
        instruments=[
            Instrument(
                each.name, InstrumentKind(each.kind), each.unit, each.description, list(each.boundaries)
            )
            for each in found.instruments
        ],
        warnings=[_diagnostic(each) for each in found.warnings],
    )


def _sampler(found: Any) -> Sampler:
    return Sampler(
        tracestate=found.tracestate,
        named=found.named,
        scoped=found.scoped,
        dependencies=list(found.dependencies),
        rules=[Rule(_attributes(rule.attributes)) for rule in found.rules],
        limit=found.limit,
        failed=Buffer(found.failed.spans, found.failed.seconds, _attributes(found.failed.attributes)),
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return Record(**{name: _from_json(field) for name, field in value.items()})
    return [_from_json(each) for each in value] if isinstance(value, list) else value
