"""Instruments of an application's own, named by OpenTelemetry's rules and exported as floe's own are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry.metrics import Meter, NoOpCounter, NoOpHistogram, NoOpUpDownCounter
from opentelemetry.util.types import Attributes

from floe_telemetry._once import warn, warn_once
from floe_telemetry.contract import Instrument, InstrumentKind, Rejected

if TYPE_CHECKING:
    from floe_telemetry.policy import Policy

_MOST_INSTRUMENTS: Final = 1000
_LARGEST: Final = 2.0**63
"""OTLP's integers have 64 bits."""


class Adding(Protocol):
    """A counter, or an up-down counter."""

    def add(self, amount: float, attributes: Attributes = None) -> None:
        """Adds an amount to the sum of these attributes."""


class Recording(Protocol):
    """A histogram, or a gauge."""

    def record(self, amount: float, attributes: Attributes = None) -> None:
        """Records a value with these attributes."""


class _NoOpGauge:
    """The API's own has `set` only."""

    def record(self, amount: float, attributes: Attributes = None) -> None:
        """Does nothing."""


class MetricRecorder:
    """Makes instruments. The policy checks each once; an invalid one is one warning, and records nothing.

    Attribute sets of one instrument are bounded: what is beyond is recorded with `otel.metric.overflow`.
    No method raises, nor do the instruments'.
    """

    def __init__(self, policy: Policy | None = None, meter: Meter | None = None) -> None:
        self._policy: Final = policy
        self._meter: Final = meter
        self._made: dict[tuple[InstrumentKind, str, str, str], Any] = {}

    def counter(self, name: str, unit: str = "", description: str = "") -> Adding:
        """An instrument for a sum that only grows, such as rows that were read."""
        made: Adding = self._get(InstrumentKind.COUNTER, name, unit, description)
        return made

    def up_down_counter(self, name: str, unit: str = "", description: str = "") -> Adding:
        """An instrument for a sum that grows and shrinks, such as open connections."""
        made: Adding = self._get(InstrumentKind.UP_DOWN_COUNTER, name, unit, description)
        return made

    def histogram(self, name: str, unit: str = "", description: str = "") -> Recording:
        """An instrument for a distribution, such as of durations."""
        made: Recording = self._get(InstrumentKind.HISTOGRAM, name, unit, description)
        return made

    def gauge(self, name: str, unit: str = "", description: str = "") -> Recording:
        """An instrument for a value that does not add up, such as a temperature."""
        made: Recording = self._get(InstrumentKind.GAUGE, name, unit, description)
        return made

    def _get(self, kind: InstrumentKind, name: str, unit: str, description: str) -> Any:
        try:
            key = (kind, name, unit, description)
            made = self._made.get(key)
            if made is None:
                made = self._make(*key)
                if len(self._made) < _MOST_INSTRUMENTS:
                    made = self._made.setdefault(key, made)
            return made
        except Exception as error:  # such as a name that is no text
            warn_once(f"instrument {name!r:.80}", "the instrument %r records nothing: %r", name, error)
            return _no_op(kind)

    def _make(self, kind: InstrumentKind, name: str, unit: str, description: str) -> Any:
        if self._policy is None or self._meter is None:
            return _no_op(kind)
        if len(self._made) >= _MOST_INSTRUMENTS:
            warn_once("instruments", "there are %d instruments; no more are made", _MOST_INSTRUMENTS)
            return _no_op(kind)
        try:
            checked = self._policy.instrument(Instrument(name, kind, unit, description, []))
        except Rejected as refused:
            for problem in refused.diagnostics:
                warn("%s", problem.render(f"instrument {name:.80}"))
            return _no_op(kind)
        return _Guarded(name, kind is InstrumentKind.COUNTER, recorder(self._meter, checked))


class _Guarded:
    """An instrument that never raises."""

    __slots__ = ("_grows", "_name", "_record")

    def __init__(self, name: str, grows: bool, record: Callable[..., None]) -> None:
        self._name = name
        self._grows = grows
        self._record = record

    def add(self, amount: float, attributes: Attributes = None) -> None:
        """Records an amount; one that is no number, or cannot be summed, is one warning."""
        try:
            if not -_LARGEST < amount < _LARGEST or (self._grows and amount < 0):
                raise ValueError("not a number that this instrument takes")
            self._record(amount, attributes)
        except Exception as error:
            warn_once(f"measurement {self._name}", "what %s is given is not recorded: %r", self._name, error)

    record = add


def _no_op(kind: InstrumentKind) -> Any:
    match kind:
        case InstrumentKind.COUNTER:
            return NoOpCounter("none")
        case InstrumentKind.UP_DOWN_COUNTER:
            return NoOpUpDownCounter("none")
        case InstrumentKind.HISTOGRAM:
            return NoOpHistogram("none")
    return _NoOpGauge()


def recorder(meter: Meter, asked: Instrument) -> Callable[..., None]:
    """Makes an instrument, and answers with what records on it."""
    described = asked.name, asked.unit, asked.description
    match asked.kind:
        case InstrumentKind.COUNTER:
            return meter.create_counter(*described).add
        case InstrumentKind.UP_DOWN_COUNTER:
            return meter.create_up_down_counter(*described).add
        case InstrumentKind.HISTOGRAM:
            return meter.create_histogram(
                *described, explicit_bucket_boundaries_advisory=asked.boundaries or None
            ).record
    return meter.create_gauge(*described).set
