from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector import Collector, Span
from conftest import Manifest

TRACE, PARENT = "a" * 32, "b" * 16

DEFINITIONS = """
import logging, os, subprocess, sys
from dagster import Definitions, RetryPolicy, asset, define_asset_job, multiprocess_executor, multi_asset, AssetSpec
from dagster import MaterializeResult, in_process_executor, success_hook
from opentelemetry import trace
{setup}

@asset
def orders(context):
    context.log.info("from the context")
    logging.getLogger("user").warning("from plain logging")
    with trace.get_tracer("user").start_as_current_span("inside orders"):
        pass
    child = "import os; from floe_telemetry import init; t = init()\\n"
    child += "with __import__('opentelemetry.trace').trace.get_tracer('c').start_as_current_span('child process'): pass"
    subprocess.run([sys.executable, "-c", child], check=True)
    return 1

@multi_asset(specs=[AssetSpec("a", deps=[orders]), AssetSpec(["b", "c"])])
def several():
    yield MaterializeResult(asset_key="a")
    yield MaterializeResult(asset_key=["b", "c"])

@asset(retry_policy=RetryPolicy(max_retries=1))
def flaky(context, orders):
    if context.retry_number == 0:
        raise RuntimeError("try again")

@asset
def broken(orders):
    raise ValueError("connect postgres://user:hunter2@host/db")

@asset
def after_broken(broken):
    pass

@success_hook
def announces(context):
    if context.step_key == "orders":
        raise LookupError("no channel, token=hunter2")

jobs = [
    define_asset_job(name, "*", executor_def=executor, hooks={{announces}})
    for name, executor in (("inside", in_process_executor), ("many", multiprocess_executor))
]
defs = Definitions(assets=[orders, several, flaky, broken, after_broken], jobs=jobs)
{line}
"""

QUIET = "telemetry: {enabled: false}\n"
HANDLER = """
python_logs:
  dagster_handler_config:
    handlers:
      floe:
        class: floe_telemetry.dagster.DagsterEventHandler
        level: DEBUG
      again:
        class: floe_telemetry.dagster.DagsterEventHandler
        level: DEBUG
"""
INSTANCE = "instance_class: {module: floe_telemetry.dagster, class: FloeInstance}\n"
INSTRUMENTOR = "from floe_telemetry.dagster import DagsterInstrumentor\nDagsterInstrumentor().instrument()"
LINE = "from floe_telemetry.dagster import instrumented\ndefs = instrumented(defs)"
WAYS = {"handler", "instance", "instrumentor", "line"}


def run_job(
    job: str, tmp_path: Path, manifest: Path, ways: set[str], tags: str = ""
) -> subprocess.CompletedProcess[str]:
    code = {"setup": INSTRUMENTOR if "instrumentor" in ways else "", "line": LINE if "line" in ways else ""}
    (tmp_path / "definitions.py").write_text(DEFINITIONS.format(**code))
    (tmp_path / "home").mkdir()
    yaml = QUIET + (HANDLER if "handler" in ways else "") + (INSTANCE if "instance" in ways else "")
    (tmp_path / "home" / "dagster.yaml").write_text(yaml)
    environ = {
        **os.environ,
        "DAGSTER_HOME": str(tmp_path / "home"),
        "FLOE_TELEMETRY_MANIFEST": str(manifest) if manifest.name else "",
    }
    environ |= {"TRACEPARENT": f"00-{TRACE}-{PARENT}-01"}
    command = [sys.executable, "-m", "dagster", "job", "execute", "-f", "definitions.py", "-j", job]
    command += ["--tags", tags] if tags else []
    return subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=180, check=False
    )


