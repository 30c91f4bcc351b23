"""Runs, their steps, and what steps tell of assets and checks: events become operations, at their times.

An event is told in the process in which it happens. Who stores the event that ends something tells the
operation: where a worker died, that is another process than the one that saw it begin.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.context import Context

from floe_telemetry._guard import Guard
from floe_telemetry.carriers import normal_name
from floe_telemetry.contract import ExceptionInfo, OperationKind
from floe_telemetry.dagster import errors, facts, identity
from floe_telemetry.dagster.environ import Entry
from floe_telemetry.dagster.facts import Step
from floe_telemetry.operation import Operation

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

_SECOND: Final = 1_000_000_000
_MOST_STEPS: Final = 20
_guard: Final = Guard("what became of a run's steps is lost to telemetry")
_Key = tuple[str, str | None]


class Event(NamedTuple):
    """An event that was stored."""

    instance: Any
    """The `DagsterInstance`."""
    entry: Any
    """The `EventLogEntry`."""
    context: Any
    """The `StepExecutionContext`, if a step of this process tells it."""

    @property
    def name(self) -> str:
        """For example `STEP_START`."""
        return str(self.entry.dagster_event.event_type_value)

    @property
    def key(self) -> _Key:
        """Run and step, or the run alone."""
        return self.entry.run_id, self.entry.dagster_event.step_key

    @property
    def data(self) -> Any:
        """What events of its type tell."""
        return self.entry.dagster_event.event_specific_data

    @property
    def time(self) -> int:
        """Nanoseconds since 1970."""
        return nanoseconds(self.entry.timestamp)


def nanoseconds(seconds: float) -> int:
    """A time of Dagster's: it has microseconds."""
    return round(seconds * 1_000_000) * 1000


class _Open:
    """An operation that goes on, in this process's context and environment."""

    def __init__(self, provider: TelemetryProvider, operation: Operation, step: Step | None = None) -> None:
        self.operation: Final = operation
        self.step: Final = step
        self.made: Final[dict[str, None]] = {}
        """The assets that were materialized."""
        self.told: Final[list[tuple[int, str | None, dict[str, object]]]] = []
        """When, of which partition and with which numbers the step's only asset was."""
        self.checked: str | None = None
        """How the check that the step is for ended."""
        self.failed: ExceptionInfo | None = None
        """Of a run, what the first of its steps failed with that failed in this process."""
        names = [normal_name(field) for field in provider.propagator.fields]
        self._environ: Final = Entry(names, provider.environ(operation.context))
        operation.attach()

    def leave(self) -> None:
        """The process's context and environment are as they were. A second call does nothing."""
        self.operation.detach()
        self._environ.leave()

    def close(self, status: str, error: ExceptionInfo | None, time: int) -> None:
        self.operation.detach()
        try:
            if self.step is not None:
                if self.step.kind is OperationKind.ASSET_MATERIALIZATION:
                    self.operation.add(materialized=list(self.made))
                self._numbers()
                if status == "STEP_SUCCESS" and self.checked is not None:
                    status = self.checked
            self.operation.end(status, error=error, end_time=time)
        finally:
            self._environ.leave()

    def _numbers(self) -> None:
        """One materialization's numbers are the step's. Those of several partitions would hide each other:
        each is an event.
        """
        if len(self.told) == 1:
            self.operation.add(**self.told[0][2])
        elif self.operation.span.is_recording():
            for time, partition, numbers in self.told:
                known = {"floe.dagster.partition": partition, **numbers}
                self.operation.span.add_event(
                    "dagster.materialization",
                    {name: value for name, value in known.items() if value is not None},  # type: ignore[misc]
                    time,
                )


