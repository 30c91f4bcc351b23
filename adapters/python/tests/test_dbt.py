from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector import Collector
from conftest import COMMAND, Manifest

BIN = Path(sys.executable).parent
TRACE, PARENT = "a" * 32, "b" * 16


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project on DuckDB: a model with a good and a bad test, a model that fails, and one after it."""
    files = {
        "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\n",
        "profiles.yml": "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: shop.duckdb, threads: 2}\n",
        "models/good.sql": "select 1 as id",
        "models/bad.sql": "{{ config(materialized='table') }} select error('no access, password=hunter2') as id",
        "models/after_bad.sql": "select * from {{ ref('bad') }}",
        "models/schema.yml": "models:\n  - name: good\n    columns:\n      - name: id\n        data_tests:\n"
        "          - unique\n          - accepted_values: {arguments: {values: [2]}}\n",
    }
    for name, text in files.items():
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).write_text(text)
    return tmp_path / "shop"


def environment(manifest: Path | None = None) -> dict[str, str]:
    environ = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    environ |= {"TRACEPARENT": f"00-{TRACE}-{PARENT}-01"}
    return environ | ({"FLOE_TELEMETRY_MANIFEST": str(manifest)} if manifest else {})


def run(project: Path, environ: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=project, env=environ, capture_output=True, text=True, timeout=600, check=False
    )


def check_build(collector: Collector) -> None:
    command = collector.span("dbt build")
    assert (command.trace_id, command.parent_id) == (TRACE, PARENT)
    assert command.attributes["floe.outcome"] == "failure"
    nodes = {span.name: span for span in collector.spans if span is not command}
    assert set(nodes) == {
        "dbt.model good",
        "dbt.model bad",
        "dbt.model after_bad",
        "dbt.test unique_good_id",
        "dbt.test accepted_values_good_id__2",
    }
    assert all(node.parent_id == command.span_id for node in nodes.values())
    assert all(command.start <= node.start <= node.end <= command.end for node in nodes.values())

    good = nodes["dbt.model good"].attributes
    assert good["floe.dbt.unique_id"] == "model.shop.good"
    assert good["floe.dbt.materialization"] == "view"
    assert good["floe.dbt.relation"] == '"shop"."main"."good"'
    assert (good["floe.outcome"], good["floe.namespace"]) == ("success", "acme.sales")
    assert nodes["dbt.model after_bad"].attributes["floe.outcome"] == "skipped"

    bad = nodes["dbt.model bad"]
    assert bad.status == 2
    assert "no access, password=***" in bad.description
    assert [event for event, _ in bad.events] == ["dbt.compile", "dbt.execute", "exception"]
    exception = bad.events[2][1]
    assert exception["exception.message"] == bad.description
    failed = nodes["dbt.test accepted_values_good_id__2"]
    assert (failed.attributes["error.type"], failed.attributes["floe.dbt.failures"]) == (
        "dbt.test_failure",
        1,
    )
    assert failed.description.startswith("Got 1 result")

    [log] = [each for each in collector.logs if "ERROR creating sql table model main.bad" in str(each.body)]
    assert (log.logger, log.span_id, log.severity) == ("dbt", bad.span_id, "ERROR")
    assert collector.log("Concurrency: 2 threads").span_id == command.span_id
    tests = {point.attributes["floe.outcome"]: point.value for point in collector.metric("floe.dbt.tests")}
    assert tests == {"success": 1, "failure": 1}
    assert b"hunter2" not in b"".join(collector.raw)


def test_plain_dbt(project: Path, manifest: Manifest, collector: Collector) -> None:
    ran = run(project, environment(manifest(collector.endpoint)), str(BIN / "dbt"), "build")
    assert ran.returncode == 1, ran.stdout
    check_build(collector)
    assert "FLOE" not in ran.stdout + ran.stderr


def test_plain_dbt_without_telemetry_imports_nothing(project: Path) -> None:
    code = "import sys; from dbt.cli.main import dbtRunner; dbtRunner().invoke(['ls', '-q']); import dbt_floe_telemetry; "
    code += "print([name for name in sys.modules if name.startswith(('floe_telemetry', 'wasmtime'))])"
    ran = run(project, environment(), sys.executable, "-c", code)
    assert ran.stdout.splitlines()[-1] == "[]", ran.stdout + ran.stderr


def test_our_command(project: Path, manifest: Manifest, collector: Collector) -> None:
    """The plugin is on too: nothing may come twice."""
    path = manifest(collector.endpoint)
    command = [COMMAND, "--manifest", str(path), "dbt", "build"]
    ran = run(project, environment(path), *command)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    check_build(collector)

    ran = run(project, environment(), COMMAND, "dbt", "run", "--select", "good")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "error[FLOE-H001]" in ran.stderr


RUNNER = """
import json, sys, time
import floe_telemetry
from floe_telemetry.dbt import DbtInstrumentor
telemetry = floe_telemetry.init()
DbtInstrumentor().instrument()
{fault}
from dbt.cli.main import dbtRunner
results = []
for _ in range({times}):
    result = dbtRunner().invoke(["build", "-q"])
    results.append({{each.node.name: str(each.status) for each in result.result.results}})