@pytest.mark.parametrize(
    ("job", "ways"),
    [
        ("inside", {"handler"}),
        ("inside", {"line"}),
        ("inside", WAYS),
        ("many", {"handler"}),
        ("many", {"instrumentor"}),
        ("many", {"instance"}),
    ],
)
def test_a_run(job: str, ways: set[str], tmp_path: Path, manifest: Manifest, collector: Collector) -> None:
    ran = run_job(job, tmp_path, manifest(collector.endpoint), ways)
    assert ran.returncode == 1, ran.stderr
    run = collector.span(f"dagster.run {job}")
    assert (run.trace_id, run.parent_id) == (TRACE, PARENT)
    assert run.status == 2
    assert run.attributes["floe.outcome"] == "failure"
    run_id = run.attributes["floe.dagster.run_id"]

    orders = collector.span("dagster.asset orders")
    several = collector.span("dagster.assets several")
    broken = collector.span("dagster.asset broken")
    tries = sorted(
        (span for span in collector.spans if span.name == "dagster.asset flaky"), key=lambda span: span.start
    )
    for step in (orders, several, broken, *tries):
        assert (step.trace_id, step.parent_id) == (TRACE, run.span_id)
        assert step.attributes["floe.dagster.run_id"] == run_id
        assert run.start <= step.start <= step.end <= run.end
        assert (step.resource["process.pid"] == run.resource["process.pid"]) == (job == "inside")
    assert several.attributes["floe.dagster.assets"] == ["a", "b/c"]
    assert [span.attributes["floe.outcome"] for span in tries] == ["warning", "success"]
    assert [span.attributes["floe.dagster.attempt"] for span in tries] == [1, 2]

    assert broken.status == 2
    assert broken.description == "connect postgres://***@host/db"
    [(_, exception)] = broken.events
    assert exception["exception.type"] == "ValueError"
    assert "in broken" in exception["exception.stacktrace"]
    assert b"hunter2" not in b"".join(collector.raw)

    for name, parent in (("inside orders", orders), ("child process", orders)):
        assert collector.span(name).parent_id == parent.span_id
    for text in ("from the context", "from plain logging"):
        assert collector.log(text).span_id == orders.span_id
    hook = collector.log("Error occurred during the execution of hook_fn")
    assert (hook.trace_id, hook.span_id) == (TRACE, run.span_id)
    assert hook.attributes["exception.type"] == "LookupError"
    assert hook.attributes["exception.message"] == "no channel, token=***"
    assert "in announces" in hook.attributes["exception.stacktrace"]
    made = {
        point.attributes["floe.dagster.asset"] for point in collector.metric("floe.asset.materializations")
    }
    assert {"orders", "a", "b/c", "flaky", "broken"} == made


def test_run_tags_win_over_the_environment(tmp_path: Path, manifest: Manifest, collector: Collector) -> None:
    tags = '{"floe/traceparent": "00-' + "c" * 32 + "-" + "d" * 16 + '-01", "floe/baggage": "team=core"}'
    run_job("inside", tmp_path, manifest(collector.endpoint), {"handler"}, tags)
    run = collector.span("dagster.run inside")
    assert (run.trace_id, run.parent_id) == ("c" * 32, "d" * 16)
    assert collector.span("child process").trace_id == "c" * 32


def test_without_a_collector_a_run_is_the_same(tmp_path: Path, manifest: Manifest, closed_port: str) -> None:
    ran = run_job("inside", tmp_path, manifest(closed_port), {"handler"})
    assert "RUN_FAILURE" in ran.stderr
    assert 'Execution of step "several"' not in ran.stderr
    assert 'Finished execution of step "several"' in ran.stderr


def test_a_bad_manifest_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_text("observability: {telemetry: {nonsense: 1}}")
    ran = run_job("inside", tmp_path, tmp_path / "manifest.yaml", {"handler"})
    assert 'Finished execution of step "several"' in ran.stderr
    assert "FLOE-M003" in ran.stderr


KILLED = """
import os, signal, time
from dagster import in_process_executor, job, op
@op
def first(): pass
@op
def is_killed(x):
    if os.environ.get("KILL"):
        time.sleep(2.5)
        os.kill(os.getpid(), signal.SIGKILL)
@job(executor_def=in_process_executor)
def shop(): is_killed(first())
"""


def test_the_next_process_tells_of_a_run_that_nobody_watches(
    tmp_path: Path, manifest: Manifest, collector: Collector
) -> None:
    (tmp_path / "shop.py").write_text(KILLED)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text(QUIET + INSTANCE)
    environ = {
        **os.environ,
        "DAGSTER_HOME": str(tmp_path / "home"),
        "FLOE_STATE_DIR": str(tmp_path / "state"),
    }
    environ |= {"FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    command = [sys.executable, "-m", "dagster", "job", "execute", "-f", "shop.py", "-j", "shop"]
    killed = subprocess.run(
        command, cwd=tmp_path, env=environ | {"KILL": "1"}, capture_output=True, timeout=120, check=False
    )
    assert killed.returncode == -9
    subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=120, check=True)
    lost, again = sorted(
        (span for span in collector.spans if span.name == "dagster.run shop"), key=lambda span: span.start
    )
    assert lost.trace_id == lost.attributes["floe.dagster.run_id"].replace("-", "")
    assert lost.attributes["error.type"] == "abandoned"
    assert again.attributes["floe.outcome"] == "success"
    [step] = [
        span
        for span in collector.spans
        if span.name == "dagster.step is_killed" and span.trace_id == lost.trace_id
    ]
    assert (step.parent_id, step.attributes["error.type"]) == (lost.span_id, "abandoned")


