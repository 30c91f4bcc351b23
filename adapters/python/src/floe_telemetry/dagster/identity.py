"""Ids and contexts of runs, steps and ticks, which each of Dagster's processes knows without being told.

A run is begun in one process, its steps in others, and where a worker dies, a third one tells of it. So their
ids are made of Dagster's own.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags

from floe_telemetry.carriers import RUN_TAGS
from floe_telemetry.contract import OperationKind
from floe_telemetry.dagster import facts
from floe_telemetry.ids import Ids

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

_RANDOM: Final = 2
"""The trace flag that says that a trace ID is random (W3C Trace Context Level 2)."""


def hashed(size: int, *parts: object) -> int:
    """An id of so many bytes, made of the parts, that is not 0."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big") or 1


def run_ids(run_id: str) -> Ids:
    """The ids of a run's span. Its own trace has the run's ID, which Dagster draws at random (UUID version
    4). One that somebody else chose may be no random one, as sampling needs it.
    """
    try:
        drawn = uuid.UUID(run_id)
        trace_id = drawn.int if drawn.version == 4 else hashed(16, "trace", run_id)
    except ValueError:
        trace_id = hashed(16, "trace", run_id)
    return Ids(trace_id, hashed(8, "run", run_id))


def step_ids(run_id: str, step_key: str, attempt: int) -> Ids:
    """The ids of the span of a step's attempt, in the run's own trace."""
    return Ids(run_ids(run_id).trace_id, hashed(8, "step", run_id, step_key, attempt))


def tick_ids(instance: Any, tick_id: object) -> Ids:
    """The ids of a tick's span. Dagster counts ticks: each of its installations has a tick 1."""
    storage = instance.run_storage.get_run_storage_id()
    return Ids(hashed(16, "tick trace", storage, tick_id), hashed(8, "tick", storage, tick_id))


def parent_of_run(provider: TelemetryProvider, run: Any) -> Context:
    """The context of who launched a run, in the process that begins it: empty where nobody did.

    Dagster's daemon and servers outlive many runs: what they were started in launched none of them.
    """
    launcher = of_tags(provider, run.tags)
    if launcher is not None:
        return launcher
    if is_launched_remotely(run):
        return Context()
    current = otel_context.get_current()
    return current if _has_span(current) else provider.context


def is_launched_remotely(run: Any) -> bool:
    """Whether daemon or webserver launched a run. Then they or the code server tell if its worker dies."""
    return run.remote_job_origin is not None


def of_run(provider: TelemetryProvider, run: Any) -> Context:
    """The context of a run's span, in another process than the one that began it."""
    ids = run_ids(run.run_id)
    # A step worker has it in its environment.
    if trace.get_current_span(provider.context).get_span_context().span_id == ids.span_id:
        return provider.context
    launcher = of_tags(provider, run.tags)
    if launcher is None:
        return root(provider, ids, OperationKind.DAGSTER_RUN, run.job_name, facts.of_run(run))
    span = trace.get_current_span(launcher).get_span_context()
    mine = SpanContext(span.trace_id, ids.span_id, True, span.trace_flags, span.trace_state)
    return trace.set_span_in_context(NonRecordingSpan(mine), launcher)


def root(
    provider: TelemetryProvider, ids: Ids, kind: OperationKind, name: str, known: Mapping[str, object]
) -> Context:
    """The context of a span that begins its trace in another process, or did so. Whether it is sampled our
    sampler decides as it does there: by the trace's ID.
    """
    flags, state = _RANDOM, None
    if provider.sdk is not None and provider.policy is not None:
        beginning = provider.policy.begin(kind, name, known)
        decision = provider.sdk.tracer.sampler.should_sample(
            Context(), ids.trace_id, beginning.name, trace.SpanKind.INTERNAL, beginning.attributes
        )
        flags, state = _RANDOM | decision.decision.is_sampled(), decision.trace_state
    span = SpanContext(ids.trace_id, ids.span_id, True, TraceFlags(flags), state)
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def of_tags(provider: TelemetryProvider, tags: Mapping[str, str]) -> Context | None:
    """The context that a run's tags name."""
    context = provider.propagator.extract(tags, Context(), RUN_TAGS[0])
    return context if _has_span(context) else None


def retried(provider: TelemetryProvider, instance: Any, run: Any) -> list[Link]:
    """A link to the run that this one is made instead of."""
    failed = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    if failed is None:
        return []
    span = trace.get_current_span(of_run(provider, failed)).get_span_context()
    return [Link(span, {"floe.dagster.parent_run_id": failed.run_id})]


def upstream(run: Context, run_id: str, attempts: Mapping[str, int]) -> list[Link]:
    """Links to the steps of this run, by key and attempt, that a step depends on."""
    span = trace.get_current_span(run).get_span_context()
    return [
        Link(
            SpanContext(
                span.trace_id,
                step_ids(run_id, key, attempt).span_id,
                False,
                span.trace_flags,
                span.trace_state,
            ),
            {"floe.dagster.upstream": key},
        )
        for key, attempt in attempts.items()
        if span.is_valid
    ]


def _has_span(context: Context) -> bool:
    return trace.get_current_span(context).get_span_context().is_valid
