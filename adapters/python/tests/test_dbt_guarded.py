"""What dbt does is the same with us, whatever of ours fails; and of two commands at once, each has its own signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from collector import Collector
from conftest import Manifest
from test_dbt import BIN, EXPECTED, environment, project, run

__all__ = ["project"]

FAULTS = """
import contextlib, itertools, json
from unittest.mock import patch
import floe_telemetry
from floe_telemetry.dbt import DbtInstrumentor
telemetry = floe_telemetry.init()
DbtInstrumentor().instrument()
from dbt.cli.main import dbtRunner
from floe_telemetry.dbt import callback, commands, entry, invocation, lines, nodes

class Told(BaseException): pass

kinds = itertools.cycle([ValueError, SystemExit, GeneratorExit, Told])

def broken(*_, kind, **__):
    raise kind("ours")

def taker(name, kind):
    made = callback.Callback.__init__
    def make(self, *args):
        made(self, *args)
        self._takers = {**self._takers, name: lambda _: broken(kind=kind)}
    return patch.object(callback.Callback, "__init__", make)

def part(owner, name, kind):
    return patch.object(owner, name, lambda *_, **__: broken(kind=kind))

parts = [
    (entry, "_begun"), (entry, "_listen"), (entry, "_ended"), (entry, "_provider"), (entry, "_words"),
    (commands, "command_of_thread"), (commands, "left"), (lines.Lines, "take"),
    (invocation.Invocation, "begin"), (invocation.Invocation, "end"), (nodes.Nodes, "close"),
    (floe_telemetry.provider.TelemetryProvider, "operation"),
]
faults = {f"{owner.__name__}.{name}": part(owner, name, next(kinds)) for owner, name in parts}
names = callback.Callback(telemetry)._takers
faults |= {name: taker(name, next(kinds)) for name in names}
found = {}
for name, fault in {"nothing": contextlib.nullcontext(), **faults}.items():
    with fault:
        result = dbtRunner().invoke(["build", "-q"])
    found[name] = [{each.node.name: str(each.status) for each in result.result.results}, repr(result.exception)]
print("RESULT " + json.dumps(found))
"""


def result_of(ran: subprocess.CompletedProcess[str]) -> dict[str, list[Any]]:
    lines = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, ran.stdout + ran.stderr
    found: dict[str, list[Any]] = json.loads(lines[0].removeprefix("RESULT "))
    return found


def test_each_part_of_ours_may_fail(project: Path, manifest: Manifest, collector: Collector) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FAULTS],
        cwd=project,
        env=environment(manifest(collector.endpoint)),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    found = result_of(ran)
    assert len(found) > 30
    assert {name: result for name, result in found.items() if result != [EXPECTED, "None"]} == {}


TWO = """
import json, threading
import floe_telemetry
from floe_telemetry.dbt import DbtInstrumentor
telemetry = floe_telemetry.init()
DbtInstrumentor().instrument()
from dbt.cli.main import dbtRunner
slow = threading.Event()
results = {}
def work(name, arguments, wait, go):
    assert wait.wait(500), "no node of the first has started"
    def tells(message):
        if message.info.name == "NodeStart":
            go.set()
    result = dbtRunner(callbacks=[tells]).invoke(arguments)
    nodes = getattr(result.result, "results", [])
    results[name] = [result.success, {each.node.name: str(each.status) for each in nodes}]