started = time.monotonic()
telemetry.shutdown()
print("RESULT " + json.dumps([results, time.monotonic() - started]))
"""
EXPECTED = {
    "good": "success",
    "bad": "error",
    "after_bad": "skipped",
    "unique_good_id": "pass",
    "accepted_values_good_id__2": "fail",
}


def run_runner(
    project: Path, manifest: Path, fault: str = "", times: int = 1
) -> tuple[list[dict[str, str]], float]:
    ran = run(project, environment(manifest), sys.executable, "-c", RUNNER.format(fault=fault, times=times))
    lines = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, ran.stdout + ran.stderr
    results, seconds = json.loads(lines[0].removeprefix("RESULT "))
    return results, seconds


def test_the_runner_twice_in_a_process(project: Path, manifest: Manifest, collector: Collector) -> None:
    results, _ = run_runner(project, manifest(collector.endpoint), times=2)
    assert results == [EXPECTED, EXPECTED]
    assert len([span for span in collector.spans if span.name == "dbt build"]) == 2
    assert len(collector.spans) == 12


@pytest.mark.parametrize(
    "fault",
    [
        # The policy traps in every call.
        "import floe_telemetry.engine as e\n"
        "def trap(*a, **k): raise e.ComponentError('FLOE-C006', 'trap', '')\ne.Instance.call = trap",
        # The adapter itself is broken, in ways that `except Exception` does not catch.
        "import floe_telemetry.dbt.callback as d\n"
        "def broken(*a, **k): raise SystemExit('broken')\n"
        "made = d.Callback.__init__\n"
        "def make(self, *args):\n"
        "    made(self, *args)\n"
        "    self._takers = dict.fromkeys(self._takers, broken)\n"
        "d.Callback.__init__ = make",
    ],
)
def test_a_fault_of_ours_is_not_dbts(
    fault: str, project: Path, manifest: Manifest, collector: Collector
) -> None:
    assert run_runner(project, manifest(collector.endpoint), fault)[0] == [EXPECTED]


def test_a_hanging_collector_does_not_hold_dbt(project: Path, manifest: Manifest, hanging_port: str) -> None:
    path = manifest(hanging_port, "shutdown_timeout_millis: 1000")
    results, seconds = run_runner(project, path)
    assert results == [EXPECTED]
    assert seconds < 1.5


def test_a_command_that_cannot_run(project: Path, manifest: Manifest, collector: Collector) -> None:
    (project / "models" / "good.sql").write_text("{{ ref('absent') }}")
    ran = run(project, environment(manifest(collector.endpoint)), str(BIN / "dbt"), "build")
    assert ran.returncode == 2
    command = collector.span("dbt build")
    assert command.status == 2
    assert "absent" in command.description
