"""The policy, as every adapter of this package asks it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from floe_telemetry import records
from floe_telemetry._platform import after_fork_in_child
from floe_telemetry.calls import Strategy
from floe_telemetry.carriers import is_header
from floe_telemetry.contract import (
    Beginning,
    Deployment,
    Ending,
    ExceptionInfo,
    Explained,
    Extraction,
    Headers,
    Info,
    Instrument,
    Measurement,
    OperationKind,
    Outcome,
    Pacing,
    ParentMode,
    Plan,
    Rejected,
    SamplingDecision,
    SamplingIntent,
    SpanKind,
    Status,
    Variable,
)
from floe_telemetry.engine import (
    LINEAR,
    Component,
    ComponentError,
    Instance,
    World,
    check_contract,
)
from floe_telemetry.values import Record

WORLD: Final = World(
    name="policy",
    noun="policy component",
    functions={
        "describe": ("describe",),
        "configuration": ("variables", "configure", "explain"),
        "propagation": ("extract", "inject", "child-baggage"),
        "sampling": ("intent", "decide", "pace"),
        "operations": ("begin", "end"),
        "errors": ("classify", "redact", "names-secret"),
        "metrics": ("instrument",),
        "collector": ("plan",),
    },
    wasi_limits=LINEAR,
    missing="install the floe-telemetry wheel, which carries one, or set FLOE_TELEMETRY_COMPONENT",
    fault="report it to the component's author; the pipeline goes on without this decision",
)

_REDACT_BYTES: Final = 64 * 1024
"""Most text in one call of `redact`: its time is linear in it, and a call's time is limited."""
_MOST_IDLE: Final = 16
"""Each has memory of its own."""
_FAILURES: Final = 3
_PAUSE_SECONDS: Final = 60.0


def component_path() -> Path:
    """The component of this process: `FLOE_TELEMETRY_COMPONENT` if it is set, else the one that the wheel
    carries.
    """
    chosen = os.environ.get("FLOE_TELEMETRY_COMPONENT")
    return Path(chosen) if chosen else Path(__file__).with_name("floe_policy.wasm")