def test_without_a_manifest_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(KILLED)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text(QUIET + INSTANCE + HANDLER)
    command = [sys.executable, "-m", "dagster", "job", "execute", "-f", "shop.py", "-j", "shop"]
    environ = os.environ | {"DAGSTER_HOME": str(tmp_path / "home")}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=True
    )
    assert "RUN_SUCCESS" in ran.stderr
    assert "FLOE" not in ran.stderr and "telemetry is off" not in ran.stderr


FAULTS = """
import itertools, json, contextlib
from unittest.mock import patch
from floe_telemetry import provider
from floe_telemetry.dagster import environ, errors, facts, handler, hooks, identity, instrumented, runs, ticks
from dagster import DagsterInstance, RetryPolicy, asset, asset_check, job, materialize, op

class Told(BaseException): pass
kinds = itertools.cycle([RuntimeError, SystemExit, GeneratorExit, Told])

@asset(retry_policy=RetryPolicy(max_retries=1))
def one(context):
    context.log.info("fine")
    if context.retry_number == 0: raise ValueError("theirs")

@asset_check(asset=one)
def holds():
    from dagster import AssetCheckResult
    return AssetCheckResult(passed=True)

def play():
    with DagsterInstance.ephemeral() as instance:
        result = materialize([one, holds], instance=instance)
        told = [event.event_type_value for event in result.all_events]
        return [told, sorted(instance.get_run_by_id(result.run_id).tags.items())]

def broken(kind):
    def fault(*_, **__): raise kind("ours")
    return fault

without = play()
instrumented(None)
faults = [patch.dict(runs._TAKERS, {name: broken(next(kinds))}) for name in runs._TAKERS]
for owner, name in [
    (hooks, "provider"), (ticks, "tags_of_run"), (facts, "of_step"), (facts, "of_run"), (identity, "run_ids"),
    (errors, "of_event"), (environ.Entry, "leave"), (environ.Entry, "__init__"), (runs.Runs, "take"),
    (handler.DagsterEventHandler, "_emit"), (handler.DagsterEventHandler, "__init__"),
    (provider.TelemetryProvider, "operation"), (provider, "init"), (provider, "installed"),
]:
    faults.append(patch.object(owner, name, broken(next(kinds))))
different = []
for fault in [contextlib.nullcontext(), *faults]:
    with fault:
        found = play()
    if found != without:
        different.append([str(getattr(fault, "attribute", fault)), found, without])
print("RESULT " + json.dumps(different))
"""


def test_faults_of_ours_do_not_reach_dagster(
    tmp_path: Path, manifest: Manifest, collector: Collector
) -> None:
    """Events and tags are as without us, whatever of ours fails and however."""
    environ = os.environ | {"FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environ, capture_output=True, text=True, timeout=600, check=False
    )
    assert "RESULT []" in ran.stdout.splitlines(), ran.stdout + ran.stderr[-4000:]
    assert "an event of Dagster is lost to telemetry: RuntimeError('ours')" in ran.stderr


DETAILS = """
import json, os
from dagster import (
    AssetMaterialization, BackfillPolicy, DagsterInstance, MaterializeResult, StaticPartitionsDefinition, asset,
    in_process_executor, job, materialize, op,
)
from floe_telemetry.dagster import instrumented
instrumented(None)

@asset(
    partitions_def=StaticPartitionsDefinition([f"p{n:02}" for n in range(90)]),
    backfill_policy=BackfillPolicy.single_run(),
)
def parted(context):
    return MaterializeResult(metadata={"rows": 5})

@asset
def raw(): pass

@asset(deps=[raw])
def clean(): pass

@asset(deps=[clean])
def broken(): raise ValueError("no")

@asset(deps=[broken])
def report(): pass

@op
def nothing(): pass

@job(executor_def=in_process_executor)
def shop(): nothing()

span = "00-" + "d" * 32 + "-" + "1" * 16 + "-01"
with DagsterInstance.ephemeral() as instance:
    ends = {"dagster/asset_partition_range_start": "p00", "dagster/asset_partition_range_end": "p89"}
    assert materialize([parted], instance=instance, tags=ends).success
    assert not materialize([raw, clean, broken, report], instance=instance, raise_on_error=False).success
    asked = {"dagster/schedule_name": "nightly", "dagster/tick": "7", "floe/traceparent": span, "mine": "x"}
    first = shop.execute_in_process(instance=instance, tags=asked)
    tags = instance.get_run_by_id(first.run_id).tags
    again = instance.create_run_for_job(
        shop, tags=dict(tags), parent_run_id=first.run_id, root_run_id=first.run_id
    )
    from dagster._core.execution.api import execute_run
    from dagster._core.definitions.job_base import InMemoryJob
    assert execute_run(InMemoryJob(shop), again, instance).success
    kept = {name: value for name, value in again.tags.items() if name in asked}
    print("RESULT " + json.dumps([first.run_id, again.run_id, kept]))
"""


