"""dbt, counted: in each scenario the results that dbt's own files list are the spans in the Collector's output, with the same
status and times within 50 ms. Where dbt's files do not list what happened, the scenario names it.

When a node started is in dbt's log, where its result file has only the phases: between the two it waits for a connection.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import Collector, Received, Span

BOUND = 50_000_000
"""Nanoseconds."""
ERROR = 2
PARENT = "b" * 16
FAILED = {"error", "fail", "runtime error", "partial success"}
BROKEN = "bad bad_compile after_bad checked after_checked micro slow ut_bad"

PROJECT = {
    "dbt_project.yml": """
name: shop
version: '1.0'
profile: shop
on-run-start: ["create schema if not exists audit", "create table if not exists audit.runs (id varchar)"]
on-run-end:
  - "{% if var('hook_fails', false) %}select * from audit.absent{% else %}insert into audit.runs values ('x'){% endif %}"
  - "select 1 as last"
snapshots: {shop: {+target_schema: main}}
flags: {send_anonymous_usage_stats: false}
""",
    "profiles.yml": """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: shop.duckdb, threads: 2, settings: {threads: 1}}
""",
    "seeds/raw_orders.csv": "id,customer,amount,ts\n1,10,5,2020-01-01\n2,11,7,2020-01-02\n3,12,-1,2020-01-03\n",
    "models/stg_orders.sql": "select id, customer, amount, cast(ts as timestamp) as ts from {{ ref('raw_orders') }}",
    "models/eph.sql": "{{ config(materialized='ephemeral') }} select * from {{ ref('stg_orders') }}",
    "models/orders.sql": "{{ config(materialized='table', pre_hook='select 1') }} select * from {{ ref('eph') }}",
    "models/inc.sql": "{{ config(materialized='incremental', unique_key='id') }} "
    "select id, amount from {{ ref('stg_orders') }} {% if is_incremental() %} where id > 0 {% endif %}",
    "models/micro.sql": "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='ts', "
    "batch_size='day', begin='2020-01-01') }} select id, ts, case when {{ 'true' if model.batch and '2020-01-02' in "
    "(model.batch.event_time_start|string) else 'false' }} then error('batch is bad') else 'x' end as e "
    "from {{ ref('stg_orders') }}",
    "models/bad.sql": "{{ config(materialized='table') }} select error('no access, password=hunter2') as id",
    "models/bad_compile.sql": "{% if execute %}{{ exceptions.raise_compiler_error('refused') }}{% endif %} select 1 as id",
    "models/after_bad.sql": "select * from {{ ref('bad') }}",
    "models/checked.sql": "select * from {{ ref('stg_orders') }}",
    "models/after_checked.sql": "select * from {{ ref('checked') }}",
    "models/slow.sql": "{{ config(materialized='table') }} select count(*) as n from range(200000) x, range(1000000) y "
    "where (x.range * y.range) % 7 = 3",
    "macros/ops.sql": "{% macro good_op() %}{% do run_query('select 1') %}{% endmacro %}"
    "{% macro bad_op() %}{% do run_query('select * from nowhere') %}{% endmacro %}",
    "models/schema.yml": """
snapshots:
  - name: snap_orders
    relation: ref('raw_orders')
    config: {schema: main, unique_key: id, strategy: check, check_cols: all}
models:
  - name: stg_orders
    config: {event_time: ts}
    columns: [{name: id, data_tests: [unique, not_null]}]
  - name: checked
    columns:
      - name: amount
        data_tests:
          - accepted_values: {arguments: {values: [5, 7]}, name: amount_fails}
          - accepted_values: {arguments: {values: [5, 7]}, name: amount_warns, config: {severity: warn}}
          - accepted_values: {arguments: {values: [5, 7]}, name: amount_stored, config: {store_failures: true}}
      - name: absent
        data_tests: [not_null: {name: test_errors}]