class Policy:
    """A policy component with one configuration. Any thread may call it; each call has an instance to itself,
    an idle one if there is one: a new one takes milliseconds, and tools start threads at will.

    Every method but `load` and `configure` may raise [`ComponentError`] with the code FLOE-C006. After three
    of them in a row the component is left alone for a minute, so that one that loops cannot slow a pipeline
    down.
    """

    def __init__(self, component: Component, configuration: _Configuration | None = None) -> None:
        self._component = component
        self._configuration: Final = configuration
        self._idle: list[Instance] = []
        self._child_baggage: tuple[str | None, str] = None, ""
        """The last text that was asked for, and the answer."""
        self._failures = 0
        self._resume_at = 0.0
        after_fork_in_child(self._after_fork)

    @classmethod
    def load(cls, path: Path | None = None, calls: Strategy | None = None) -> Policy:
        """The policy before configuration: context propagates, no span is kept. `calls` is another way of
        calling than the process's.
        """
        policy = cls(Component.load(WORLD, path or component_path(), calls))
        check_contract(policy.describe().contract)
        return policy

    def configure(
        self,
        manifest: str,
        variables: Iterable[Variable] = (),
        settings: Mapping[str, object] | None = None,
    ) -> tuple[Policy, Plan]:
        """The same component with this configuration, and its plan. Raises [`Rejected`] with all errors.

        `settings` are those of the code that calls, by their path below `observability.telemetry`.
        """
        configuration = _configuration(manifest, variables, settings)
        configured = Policy(self._component, configuration)
        instance = configured._component.instantiate()
        plan = configured._configure(instance, configuration)
        configured._idle.append(instance)
        return configured, plan

    @property
    def digest(self) -> str:
        """SHA-256 of the component, in hexadecimal digits."""
        return self._component.digest

    def describe(self) -> Info:
        """Who the component is."""
        return records.info(self._call("describe.describe"))

    def variables(self) -> list[str]:
        """Names of the environment variables that `configure` takes."""
        return list(self._call("configuration.variables"))

    def given(self, environ: Mapping[str, str]) -> list[Variable]:
        """The variables of an environment that `configure` takes."""
        return [Variable(name, environ[name]) for name in self.variables() if name in environ]

    def explain(self) -> list[Explained]:
        """Where each effective value of the configuration comes from. Raises [`Rejected`]."""
        found = self._call("configuration.explain", *self._configured)
        if found.tag == "err":
            raise Rejected(records.diagnostics(found.payload))
        return records.explained(found.payload)

    def deployment(self, manifest: str, variables: Iterable[Variable] = ()) -> Deployment:
        """What a manifest says about the Collector and its backends. Raises [`Rejected`]."""
        text, given, _ = _configuration(manifest, variables, None)
        found = self._call("collector.plan", text, given)
        if isinstance(found, list):
            raise Rejected(records.diagnostics(found))
        return records.deployment(found)

    def extract(self, traceparent: str, tracestate: str, baggage: str) -> Extraction:
        """Reads incoming headers. An absent one is the empty string."""
        found = self._call(
            "propagation.extract", records.text(traceparent), records.text(tracestate), records.text(baggage)
        )
        return Extraction(
            found.high,
            found.low,
            found.span,
            found.flags,
            found.tracestate,
            found.baggage,
            records.diagnostics(found.problems),
        )

    def inject(self, high: int, low: int, span: int, flags: int, tracestate: str, baggage: str) -> Headers:
        """Writes outgoing headers."""
        found = self._call(
            "propagation.inject", high, low, span, flags, records.text(tracestate), records.text(baggage)
        )
        return Headers(found.traceparent, found.tracestate, found.baggage)

    def child_baggage(self, baggage: str) -> str:
        """The baggage that the children of an operation see. It depends on the text alone, and operations
        that follow each other have the same for the most part.
        """
        last = self._child_baggage
        if last[0] != baggage:
            children = str(self._call("propagation.child-baggage", records.text(baggage)))
            if not is_header(children):
                children = baggage
            last = self._child_baggage = baggage, children
        return last[1]

    def intent(
        self, scope: str, name: str, kind: SpanKind, attributes: Mapping[str, object]
    ) -> SamplingIntent:
        """How to decide every span of this scope, name, kind and attributes."""
        found = self._call(
            "sampling.intent",
            records.text(scope),
            records.text(name),
            kind.value,
            records.key_values(attributes),
        )
        return SamplingIntent(found.threshold, ParentMode(found.parent), found.rule, found.tracestate)

    def decide(self, low: int, tracestate: str, threshold: int) -> SamplingDecision:
        """Decides a span whose parent is ignored and has a tracestate."""
        found = self._call("sampling.decide", low, records.text(tracestate), threshold)
        return SamplingDecision(found.keep, found.tracestate)

    def pace(self, limit: float, rate: float, offered: int, seconds: float) -> Pacing:
        """Paces the start of traces."""
        found = self._call("sampling.pace", float(limit), float(rate), offered, float(seconds))
        return Pacing(found.rate, found.threshold, found.tracestate, found.budget, found.seconds)

    def begin(self, kind: OperationKind, name: str, facts: Mapping[str, object]) -> Beginning:
        """Begins an operation."""
        found = self._call("operations.begin", str(kind), records.text(name), records.json_object(facts))
        return Beginning(
            found.name, SpanKind(found.kind), records.of_object(found.attributes), list(found.recalls)
        )

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
            records.text(name),
            records.text(status),
            float(seconds),
            records.json_object(facts),
            records.exception_record(error) if error else None,
        )
        return Ending(
            Outcome(found.outcome),
            Status(found.status),
            found.description,
            records.of_object(found.attributes),
            records.exception(found.exception) if found.exception else None,
            [
                Measurement(each.instrument, each.value, records.of_object(each.attributes))
                for each in found.measurements
            ],
        )

    def classify(self, error: ExceptionInfo) -> ExceptionInfo:
        """Names and cleans an exception."""
        return records.exception(self._call("errors.classify", records.exception_record(error)))

    def redact(self, texts: Sequence[str]) -> list[str]:
        """Redacts credentials in each text: same length and order."""
        redacted: list[str] = []
        chunk: list[str] = []
        size = 0
        for text in texts:
            if chunk and size + len(text) > _REDACT_BYTES:
                redacted += self._redact(chunk, size)
                chunk, size = [], 0
            chunk.append(records.text(text))
            size += len(text)
        return redacted + (self._redact(chunk, size) if chunk else [])

    def names_secret(self, names: Sequence[str]) -> list[bool]:
        """Whether each name, of an attribute or a header, is one of secrets: same length and order."""
        found = self._call("errors.names-secret", [records.text(name) for name in names])
        if len(found) != len(names):
            raise ComponentError(
                "FLOE-C006", "names-secret answers another number of names", "report it to the author"
            )
        return list(found)

    def instrument(self, asked: Instrument) -> Instrument:
        """An application's own instrument as it is created. Raises [`Rejected`] with all that is wrong."""
        found = self._call("metrics.instrument", records.instrument_record(asked))
        if isinstance(found, list):
            raise Rejected(records.diagnostics(found))
        return records.instrument(found)

    def _redact(self, texts: list[str], size: int) -> list[str]:
        found = self._call("errors.redact", texts, seconds=LINEAR.seconds * (1 + size / _REDACT_BYTES))
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
        given = [records.from_json(each) for each in arguments]
        if function == "configuration.configure":
            found = self._component.instantiate().call(function, *given)
        else:
            found = self._call(function, *given)
        return records.to_json(function, found)

    @property
    def _configured(self) -> _Configuration:
        if self._configuration is None:
            raise ValueError("the policy is not configured")
        return self._configuration

    def _call(self, function: str, *arguments: Any, seconds: float | None = None) -> Any:
        if self._failures >= _FAILURES and time.monotonic() < self._resume_at:
            raise ComponentError(
                "FLOE-C006",
                "the policy component failed three times in a row and is left alone for a minute",
                "see the failures logged before",
            )
        try:
            instance = self._instance()
            found = instance.call(function, *arguments, seconds=seconds)
        except ComponentError:  # the instance is forgotten: what a trap leaves behind is not to be trusted
            self._failures += 1
            self._resume_at = time.monotonic() + _PAUSE_SECONDS
            raise
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(instance)
        self._failures = 0
        return found

    def warm(self, instances: int) -> None:
        """Makes instances until this many are idle, before threads that must not wait call at once."""
        while len(self._idle) < instances:
            instance = self._made()
            for function in _OF_OPERATIONS:
                instance.prepare(function)
            self._idle.append(instance)

    def _instance(self) -> Instance:
        try:
            return self._idle.pop()
        except IndexError:
            return self._made()

    def _made(self) -> Instance:
        instance = self._component.instantiate()
        if self._configuration is not None:
            self._configure(instance, self._configuration)
        return instance

    def _configure(self, instance: Instance, configuration: _Configuration) -> Plan:
        found = instance.call("configuration.configure", *configuration)
        if isinstance(found, list):
            raise Rejected(records.diagnostics(found))
        return records.plan(found)

    def _after_fork(self) -> None:
        self._idle = []


_OF_OPERATIONS: Final = (
    "operations.begin",
    "operations.end",
    "propagation.child-baggage",
    "sampling.intent",
    "sampling.decide",
)

_Configuration = tuple[str, list[Record], list[Record]]
"""Manifest, variables and settings as arguments."""


def _configuration(
    manifest: str, variables: Iterable[Variable], settings: Mapping[str, object] | None
) -> _Configuration:
    return (
        records.text(manifest),
        [Record(name=found.name, value=records.text(found.value)) for found in variables],
        records.key_values(settings or {}),
    )