class Runs:
    """What goes on in this process."""

    def __init__(self) -> None:
        self._open: Final[dict[_Key, _Open]] = {}
        self._lock: Final = threading.Lock()

    @staticmethod
    def takes(name: str) -> bool:
        """Whether an event of this type says anything here."""
        return name in _TAKERS

    def take(self, provider: TelemetryProvider, event: Event) -> None:
        """Takes one event. What has ended is left, also where this fails: the next run is no child of it."""
        try:
            _TAKERS[event.name](self, provider, event)
        finally:
            if event.name in _ENDS:
                self._leave(event.key)

    def _leave(self, key: _Key) -> None:
        """Leaves a step, or a run with its steps, that is still open."""
        run_id, step_key = key
        with self._lock:
            steps = [each for each in self._open if each[0] == run_id and each[1] is not None]
            keys = [key] if step_key is not None else [*reversed(steps), key]
            left = [opened for each in keys if (opened := self._open.pop(each, None)) is not None]
        for opened in left:
            opened.leave()

    def context_of(self, run_id: str, step_key: str | None) -> Context | None:
        """The context of a step, or else of its run, if it goes on in this process."""
        opened = self._open.get((run_id, step_key)) or self._open.get((run_id, None))
        return opened.operation.context if opened else None

    def run_starts(self, provider: TelemetryProvider, event: Event) -> None:
        """A run starts."""
        run = event.instance.get_run_by_id(event.entry.run_id)
        operation = _begin_run(provider, event.instance, run, event.time)
        if identity.is_launched_remotely(run):
            operation.add(queue_seconds=_queued(event.instance, run.run_id))
        self._keep(event.key, _Open(provider, operation))

    def run_ends(self, provider: TelemetryProvider, event: Event) -> None:
        """A run ends, as its worker says; or else its worker did not live to say so."""
        run_id = event.entry.run_id
        error = errors.of_event(event.entry.dagster_event)
        here = self._open.get((run_id, None))
        if here is not None and here.failed is not None:
            error = here.failed
        for key in [key for key in list(self._open) if key[0] == run_id and key[1] is not None]:
            self._close(
                key, "cancelled" if event.name == "PIPELINE_CANCELED" else "abandoned", None, event.time
            )
        if here is not None:
            with _guard:
                here.operation.add(**_counted(event))
        if self._close((run_id, None), event.name, error, event.time):
            return
        record = event.instance.get_run_record_by_id(run_id)
        run = record.dagster_run
        started = nanoseconds(record.start_time) if record.start_time else event.time
        if event.name == "PIPELINE_FAILURE" and record.start_time:
            error = error or ExceptionInfo("abandoned", event.entry.dagster_event.message or "", "")
        operation = _begin_run(provider, event.instance, run, started)
        _lost_steps(provider, event, run, operation.context)
        with _guard:
            operation.add(**_counted(event))
        operation.end(event.name, error=error, end_time=event.time)

    def step_starts(self, provider: TelemetryProvider, event: Event) -> None:
        """An attempt of a step starts."""
        if facts.is_executed(event.context):
            run = event.context.dagster_run
            step = facts.of_step(event.context, event.context.previous_attempt_count + 1)
        else:
            run = event.instance.get_run_by_id(event.entry.run_id)
            step = _stored_step(event, run, _stored(event))
        operation = self._begin_step(provider, run, step, event.key, event.time, _upstream(event))
        self._keep(event.key, _Open(provider, operation, step))

    def step_ends(self, provider: TelemetryProvider, event: Event) -> None:
        """An attempt of a step ends. One that did not start here was skipped, or its own process died."""
        error = errors.of_event(event.entry.dagster_event)
        here = self._open.get((event.entry.run_id, None))
        if here is not None and event.name == "STEP_FAILURE":
            here.failed = here.failed or error
        if self._close(event.key, event.name, error, event.time):
            return
        run = event.instance.get_run_by_id(event.entry.run_id)
        stored = _stored(event)
        if facts.is_executed(event.context):
            step = facts.of_step(event.context, stored.attempts or 1)
        else:
            step = _stored_step(event, run, stored)
        started = nanoseconds(stored.attempts_list[-1].start_time)
        operation = self._begin_step(provider, run, step, event.key, started)
        operation.end(event.name, error=error, end_time=event.time)

    def asset(self, provider: TelemetryProvider, event: Event) -> None:
        """An asset was materialized or observed. Dagster says when, not how long it took."""
        data = event.data
        told = data.materialization if event.name == "ASSET_MATERIALIZATION" else data.asset_observation
        name = facts.asset_name(told.asset_key)
        numbers = facts.numbers(told.metadata)
        opened = self._open.get(event.key)
        if opened is not None:
            opened.made[name] = None
            if opened.step is not None and opened.step.alone == name:
                opened.told.append((event.time, told.partition, numbers))
                return
        materialized = event.name == "ASSET_MATERIALIZATION"
        kind = OperationKind.ASSET_MATERIALIZATION if materialized else OperationKind.ASSET_OBSERVATION
        known = {"assets": [name], "partition": told.partition, **numbers}
        self._point(provider, event, kind, event.key[1] or name, known, "success")

    def check(self, provider: TelemetryProvider, event: Event) -> None:
        """A check of an asset was evaluated."""
        data = event.data
        name = facts.check_name(data.asset_key, data.check_name)
        severity = data.severity.name
        status = "pass" if data.passed else "warn" if severity == "WARN" else "fail"
        known: dict[str, object] = {"severity": severity, "blocking": data.blocking}
        known |= facts.numbers(data.metadata)
        opened = self._open.get(event.key)
        if opened is not None and opened.step is not None and opened.step.alone == name:
            opened.checked = status
            opened.operation.add(**known)
            return
        self._point(
            provider, event, OperationKind.ASSET_CHECK, name, {"partition": data.partition, **known}, status
        )

    def _point(
        self,
        provider: TelemetryProvider,
        event: Event,
        kind: OperationKind,
        name: str,
        known: Mapping[str, object],
        status: str,
    ) -> None:
        """An operation of which only the end is known."""
        run_id, step_key = event.key
        parent = self.context_of(run_id, step_key) if run_id else None
        if parent is None and run_id:
            parent = identity.of_run(provider, event.instance.get_run_by_id(run_id))
        about = {"run_id": run_id or None, "job": event.entry.job_name, "step": step_key}
        if kind is not OperationKind.ASSET_CHECK:
            about.pop("step")
        operation = provider.operation(kind, name, **about, **known)
        operation.begin(start_time=event.time, parent=parent, outlived=True)
        operation.end(status, end_time=event.time)

    def _begin_step(
        self,
        provider: TelemetryProvider,
        run: Any,
        step: Step,
        key: _Key,
        started: int,
        upstream: Mapping[str, int] | None = None,
    ) -> Operation:
        here = self._open.get((run.run_id, None))
        parent = here.operation.context if here else identity.of_run(provider, run)
        return provider.operation(step.kind, step.name, **step.facts).begin(
            start_time=started,
            parent=parent,
            links=identity.upstream(parent, run.run_id, upstream or {}),
            ids=identity.step_ids(run.run_id, str(key[1]), step.attempt),
            # The run's worker tells when a step's dies.
            outlived=here is None or identity.is_launched_remotely(run),
        )

    def _keep(self, key: _Key, opened: _Open) -> None:
        with self._lock:
            before = self._open.pop(key, None)
            self._open[key] = opened
        if before:
            before.close("cancelled", None, time.time_ns())

    def _close(self, key: _Key, status: str, error: ExceptionInfo | None, time: int) -> bool:
        with self._lock:
            opened = self._open.pop(key, None)
        if opened is None:
            return False
        opened.close(status, error, time)
        return True