unit_tests:
  - name: ut_good
    model: inc
    overrides: {macros: {is_incremental: false}}
    given: [{input: ref('stg_orders'), rows: [{id: 1, amount: 2}]}]
    expect: {rows: [{id: 1, amount: 2}]}
  - name: ut_bad
    model: inc
    overrides: {macros: {is_incremental: false}}
    given: [{input: ref('stg_orders'), rows: [{id: 1, amount: 2}]}]
    expect: {rows: [{id: 1, amount: 3}]}
sources:
  - name: raw
    schema: main
    tables:
      - name: old
        identifier: raw_orders
        loaded_at_field: "cast(ts as timestamp)"
        freshness: {warn_after: {count: 1, period: day}, error_after: {count: 2, period: day}}
      - name: fresh
        identifier: raw_orders
        loaded_at_field: "current_timestamp"
        freshness: {warn_after: {count: 1, period: day}}
      - name: late
        identifier: raw_orders
        loaded_at_field: "current_timestamp - interval 36 hour"
        freshness: {warn_after: {count: 1, period: day}, error_after: {count: 9, period: day}}
      - name: absent
        loaded_at_field: "ts"
        freshness: {warn_after: {count: 1, period: day}}
exposures:
  - {name: report, type: dashboard, owner: {name: x, email: x@example.com}, depends_on: [ref('orders')]}
""",
}
SLOW_QUERY = b"% 7 = 3"
EPHEMERAL = ("model.shop.eph", "success")
HOOKS = [
    ("operation.shop.shop-on-run-start-0", "success"),
    ("operation.shop.shop-on-run-start-1", "success"),
    ("operation.shop.shop-on-run-end-0", "success"),
    ("operation.shop.shop-on-run-end-1", "success"),
]


@dataclass
class Scenario:
    """A command of dbt, and what is expected of it beyond what its result file lists."""

    name: str
    arguments: str
    outcome: str = "success"
    file: str | None = "run_results.json"
    unlisted: list[tuple[str, str]] = field(default_factory=list)
    """Spans of which the file says nothing."""
    signal: int | None = None
    wrapper: bool = False

    @property
    def trace(self) -> str:
        """The trace that it is started in."""
        return hashlib.md5(self.name.encode(), usedforsecurity=False).hexdigest()


SCENARIOS = [
    Scenario("seed", "seed"),
    Scenario("a build that is good", f"build --exclude {BROKEN}", unlisted=[EPHEMERAL]),
    Scenario("the wrapper", f"build --exclude {BROKEN}", unlisted=[EPHEMERAL], wrapper=True),
    Scenario("a second run, partially parsed", "run --select stg_orders"),
    Scenario("an incremental model", "run --select inc"),
    Scenario("a full refresh", "run --select inc --full-refresh"),
    Scenario("snapshot", "snapshot"),
    Scenario("a build with failures", "build --exclude micro slow", "failure", unlisted=[EPHEMERAL]),
    Scenario("run with a failure", "run --select stg_orders bad after_bad", "failure"),
    Scenario("retry", "retry", "failure"),
    Scenario("tests", "test --select checked stg_orders", "failure"),
    Scenario("unit tests", "test --select test_type:unit", "failure"),
    Scenario(
        "source freshness",
        "source freshness",
        "failure",
        "sources.json",
        [*HOOKS, ("source.shop.raw.absent", "runtime error")],
    ),
    Scenario("run-operation", "run-operation good_op"),
    Scenario("run-operation that fails", "run-operation bad_op", "failure"),
    Scenario("compile", "compile --select stg_orders orders eph"),
    Scenario("docs generate", "docs generate --exclude bad_compile", unlisted=[EPHEMERAL]),
    Scenario("a compile that fails", "compile --select bad_compile", "error", None),
    Scenario("a hook that fails", 'run --select stg_orders --vars {"hook_fails":true}', "failure"),
    Scenario(
        "microbatch",
        "run --select micro --event-time-start 2020-01-01 --event-time-end 2020-01-04",
        "failure",
    ),
    Scenario(
        "fail-fast",
        "run --fail-fast --threads 1 --select bad after_bad checked orders",
        "failure",
    ),
    # Nothing of dbt is left to write a file, or to tell of itself: the next process does.
    Scenario("a kill", "run --select slow --threads 1", "error", None, signal=signal.SIGKILL),
    Scenario("nothing selected", "run --select tag:absent", file=None),
    Scenario("a list", "ls", file=None),
    Scenario(
        "an interrupt",
        "run --select slow --threads 1",
        "cancelled",
        unlisted=[("model.shop.slow", "error")],
        signal=signal.SIGINT,
    ),
    Scenario(
        "a request to end",
        "run --select slow --threads 1",
        "cancelled",
        None,
        signal=signal.SIGTERM,
    ),
]


@dataclass
class Played:
    """What became of the scenarios."""

    received: Received
    results: dict[str, dict[str, Any]]
    codes: dict[str, int]
    starts: dict[tuple[str, str], int]
    """When a node of an invocation started: by the log."""

    def spans(self, scenario: Scenario) -> tuple[Span, list[Span]]:
        """The command's, and those of nodes."""
        found = [span for span in self.received.spans if span.trace == scenario.trace]
        [command] = [span for span in found if span.parent == PARENT]
        return command, [span for span in found if span is not command]


