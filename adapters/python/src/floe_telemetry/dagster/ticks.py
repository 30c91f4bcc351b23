"""Ticks of sensors and schedules. They have no events: Dagster stores each at its start and at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from floe_telemetry.carriers import TAG_PREFIX
from floe_telemetry.contract import OperationKind
from floe_telemetry.dagster import errors, identity

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

_FINISHED: Final = frozenset(("SUCCESS", "SKIPPED", "FAILURE"))
_SECOND: Final = 1_000_000_000
_INSTIGATORS: Final = {
    "dagster/schedule_name": OperationKind.SCHEDULE_TICK,
    "dagster/sensor_name": OperationKind.SENSOR_TICK,
}


def updated(provider: TelemetryProvider, instance: Any, tick: Any) -> None:
    """A tick was stored. One that has finished becomes an operation; one that did nothing is measured alone,
    unless the manifest wants more: a sensor ticks every half minute, mostly for nothing.
    """
    data = tick.tick_data
    if data.status.name not in _FINISHED:
        return
    is_schedule = data.instigator_type.name == "SCHEDULE"
    kind = OperationKind.SCHEDULE_TICK if is_schedule else OperationKind.SENSOR_TICK
    ended = data.end_timestamp or time.time()
    if data.status.name == "SKIPPED" and not _are_skipped_told(provider):
        _measure(provider, kind, data.instigator_name, data.status.name, ended - data.timestamp)
        return
    operation = provider.operation(kind, data.instigator_name, tick=str(tick.tick_id))
    operation.begin(
        start_time=round(data.timestamp * _SECOND),
        parent=Context(),
        ids=identity.tick_ids(instance, tick.tick_id),
        outlived=True,
    )
    operation.end(
        data.status.name,
        error=errors.info(data.error) if data.error else None,
        end_time=round(ended * _SECOND),
        runs=list(data.run_ids) or None,
        skip_reason=data.skip_reason,
    )


def _are_skipped_told(provider: TelemetryProvider) -> bool:
    return provider.plan is not None and provider.plan.operations.skipped_ticks


def _measure(
    provider: TelemetryProvider, kind: OperationKind, name: str, status: str, seconds: float
) -> None:
    if provider.policy is not None and provider.sdk is not None:
        ending = provider.policy.end(kind, name, status, max(0.0, seconds), {}, None)
        provider.sdk.record(ending.measurements, Context())


def tags_of_run(
    provider: TelemetryProvider, instance: Any, tags: Mapping[str, str] | None, *, retried: str | None = None
) -> Mapping[str, str] | None:
    """The tags of a run that is created, with the context of who asks for it: a tick, or the current span.
    Who names one already is obeyed, but for a run made instead of another (`retried`): Dagster copies the
    tags of that one, and its trace has ended.
    """
    given = tags or {}
    if retried and provider.enabled:
        tags = given = _without_copied(given, instance, retried)
    if identity.of_tags(provider, given) is not None:
        return tags
    launcher = _of_tags(provider, instance, given) if provider.enabled and not retried else None
    if launcher is None:
        launcher = otel_context.get_current()
        span = trace.get_current_span(launcher).get_span_context()
        # What a server was started in launches none of its runs.
        if not span.is_valid or span == trace.get_current_span(provider.context).get_span_context():
            return tags
    return {**given, **provider.run_tags(launcher)}


def _without_copied(tags: Mapping[str, str], instance: Any, retried: str) -> Mapping[str, str]:
    """The tags without the context of the run that is tried again."""
    before = instance.get_run_by_id(retried)
    if before is None:
        return tags
    return {
        name: value
        for name, value in tags.items()
        if not (name.startswith(TAG_PREFIX) and before.tags.get(name) == value)
    }


def context_of_log(provider: TelemetryProvider, logger: Any) -> Context | None:
    """The context of the tick whose `InstigationLogger` this is. The last part of a log's key is the tick's
    ID, but not where a sensor is tried by hand.
    """
    key, instance = logger._log_key, logger._instance
    if not key or instance is None or not key[-1].isdecimal():
        return None
    name = str(logger._instigator_name)
    return _context(provider, instance, OperationKind.SENSOR_TICK, name, key[-1])


def _of_tags(provider: TelemetryProvider, instance: Any, tags: Mapping[str, str]) -> Context | None:
    tick = tags.get("dagster/tick")
    for tag, kind in _INSTIGATORS.items():
        if tick and tag in tags:
            return _context(provider, instance, kind, tags[tag], tick)
    return None


def _context(
    provider: TelemetryProvider, instance: Any, kind: OperationKind, name: str, tick: str
) -> Context:
    return identity.root(provider, identity.tick_ids(instance, tick), kind, name, {"tick": tick})
