"""What the counted test of Dagster runs: one job for each way in which a run can go."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetMaterialization,
    AssetObservation,
    AssetSpec,
    DataVersion,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Definitions,
    DynamicOut,
    DynamicOutput,
    Failure,
    In,
    MaterializeResult,
    Nothing,
    OpExecutionContext,
    Out,
    Output,
    RetryPolicy,
    RetryRequested,
    RunRequest,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SkipReason,
    StaticPartitionsDefinition,
    asset,
    asset_check,
    define_asset_job,
    in_process_executor,
    job,
    multi_asset,
    multiprocess_executor,
    observable_source_asset,
    op,
    resource,
    schedule,
    sensor,
)

PARTITIONS = StaticPartitionsDefinition(["p1", "p2", "p3"])


@asset(
    group_name="silver",
    key_prefix=["raw", "eu"],
    check_specs=[AssetCheckSpec("inline", asset=["raw", "eu", "orders"])],
)
def orders(context: AssetExecutionContext) -> Iterator[Any]:
    context.log.info("from the context")
    logging.getLogger("shop").warning("from plain logging")
    yield Output(1, metadata={"rows": 7, "owner": "password=hunter2"})
    yield AssetCheckResult(check_name="inline", passed=True, metadata={"bad": 0})


@asset_check(asset=orders)
def separate() -> AssetCheckResult:
    return AssetCheckResult(passed=False, metadata={"bad": 3})


@asset_check(asset=orders)
def warns() -> AssetCheckResult:
    return AssetCheckResult(passed=False, severity=AssetCheckSeverity.WARN)


@asset_check(asset=orders, blocking=True)
def passes() -> AssetCheckResult:
    return AssetCheckResult(passed=True)


@asset(retry_policy=RetryPolicy(max_retries=1, delay=0.1))
def flaky(context: AssetExecutionContext) -> None:
    if context.retry_number == 0:
        raise RuntimeError("once")


@asset
def broken() -> None:
    try:
        {}["customer"]
    except KeyError as error:
        raise ValueError("no access to postgres://shop:hunter2@db/shop") from error


@asset(deps=[broken])
def after_broken() -> None:
    pass


@multi_asset(
    specs=[AssetSpec("a", skippable=True), AssetSpec("b", skippable=True), AssetSpec("c", skippable=True)]
)
def several() -> Iterator[Any]:
    yield MaterializeResult(asset_key="a")
    yield MaterializeResult(asset_key="c", metadata={"rows": 2})


@asset
def noting(context: AssetExecutionContext) -> None:
    context.log_event(AssetObservation("elsewhere", metadata={"n": 1}))
    context.log_event(AssetMaterialization("adhoc"))


@observable_source_asset
def source() -> DataVersion:
    return DataVersion("1")


@asset(group_name="bronze", partitions_def=PARTITIONS)
def parted(context: AssetExecutionContext) -> None:
    context.log.info(f"partition {context.partition_key}")


@op
def first() -> int:
    return 1


@op(retry_policy=RetryPolicy(max_retries=2, delay=0.1))
def third_time(context: OpExecutionContext, x: int) -> None:
    if context.retry_number < 2:
        raise RuntimeError(f"try {context.retry_number}")


@op(out={"left": Out(is_required=False), "right": Out(is_required=False)})
def branch() -> Iterator[Output[int]]:
    yield Output(1, "left")


@op
def on_left(x: int) -> None:
    pass


@op
def on_right(x: int) -> None:
    pass


@op(out=DynamicOut())
def dynamic() -> Iterator[DynamicOutput[int]]:
    for i in range(2):
        yield DynamicOutput(i, mapping_key=str(i))


@op
def each(x: int) -> None:
    pass


@op
def asks_again(context: OpExecutionContext) -> None:
    if context.retry_number == 0:
        raise RetryRequested(max_retries=1)


@op
def gives_up() -> None:
    raise Failure("out of stock", metadata={"missing": 4, "why": "password=hunter2"}, allow_retries=False)


@op
def sleeps() -> None:
    time.sleep(120)


@op
def is_killed() -> None:
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)


@op
def fails_once(context: OpExecutionContext) -> None:
    if not context.run.tags.get("dagster/retry_number"):
        raise RuntimeError("the run is to be tried again")


@resource
def refuses(_: Any) -> None:
    raise RuntimeError("no warehouse, password=hunter2")


@op(required_resource_keys={"warehouse"})
def needs_warehouse() -> None:
    pass


@op(ins={"after": In(Nothing)})
def last() -> None:
    pass


@job(executor_def=in_process_executor)
def plain() -> None:
    last(first())


@job(executor_def=in_process_executor)
def retries() -> None:
    third_time(first())
    left, right = branch()
    on_left(left)
    on_right(right)
    dynamic().map(each)
    asks_again()


@job
def retries_across_processes() -> None:
    third_time(first())
    _, right = branch()
    on_right(right)


@job(executor_def=in_process_executor)
def gives_up_job() -> None:
    last(gives_up())


@job(executor_def=in_process_executor)
def cancelled() -> None:
    sleeps()


@job
def cancelled_across_processes() -> None:
    sleeps()


@job
def step_is_killed() -> None:
    last(is_killed())


@job(executor_def=in_process_executor)
def worker_is_killed() -> None:
    last(is_killed())


@job(tags={"dagster/max_retries": "1"}, executor_def=in_process_executor)
def retried_run() -> None:
    fails_once()


@job(executor_def=in_process_executor, resource_defs={"warehouse": refuses})
def no_resource() -> None:
    needs_warehouse()


@job(resource_defs={"warehouse": refuses})
def no_resource_across_processes() -> None:
    needs_warehouse()


# Asked for once: their next ticks have nothing to ask for.
@sensor(job=plain, minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
def asks(context: SensorEvaluationContext) -> Iterator[RunRequest]:
    context.log.info("the sensor looks")
    yield RunRequest(run_key="once")


@sensor(job=plain, minimum_interval_seconds=30, default_status=DefaultSensorStatus.RUNNING)
def finds_nothing() -> SkipReason:
    return SkipReason("nothing new, password=hunter2")


@sensor(job=plain, minimum_interval_seconds=30, default_status=DefaultSensorStatus.RUNNING)
def fails() -> None:
    raise ValueError("the bucket is gone")


@schedule(job=plain, cron_schedule="* * * * *", default_status=DefaultScheduleStatus.RUNNING)
def every_minute(context: ScheduleEvaluationContext) -> RunRequest:
    context.log.info("the schedule looks")
    return RunRequest()


JOBS = {
    "assets": (["raw/eu/orders", "a", "b", "c", "noting", "flaky"], in_process_executor),
    "assets_fail": (["broken", "after_broken", "flaky"], in_process_executor),
    "assets_across_processes": (["raw/eu/orders", "broken", "after_broken", "flaky"], multiprocess_executor),
    "parted_job": (["parted"], in_process_executor),
    "observe": (["source"], in_process_executor),
}

defs = Definitions(
    assets=[orders, flaky, broken, after_broken, several, noting, source, parted],
    asset_checks=[separate, warns, passes],
    jobs=[
        *(define_asset_job(name, keys, executor_def=executor) for name, (keys, executor) in JOBS.items()),
        plain,
        retries,
        retries_across_processes,
        gives_up_job,
        cancelled,
        cancelled_across_processes,
        step_is_killed,
        worker_is_killed,
        retried_run,
        no_resource,
        no_resource_across_processes,
    ],
    sensors=[asks, finds_nothing, fails],
    schedules=[every_minute],
)