def until(process: subprocess.Popen[bytes], what: str, condition: Callable[[], bool]) -> None:
    """Waits for something of a command that is running."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, f"dbt ended before {what} was seen"
        assert time.monotonic() < deadline, f"{what} is missing"
        time.sleep(0.1)


def noted(state: Path, name: bytes) -> bool:
    """Whether an operation is noted on disk."""
    return any(name in path.read_bytes() for path in state.rglob("*") if path.is_file())


def queried(log: Path, start: int, text: bytes) -> bool:
    """Whether dbt sent a query since its log had this size. It takes it a moment more to be able to cancel it."""
    with log.open("rb") as file:
        file.seek(start)
        found = text in file.read()
    if found:
        time.sleep(0.5)
    return found


def play(scenario: Scenario, project: Path, environ: dict[str, str]) -> int:
    """Runs the command, and sends it a signal in the midst of the slow model."""
    dbt = (
        [sys.executable, "-m", "floe_telemetry.cli", "dbt"]
        if scenario.wrapper
        else [f"{Path(sys.executable).parent}/dbt"]
    )
    environ = environ | {"DBT_LOG_FORMAT_FILE": "json"}
    with (project / f"{scenario.name}.txt").open("w+") as output:
        process = subprocess.Popen(
            [*dbt, *scenario.arguments.split()],
            cwd=project,
            env=environ | {"TRACEPARENT": f"00-{scenario.trace}-{PARENT}-01"},
            stdout=output,
            stderr=output,
        )
        if scenario.signal is not None:
            begun = (project / "logs" / "dbt.log").stat().st_size
            if scenario.signal == signal.SIGKILL:  # what has gone on for a second is noted on disk
                until(process, "its note", lambda: noted(Path(environ["FLOE_STATE_DIR"]), b"model slow"))
            else:
                until(process, "its query", lambda: queried(project / "logs" / "dbt.log", begun, SLOW_QUERY))
            process.send_signal(scenario.signal)
        return process.wait(timeout=120)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All scenarios, one after the other, in one project and with one Collector."""
    directory = tmp_path_factory.mktemp("counted")
    project = directory / "shop"
    for name, text in PROJECT.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    collector = Collector(directory)
    try:
        manifest = directory / "manifest.yaml"
        manifest.write_text(
            "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\n"
            f"observability: {{telemetry: {{otlp_endpoint: 'http://127.0.0.1:{collector.http}'}}}}\n"
        )
        environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest), "DO_NOT_TRACK": "1"}
        environ["FLOE_STATE_DIR"] = str(directory / "state")
        codes, results = {}, {}
        for scenario in SCENARIOS:
            codes[scenario.name] = play(scenario, project, environ)
            written = project / "target" / (scenario.file or "none")
            if written.exists():
                results[scenario.name] = json.loads(written.read_bytes())
        yield Played(collector.stop(), results, codes, logged_starts(project / "logs" / "dbt.log"))
    finally:
        collector.kill()