first = threading.Event()
first.set()
begun = threading.Event()
threads = [
    threading.Thread(target=work, args=("good", ["run", "-q", "--select", "slow good", "--threads", "1",
        "--target-path", "target1", "--log-path", "log1"], first, begun)),
    threading.Thread(target=work, args=("bad", ["test", "-q", "--select", "absent", "--profile", "other",
        "--target-path", "target2", "--log-path", "log2"], begun, threading.Event())),
]
for thread in threads: thread.start()
for thread in threads: thread.join()
telemetry.shutdown()
print("RESULT " + json.dumps(results))
"""
SLOW = (
    "{{ config(materialized='table') }} select count(*) as n from range(20000) x, range(30000) y "
    "where (x.range * y.range) % 7 = 3"
)


def test_two_runners_at_once(project: Path, manifest: Manifest, collector: Collector) -> None:
    """The second begins, fails and ends while a node of the first runs, which dbt may or may not survive: it closes the
    first one's connections. What we say is what each of them answered.
    """
    (project / "models" / "slow.sql").write_text(SLOW)
    ran = run(project, environment(manifest(collector.endpoint)), sys.executable, "-c", TWO)
    answered = result_of(ran)
    commands = {"good": collector.span("dbt run"), "bad": collector.span("dbt test")}
    nodes = [span for span in collector.spans if span not in commands.values()]
    for name, command in commands.items():
        success, statuses = answered[name]
        assert (command.attributes["floe.outcome"] == "success") == success, command
        told = {
            span.attributes["floe.dbt.model"]: span.attributes.get("floe.dbt.node_status")
            for span in nodes
            if span.parent_id == command.span_id
        }
        assert told.items() >= statuses.items()
    assert not answered["bad"][0] and "other" in commands["bad"].description
    assert {span.parent_id for span in nodes} <= {commands["good"].span_id}
    assert {log.span_id for log in collector.logs if "other" in str(log.body)} <= {commands["bad"].span_id}


def terminated(project: Path, environ: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of a dbt that is sent SIGTERM in the midst of a query."""
    output = project / f"{'with' if 'FLOE_TELEMETRY_MANIFEST' in environ else 'without'}.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [str(BIN / "dbt"), "run", "--select", "slow"], cwd=project, env=environ, stdout=file, stderr=file
        )
        deadline = time.monotonic() + 480
        while "START sql table" not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, f"the model did not start: {output.read_text()}"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        code = process.wait(240)
    # A helper of Python's own outlives dbt and may or may not have said by now that semaphores are left.
    after = output.read_text().partition("START sql table")[2].partition("/")[0]
    return code, after.rstrip()


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM is Unix's")
def test_a_request_to_end_says_nothing(project: Path, manifest: Manifest, collector: Collector) -> None:
    (project / "models" / "slow.sql").write_text(SLOW.replace("20000", "200000"))
    code, output = terminated(project, environment(manifest(collector.endpoint)))
    without = terminated(project, environment())
    assert (code, output) == without
    command, slow = collector.span("dbt run"), collector.span("dbt.model slow")
    assert (command.attributes["floe.outcome"], slow.attributes["floe.outcome"]) == ("cancelled", "cancelled")
    assert slow.parent_id == command.span_id


SECRET = "quadrant north/7"
ANSWERS = """
import json
import floe_telemetry
from floe_telemetry.dbt import DbtInstrumentor
telemetry = floe_telemetry.init()
DbtInstrumentor().instrument()
from dbt.cli.main import dbtRunner
results = {}
for command in [
    ["show", "--inline", "select 'row of a customer' as name"],
    ["compile", "--inline", "select 'row of a customer' as name"],
    ["ls"], ["run-operation", "rows"], ["debug"],
]:
    result = dbtRunner().invoke(command)
    results[command[0]] = [result.success]
telemetry.shutdown()
print("RESULT " + json.dumps(results))
"""


def test_answers_are_no_log_records_and_secrets_are_masked(
    project: Path, manifest: Manifest, collector: Collector
) -> None:
    (project / "macros").mkdir()
    (project / "macros" / "rows.sql").write_text(
        "{% macro rows() %}{{ print(run_query(\"select 'row of a customer' as name\").rows) }}"
        "{{ print('row of a customer') }}{{ log('said on purpose', info=True) }}{% endmacro %}"
    )
    profiles = (project / "profiles.yml").read_text()
    (project / "profiles.yml").write_text(
        profiles
        + "    other: {type: duckdb, path: \"{{ env_var('DBT_ENV_SECRET_PATH') }}/absent/x.duckdb\"}\n"
    )
    environ = environment(manifest(collector.endpoint)) | {"DBT_ENV_SECRET_PATH": str(project / SECRET)}
    found = result_of(run(project, environ, sys.executable, "-c", ANSWERS))
    assert found == {name: [True] for name in ("show", "compile", "ls", "run-operation", "debug")}
    said = [str(log.body) for log in collector.logs]
    assert [body for body in said if "customer" in body or "shop.good" in body] == []
    assert "said on purpose" in said

    collector.raw.clear()
    ran = run(project, environ, str(BIN / "dbt"), "build", "--target", "other")
    assert ran.returncode in (1, 2), ran.stdout
    received = b"".join(collector.raw)
    assert b"dbt build" in received
    assert str(project / SECRET).encode() not in received
