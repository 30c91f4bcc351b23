"""What is known of runs and steps."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from floe_telemetry.contract import OperationKind

_TAGS: Final = {
    "dagster/partition": "partition",
    "dagster/sensor_name": "sensor",
    "dagster/schedule_name": "schedule",
    "dagster/tick": "tick",
    "dagster/backfill": "backfill",
}
_ASKED: Final = frozenset(("sensor", "schedule", "tick"))
"""Who asked for a run. One that is made instead of it has copies of the tags, and nobody's asking."""
_MOST_NUMBERS: Final = 16


def of_run(run: Any) -> dict[str, object]:
    """Facts of a run, the same in each process."""
    tags: Mapping[str, str] = run.tags
    known: dict[str, object] = {
        name: tags[tag]
        for tag, name in _TAGS.items()
        if tag in tags and not (run.parent_run_id and name in _ASKED)
    }
    first, last = (tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    if first and last:
        known["partition"] = first if first == last else f"{first}...{last}"
    origin = run.remote_job_origin
    retry = tags.get("dagster/retry_number", "")
    return {
        "run_id": run.run_id,
        "code_location": origin.location_name if origin else tags.get("dagster/code_location"),
        "parent_run_id": run.parent_run_id,
        "retry_number": int(retry) if retry.isdecimal() else None,
        **known,
    }


class Step(NamedTuple):
    """An attempt of a step, as what kind of operation it is told."""

    kind: OperationKind
    name: str
    attempt: int
    """Counted from 1."""
    facts: dict[str, object]
    alone: str | None
    """The asset or the check that it is for, where it is for one alone."""


def of_step(context: Any, attempt: int) -> Step:
    """The step of Dagster's `StepExecutionContext`."""
    run, key = context.dagster_run, context.step.key
    known = _of_attempt(run, attempt) | _function(context)
    if not context.has_partitions:
        known.pop("partition", None)
    keys = sorted(context.get_output_asset_keys(), key=asset_name)
    if not keys:
        checks = _checks(context)
        if len(checks) == 1:
            known["step"] = key
            return Step(OperationKind.ASSET_CHECK, checks[0], attempt, known, checks[0])
        return Step(OperationKind.DAGSTER_STEP, key, attempt, known, None)
    nodes = [context.job_def.asset_layer.get(asset) for asset in keys]
    groups = {node.group_name for node in nodes}
    known["group"] = groups.pop() if len(groups) == 1 else None
    observed = all(node.execution_type.name == "OBSERVATION" for node in nodes)
    kind = OperationKind.ASSET_OBSERVATION if observed else OperationKind.ASSET_MATERIALIZATION
    return _of_assets(kind, key, known, [asset_name(asset) for asset in keys])


def is_executed(context: Any) -> bool:
    """Whether this is a `StepExecutionContext`: who only watches over steps has less."""
    return hasattr(context, "get_output_asset_keys")


def of_events(run: Any, step_key: str, attempt: int, assets: list[str]) -> Step:
    """A step of which this process has nothing but what Dagster stored."""
    known = _of_attempt(run, attempt)
    if assets:
        return _of_assets(OperationKind.ASSET_MATERIALIZATION, step_key, known, assets)
    return Step(OperationKind.DAGSTER_STEP, step_key, attempt, known, None)


def _of_assets(kind: OperationKind, step_key: str, known: dict[str, Any], assets: list[str]) -> Step:
    known = known | {"assets": assets}
    return Step(kind, step_key, known["attempt"], known, assets[0] if len(assets) == 1 else None)


def asset_name(key: Any) -> str:
    """An asset's key as Dagster writes it."""
    return "/".join(key.path)


def check_name(asset_key: Any, name: str) -> str:
    """A check's name, which is an asset's own."""
    return f"{asset_name(asset_key)}:{name}"


def numbers(metadata: Mapping[str, Any] | None) -> dict[str, object]:
    """The numbers of an event's metadata. Its texts, which may hold anything, stay in Dagster."""
    found: dict[str, object] = {}
    for name, value in (metadata or {}).items():
        number = getattr(value, "value", None)
        if isinstance(number, (int, float)) and not isinstance(number, bool) and len(found) < _MOST_NUMBERS:
            found[f"floe.dagster.metadata.{name}"] = float(number)
    return found


def _of_attempt(run: Any, attempt: int) -> dict[str, Any]:
    known = of_run(run)
    inherited = {name: known.get(name) for name in ("run_id", "code_location", "partition")}
    return {**inherited, "job": run.job_name, "attempt": attempt}


def _checks(context: Any) -> list[str]:
    layer, handle = context.job_def.asset_layer, context.node_handle
    selected = layer.get_selected_entity_keys_for_node(handle)
    keys = (
        layer.get_asset_check_key_for_node_output(handle, output.name) for output in context.step.step_outputs
    )
    return sorted(check_name(key.asset_key, key.name) for key in keys if key is not None and key in selected)


def _function(context: Any) -> dict[str, object]:
    """Where the user's function stands."""
    compute = getattr(context.op_def, "compute_fn", None)
    function = inspect.unwrap(getattr(compute, "decorated_fn", compute)) if compute is not None else None
    code = getattr(function, "__code__", None)
    if function is None or code is None:
        return {}
    return {
        "function": f"{function.__module__}.{function.__qualname__}",
        "code.file.path": code.co_filename,
        "code.line.number": code.co_firstlineno,
    }