def _begin_run(provider: TelemetryProvider, instance: Any, run: Any, started: int) -> Operation:
    return provider.operation(OperationKind.DAGSTER_RUN, run.job_name, **facts.of_run(run)).begin(
        start_time=started,
        parent=identity.parent_of_run(provider, run),
        links=identity.retried(provider, instance, run),
        ids=identity.run_ids(run.run_id),
        outlived=identity.is_launched_remotely(run),
    )


def _upstream(event: Event) -> dict[str, int]:
    """The steps of this run that a step depends on, and which attempt of each it was that succeeded."""
    if not facts.is_executed(event.context):
        return {}
    retries = event.context.get_known_state().get_retry_state()
    return {
        key: retries.get_attempt_count(key) + 1
        for key in sorted(event.context.step.get_execution_dependency_keys())
    }


def _counted(event: Event) -> dict[str, object]:
    """What became of a run's steps, as Dagster stored it."""
    run = event.instance.get_run_by_id(event.entry.run_id)
    planned: list[str] = []
    if run.execution_plan_snapshot_id:
        snapshot = event.instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        planned = list(snapshot.step_keys_to_execute)
    status = {
        stored.step_key: stored.status.name if stored.status else ""
        for stored in event.instance.get_run_step_stats(run.run_id)
    }
    failed = sorted(key for key, word in status.items() if word == "FAILURE")
    # Dagster tells of no step whose upstream failed.
    left = [key for key in planned if status.get(key, "SKIPPED") == "SKIPPED"]
    return {
        "nodes_total": len({*planned, *status}),
        "nodes_failed": len(failed),
        "nodes_skipped": len(left),
        "failed_nodes": failed[:_MOST_STEPS] or None,
        "steps_not_run": left[:_MOST_STEPS] or None,
    }