def logged_starts(log: Path) -> dict[tuple[str, str], int]:
    """When dbt's log says that nodes started; of hooks it tells later. Batches start after their models."""
    found: dict[tuple[str, str], int] = {}
    for event in map(json.loads, log.read_text().splitlines()):
        if event["info"]["name"] == "NodeStart":
            key = (event["info"]["invocation_id"], event["data"]["node_info"]["unique_id"])
            found.setdefault(key, nanoseconds(event["data"]["node_info"]["node_started_at"]))
    return found


def nanoseconds(text: str) -> int:
    """A time in dbt's files."""
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)  # dbt's are UTC and do not always say so
    return round(moment.timestamp() * 1_000_000) * 1000


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario.name))
def test_results_are_spans(scenario: Scenario, played: Played) -> None:
    command, nodes = played.spans(scenario)
    assert command.attributes["floe.outcome"] == scenario.outcome
    assert (command.status == ERROR) == (scenario.outcome in ("failure", "error"))
    listed = played.results.get(scenario.name, {"results": []})
    if listed["results"]:
        assert listed["metadata"]["invocation_id"] == command.attributes["floe.dbt.invocation_id"]
    batches = [node for node in nodes if node.attributes["floe.dbt.resource_type"] == "batch"]
    counted = [node for node in nodes if node not in batches]

    expected = Counter((result["unique_id"], result["status"]) for result in listed["results"])
    expected.update(scenario.unlisted)
    found = Counter(
        (
            node.attributes["floe.dbt.unique_id"],
            node.attributes.get("floe.dbt.node_status", ""),
        )
        for node in counted
    )
    if scenario.file is not None:
        assert found == expected
    by_id = {node.attributes["floe.dbt.unique_id"]: node for node in counted}
    for result in listed["results"]:
        node = by_id[result["unique_id"]]
        assert (node.status == ERROR) == (result["status"] in FAILED), result
        if result["timing"]:
            first, last = result["timing"][0], result["timing"][-1]
            phase = nanoseconds(first["started_at"])
            started = played.starts.get((listed["metadata"]["invocation_id"], result["unique_id"]), phase)
            assert abs(node.start - started) < BOUND, result["unique_id"]
            assert node.start <= phase, result["unique_id"]
            assert abs(node.end - nanoseconds(last["completed_at"])) < BOUND, result["unique_id"]
            phases = {
                event["name"]: int(event["timeUnixNano"])
                for event in node.events
                if event["name"] != "exception"
            }
            assert phases == {
                f"dbt.{each['name']}": nanoseconds(each["started_at"]) for each in result["timing"]
            }
    for node in counted:
        assert node.parent == command.id
    for batch in batches:
        assert batch.parent == by_id[batch.attributes["floe.dbt.unique_id"]].id


def scenario(name: str) -> Scenario:
    """By name."""
    return next(each for each in SCENARIOS if each.name == name)


def test_what_failed_says_how(played: Played) -> None:
    def kinds(name: str) -> dict[str, tuple[str, str]]:
        return {
            node.name: (node.attributes["floe.outcome"], node.attributes.get("error.type", ""))
            for node in played.spans(scenario(name))[1]
        }

    tests = kinds("tests")
    assert tests["dbt.test amount_fails"] == ("failure", "dbt.test_failure")
    assert tests["dbt.test amount_warns"] == ("warning", "")
    assert tests["dbt.test test_errors"] == ("error", "BinderError")
    build = kinds("a build with failures")
    assert build["dbt.model bad"] == ("error", "InvalidInputError")
    assert build["dbt.model bad_compile"] == ("error", "CompilationError")
    assert build["dbt.model after_bad"] == ("skipped", "")
    sources = kinds("source freshness")
    assert {name.rsplit(" ", 1)[1]: kind for name, kind in sources.items() if "source" in name} == {
        "old": ("failure", "dbt.stale_source"),
        "fresh": ("success", ""),
        "late": ("warning", ""),
        "absent": ("error", "CatalogError"),
    }
    assert kinds("run-operation that fails")["dbt.macro bad_op"] == ("error", "CatalogError")
    assert kinds("a hook that fails")["dbt.hook shop-on-run-end-0"] == ("error", "CatalogError")
    assert kinds("microbatch")["dbt.model micro"] == ("failure", "dbt.partial_success")
    for name in ("an interrupt", "a request to end"):
        assert kinds(name)["dbt.model slow"] == ("cancelled", "")
    assert played.codes["a request to end"] == -signal.SIGTERM
    assert kinds("a kill")["dbt.model slow"] == ("error", "abandoned")
    command, _ = played.spans(scenario("a kill"))
    assert command.attributes["error.type"] == "abandoned"