def test_partitions_links_and_copied_tags(tmp_path: Path, manifest: Manifest, collector: Collector) -> None:
    (tmp_path / "here").mkdir()
    path = manifest(collector.endpoint)
    environ = os.environ | {"FLOE_TELEMETRY_MANIFEST": os.path.relpath(path, tmp_path / "here")}
    ran = subprocess.run(
        [sys.executable, "-c", DETAILS],
        cwd=tmp_path / "here",
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    [result] = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")] or [ran.stderr]
    first, again, kept = json.loads(result.removeprefix("RESULT "))

    parted = collector.span("dagster.asset parted")
    assert parted.attributes["floe.dagster.materialized"] == ["parted"]
    assert "floe.dagster.metadata.rows" not in parted.attributes
    told = [found for name, found in parted.events if name == "dagster.materialization"]
    # Dagster tells of them in no order.
    assert sorted(found["floe.dagster.partition"] for found in told) == [f"p{n:02}" for n in range(90)]
    assert {found["floe.dagster.metadata.rows"] for found in told} == {5.0}

    raw, clean, broken = (collector.span(f"dagster.asset {name}") for name in ("raw", "clean", "broken"))
    assert [link for link, _ in clean.links] == [raw.span_id]
    assert [link for link, _ in broken.links] == [clean.span_id]
    failed = next(span for span in collector.spans if span.span_id == broken.parent_id)
    assert failed.attributes["floe.dagster.failed_nodes"] == ["broken"]
    assert failed.attributes["floe.dagster.steps_not_run"] == ["report"]
    assert failed.attributes["floe.dagster.nodes_total"] == 4
    assert failed.attributes["floe.dagster.nodes_skipped"] == 1

    runs = {span.attributes["floe.dagster.run_id"]: span for span in collector.spans if " shop" in span.name}
    assert (runs[first].trace_id, runs[first].attributes["floe.dagster.schedule"]) == ("d" * 32, "nightly")
    assert runs[again].trace_id == again.replace("-", "")
    assert "floe.dagster.schedule" not in runs[again].attributes
    assert [link for link, _ in runs[again].links] == [runs[first].span_id]
    assert kept == {"dagster/schedule_name": "nightly", "dagster/tick": "7", "mine": "x"}


def test_a_step_that_something_else_runs(tmp_path: Path, manifest: Manifest, collector: Collector) -> None:
    """Who runs steps elsewhere hands their events to the instance."""
    code = """
from dagster import DagsterEvent, DagsterInstance, job, op
from dagster._core.execution.plan.handle import StepHandle
from dagster._core.execution.plan.objects import StepSuccessData
from dagster._core.definitions.dependency import NodeHandle
from floe_telemetry.dagster import instrumented
@op
def one(): pass
@job
def shop(): one()
instrumented(shop)
with DagsterInstance.ephemeral() as instance:
    run = instance.create_run_for_job(shop)
    print(run.run_id)
    handle = StepHandle(NodeHandle("one", None), "one")
    for kind, data in (("STEP_START", None), ("STEP_SUCCESS", StepSuccessData(1.0))):
        event = DagsterEvent(kind, "shop", handle, event_specific_data=data, step_kind_value="COMPUTE")
        instance.report_dagster_event(event, run.run_id)
"""
    environ = os.environ | {"FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    step = collector.span("dagster.step one")
    assert step.trace_id == ran.stdout.strip().replace("-", ""), ran.stderr
    assert step.attributes["floe.dagster.attempt"] == 1
    assert step.attributes["floe.outcome"] == "success"


def test_materialize_under_a_span(tmp_path: Path, manifest: Manifest, collector: Collector) -> None:
    code = f"""
import os, floe_telemetry
{INSTRUMENTOR}
from dagster import asset, materialize
from opentelemetry import trace
@asset
def one(): pass
telemetry = floe_telemetry.init()
before = os.environ.get("TRACEPARENT")
with trace.get_tracer("user").start_as_current_span("outer"):
    materialize([one])
assert trace.get_current_span().get_span_context().is_valid is False
assert os.environ.get("TRACEPARENT") == before
"""
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    outer: Span = collector.span("outer")
    [run] = [span for span in collector.spans if span.name.startswith("dagster.run")]
    assert run.parent_id == outer.span_id
    assert collector.span("dagster.asset one").parent_id == run.span_id
