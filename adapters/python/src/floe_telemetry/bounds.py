"""What stands in a plan, bounded before it is used: a policy is somebody else's code."""

from __future__ import annotations

import itertools
import math
from typing import Final

from floe_telemetry._once import warn_once
from floe_telemetry.contract import Batch, Exporter, Exporters, Instrument, InstrumentKind, Plan

_QUEUE: Final = (1, 1_000_000)
_DELAY: Final = (1, 600_000)
_TIMEOUT: Final = (1, 600_000)
_SHUTDOWN: Final = (0, 300_000)
_INTERVAL: Final = (10, 86_400_000)
_CARDINALITY: Final = (1, 100_000)
_WAITING: Final = (0, 1_000_000)
_SECONDS: Final = (0, 10 * 365 * 86_400)
_HEARTBEAT: Final = (1, 10 * 365 * 86_400)
_MOST_BOUNDARIES: Final = 1000
_LONGEST_NAME: Final = 255


def bounded(plan: Plan) -> Plan:
    """The plan, with each number in the bounds of this host and without the instruments that nobody could
    record on. What is changed is one warning each, FLOE-H006.
    """
    batches = plan.batches._replace(
        spans=_batch("batches.spans", plan.batches.spans), logs=_batch("batches.logs", plan.batches.logs)
    )
    failed = plan.sampler.failed
    limit = plan.sampler.limit
    if not math.isfinite(limit) or limit < 0:
        _said("sampler.limit", limit, 0.0)
        limit = 0.0
    return plan._replace(
        exporters=Exporters(*(exporter and _exporter(exporter) for exporter in plan.exporters)),
        batches=batches,
        interval=_within("interval", plan.interval, _INTERVAL),
        cardinality=_within("cardinality", plan.cardinality, _CARDINALITY),
        shutdown=_within("shutdown", plan.shutdown, _SHUTDOWN),
        sampler=plan.sampler._replace(
            limit=limit,
            failed=failed._replace(
                spans=_within("sampler.failed.spans", failed.spans, _WAITING),
                seconds=_within("sampler.failed.seconds", failed.seconds, _SECONDS),
            ),
        ),
        operations=plan.operations._replace(
            heartbeat=_within("operations.heartbeat", plan.operations.heartbeat, _HEARTBEAT),
            abandoned=_within("operations.abandoned", plan.operations.abandoned, _SECONDS),
        ),
        instruments=[_instrument(each) for each in plan.instruments if _is_named(each)],
    )


def _batch(name: str, batch: Batch) -> Batch:
    queue = _within(f"{name}.queue", batch.queue, _QUEUE)
    return Batch(
        queue,
        _within(f"{name}.size", batch.size, (1, queue)),
        _within(f"{name}.delay", batch.delay, _DELAY),
    )


def _exporter(exporter: Exporter) -> Exporter:
    return exporter._replace(timeout=_within("exporters.timeout", exporter.timeout, _TIMEOUT))


def _instrument(asked: Instrument) -> Instrument:
    boundaries = asked.boundaries
    if asked.kind is not InstrumentKind.HISTOGRAM or (
        len(boundaries) <= _MOST_BOUNDARIES
        and all(map(math.isfinite, boundaries))
        and all(low < high for low, high in itertools.pairwise(boundaries))
    ):
        return asked
    kept = sorted({each for each in boundaries if math.isfinite(each)})[:_MOST_BOUNDARIES]
    _said(f"the boundaries of {asked.name}", "what does not increase", kept)
    return asked._replace(boundaries=kept)


def _is_named(asked: Instrument) -> bool:
    if 0 < len(asked.name) <= _LONGEST_NAME and asked.name.isascii() and asked.name.isprintable():
        return True
    _said("the name of an instrument", asked.name[:40], "no instrument")
    return False


def _within(name: str, value: int, bounds: tuple[int, int]) -> int:
    least, most = bounds
    within = min(max(value, least), most)
    if within != value:
        _said(name, value, within)
    return within


def _said(name: str, value: object, used: object) -> None:
    warn_once(
        f"bounds {name}",
        "warning[FLOE-H006]: the policy's plan has %r for %s, which this host takes as %r\n"
        "  help: report it to the author of the policy component",
        value,
        name,
        used,
    )