def _queued(instance: Any, run_id: str) -> float | None:
    """How long a run waited, in seconds, from when it was put into the queue until it was taken out."""
    from dagster import DagsterEventType

    times = {
        entry.dagster_event.event_type: entry.timestamp
        for entry in instance.all_logs(
            run_id, of_type={DagsterEventType.RUN_ENQUEUED, DagsterEventType.RUN_STARTING}
        )
    }
    if len(times) < 2:
        return None
    return float(times[DagsterEventType.RUN_STARTING] - times[DagsterEventType.RUN_ENQUEUED])


def _lost_steps(provider: TelemetryProvider, event: Event, run: Any, parent: Context) -> None:
    """The steps that went on when the run's worker died."""
    lost = ExceptionInfo("abandoned", "the process that ran it died", "")
    for stored in event.instance.get_run_step_stats(run.run_id):
        if stored.partial_attempt_start is not None:
            step = _stored_step(event, run, stored)
            operation = provider.operation(step.kind, step.name, **step.facts).begin(
                start_time=nanoseconds(stored.partial_attempt_start),
                parent=parent,
                ids=identity.step_ids(run.run_id, stored.step_key, step.attempt),
                outlived=True,
            )
            operation.end("abandoned", error=lost, end_time=event.time)


def _stored(event: Event) -> Any:
    """What Dagster stored of the step of an event."""
    [stored] = event.instance.get_run_step_stats(event.entry.run_id, [event.key[1]])
    return stored


def _stored_step(event: Event, run: Any, stored: Any) -> Step:
    """A step that ran elsewhere, by what Dagster stored when it planned it."""
    from dagster import DagsterEventType

    planned = event.instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    assets = [
        facts.asset_name(entry.dagster_event.event_specific_data.asset_key)
        for entry in planned
        if entry.dagster_event.step_key == stored.step_key
    ]
    return facts.of_events(run, stored.step_key, stored.attempts or 1, sorted(assets))


_RUN_ENDS: Final = ("PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED")
_STEP_ENDS: Final = ("STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED", "STEP_UP_FOR_RETRY")
_ENDS: Final = frozenset((*_RUN_ENDS, *_STEP_ENDS))
_TAKERS: Final[dict[str, Callable[[Runs, TelemetryProvider, Event], None]]] = {
    "PIPELINE_START": Runs.run_starts,
    **dict.fromkeys(_RUN_ENDS, Runs.run_ends),
    **dict.fromkeys(("STEP_START", "STEP_RESTARTED"), Runs.step_starts),
    **dict.fromkeys(_STEP_ENDS, Runs.step_ends),
    **dict.fromkeys(("ASSET_MATERIALIZATION", "ASSET_OBSERVATION"), Runs.asset),
    "ASSET_CHECK_EVALUATION": Runs.check,
}