def test_bad_data_is_no_exception(played: Played) -> None:
    _, nodes = played.spans(scenario("tests"))
    by_name = {node.name: {event["name"] for event in node.events} for node in nodes}
    assert "exception" not in by_name["dbt.test amount_fails"]
    assert "exception" in by_name["dbt.test test_errors"]


def test_commands_have_their_names(played: Played) -> None:
    names = {each.name: played.spans(each)[0].name for each in SCENARIOS}
    assert names["docs generate"] == "dbt docs generate"
    assert names["source freshness"] == "dbt source freshness"
    assert names["the wrapper"] == "dbt build"


def test_batches_failures_and_skips_are_counted(played: Played) -> None:
    command, nodes = played.spans(scenario("tests"))
    failed = {node.attributes["floe.dbt.unique_id"] for node in nodes if node.status == ERROR}
    assert command.attributes["floe.dbt.tests_failed"] == len(failed)
    assert command.attributes["floe.dbt.tests_total"] == len([n for n in nodes if " shop-on-" not in n.name])
    assert "amount_fails" in command.attributes["floe.dbt.failed_nodes"]
    command, nodes = played.spans(scenario("a build with failures"))
    # An exposure is never run: nobody counts it among what was skipped.
    skipped = [
        node.name
        for node in nodes
        if node.attributes["floe.outcome"] == "skipped" and not node.name.startswith("dbt.exposure ")
    ]
    assert command.attributes["floe.dbt.nodes_skipped"] == len(skipped) > 0, skipped
    _, nodes = played.spans(scenario("microbatch"))
    days = {node.attributes.get("floe.dbt.batch"): node.attributes["floe.outcome"] for node in nodes}
    assert (days["2020-01-01"], days["2020-01-02"]) == ("success", "error")


def test_a_retry_says_of_what(played: Played) -> None:
    failed, _ = played.spans(scenario("run with a failure"))
    again, _ = played.spans(scenario("retry"))
    assert again.attributes["floe.dbt.retry_of"] == failed.attributes["floe.dbt.invocation_id"]
    _, nodes = played.spans(scenario("retry"))
    assert {node.attributes["code.file.path"] for node in nodes if "model" in node.name} >= {"models/bad.sql"}
    commands = {each.name: played.spans(each)[0] for each in SCENARIOS}
    assert [name for name, span in commands.items() if "floe.dbt.retry_of" in span.attributes] == ["retry"]


def test_where_a_node_is(played: Played) -> None:
    _, nodes = played.spans(scenario("a build with failures"))
    found = next(node.attributes for node in nodes if node.name == "dbt.test test_errors")
    assert found["code.file.path"] == "models/schema.yml"
    assert found["floe.dbt.compiled_path"].startswith("target/compiled/shop/models/schema.yml/")
    assert (found["floe.dbt.column"], found["db.system.name"]) == ("absent", "duckdb")
    after = next(node.attributes for node in nodes if node.name == "dbt.model after_bad")
    assert after["floe.dbt.skipped_because"] == "model.shop.bad"


def test_links_are_the_graph(played: Played) -> None:
    _, nodes = played.spans(scenario("a build that is good"))
    names = {node.id: node.name for node in nodes}
    links = {node.name: {names[link] for link in node.links} for node in nodes}
    assert links["dbt.model stg_orders"] == {"dbt.seed raw_orders"}
    assert links["dbt.model orders"] == {"dbt.model eph"}
    assert links["dbt.test unique_stg_orders_id"] == {"dbt.model stg_orders"}


def test_no_secret_is_out(played: Played) -> None:
    assert "hunter2" not in repr(played.received)
