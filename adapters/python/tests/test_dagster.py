from __future__ import annotations

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


def test_faults_of_ours_do_not_reach_dagster(
    tmp_path: Path, manifest: Manifest, collector: Collector
) -> None:
    code = """
from floe_telemetry.dagster import hooks, instrumented, runs, ticks
def fault(*_): raise RuntimeError("ours")
for name in runs._TAKERS: runs._TAKERS[name] = fault
ticks.tags_of_run = fault
from dagster import DagsterInstance, RetryPolicy, asset, materialize
@asset(retry_policy=RetryPolicy(max_retries=1))
def one(context):
    context.log.info("fine")
    if context.retry_number == 0: raise ValueError("theirs")
instrumented(None)
with DagsterInstance.ephemeral() as instance:
    assert materialize([one], instance=instance).success
hooks.uninstall()
"""
    environ = os.environ | {"FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "an event of Dagster is lost to telemetry: RuntimeError('ours')" in ran.stderr


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
