"""What floe costs dbt and Dagster: whole processes with and without it, which take turns.

    python tests/benchmarks/python/tools.py [--pairs N] [--only dbt|dagster]

dbt builds 200 models and 200 tests on DuckDB, Dagster materializes 100 assets of 0.05 s each in one process. What is
sent goes to a receiver in a process of its own: the Collector that `FLOE_OTELCOL` names, else the tests' receiver.

CPU is user and system time of the process and its children, as the kernel counted it. On a machine that others use as
well, trust it rather than wall time. A difference is the median of the pairs' differences: what slows the machine
down slows both of a pair.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
MODELS, ASSETS = 200, 100
LAYER = 10
"""Models that do not depend on each other: the graph is 20 deep."""

MANIFEST = """
metadata: {{name: sales, namespace: acme.sales, version: 1.2.0}}
observability: {{telemetry: {{otlp_endpoint: "{endpoint}"}}}}
"""
DBT_PROJECT = """
name: shop
version: '1.0'
profile: shop
flags: {send_anonymous_usage_stats: false}
"""
DBT_PROFILES = """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: shop.duckdb, threads: 4, settings: {threads: 1}}
"""
DAGSTER_YAML = "telemetry: {enabled: false}\n"
DAGSTER_INSTANCE = "instance_class: {module: floe_telemetry.dagster, class: FloeInstance}\n"
DEFINITIONS = f"""
import time

import dagster


def made(name):
    @dagster.asset(name=name)
    def work(context):
        context.log.info("sleeps")
        time.sleep(0.05)

    return work


defs = dagster.Definitions(
    assets=[made(f"asset_{{n}}") for n in range({ASSETS})],
    jobs=[dagster.define_asset_job("all_assets", executor_def=dagster.in_process_executor)],
)
"""
RECEIVER = """
import sys
import collector
with collector.running() as receiver:
    print(receiver.endpoint, flush=True)
    sys.stdin.read()
    print(len(receiver.spans), flush=True)
"""


class Cost(NamedTuple):
    """Of one process: seconds, seconds and MiB."""

    wall: float
    cpu: float
    rss: float


@dataclass
class Tool:
    """A tool's command, and what is done before each run of it."""

    label: str
    command: Sequence[str | Path]
    directory: Path
    prepare: Callable[[], None]
    environ: Callable[[bool], dict[str, str]]
    """Of a run with or without telemetry."""

    def run(self, endpoint: str | None) -> Cost:
        self.prepare()
        environ = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        # Python may keep what it compiled of the package, as it keeps it of an installed one.
        for name in ("FLOE_TELEMETRY_MANIFEST", "PYTHONDONTWRITEBYTECODE"):
            environ.pop(name, None)
        environ |= self.environ(endpoint is not None)
        if endpoint is not None:
            manifest = self.directory / "manifest.yaml"
            manifest.write_text(MANIFEST.format(endpoint=endpoint))
            environ["FLOE_TELEMETRY_MANIFEST"] = str(manifest)
        with (self.directory / "output.txt").open("w+") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                self.command, cwd=self.directory, env=environ, stdout=output, stderr=output
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                sys.exit(f"{self.label} failed:\n{output.read()}")
        return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def dbt(directory: Path) -> Tool:
    """A project of 200 models, every other one a table, and a test of each."""
    directory.mkdir()
    (directory / "dbt_project.yml").write_text(DBT_PROJECT)
    (directory / "profiles.yml").write_text(DBT_PROFILES)
    models = directory / "models"
    models.mkdir()
    listed = ["models:"]
    for n in range(MODELS):
        kind = "table" if n % 2 else "view"
        source = f"{{{{ ref('model_{n - LAYER}') }}}}" if n >= LAYER else "range(100) as numbers(id)"
        (models / f"model_{n}.sql").write_text(
            f"{{{{ config(materialized='{kind}') }}}} select id from {source}"
        )
        listed.append(f"  - {{name: model_{n}, columns: [{{name: id, data_tests: [not_null]}}]}}")
    (models / "schema.yml").write_text("\n".join(listed))
    return Tool(
        f"dbt build, {MODELS} models and {MODELS} tests",
        [Path(sys.executable).with_name("dbt"), "build"],
        directory,
        lambda: (directory / "shop.duckdb").unlink(missing_ok=True),
        lambda telemetry: {"DBT_PROFILES_DIR": str(directory)},
    )


def dagster(directory: Path) -> Tool:
    """A job of 100 assets."""
    directory.mkdir()
    (directory / "definitions.py").write_text(DEFINITIONS)
    homes = {True: directory / "with", False: directory / "without"}
    for telemetry, home in homes.items():
        home.mkdir()
        (home / "dagster.yaml").write_text(DAGSTER_YAML + (DAGSTER_INSTANCE if telemetry else ""))
    command = [sys.executable, "-m", "dagster", "job", "execute", "-f", "definitions.py", "-j", "all_assets"]
    return Tool(
        f"Dagster, {ASSETS} assets of 0.05 s",
        command,
        directory,
        lambda: None,
        lambda telemetry: {"DAGSTER_HOME": str(homes[telemetry])},
    )


class Receiver(NamedTuple):
    """A receiver that runs."""

    endpoint: str
    stop: Callable[[], int]
    """Ends it, and answers with how many spans it received."""


@contextmanager
def receiving(directory: Path) -> Iterator[Receiver]:
    """A receiver in a process of its own."""
    if os.environ.get("FLOE_OTELCOL"):
        sys.path.insert(0, str(ROOT / "tests/end_to_end"))
        from conftest import Collector

        collector = Collector(directory)
        try:
            yield Receiver(f"http://127.0.0.1:{collector.http}", lambda: len(collector.stop().spans))
        finally:
            collector.kill()
        return
    with subprocess.Popen(
        [sys.executable, "-c", RECEIVER],
        cwd=ROOT / "adapters/python/tests",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield Receiver(process.stdout.readline().strip(), lambda: int(process.communicate()[0]))


def measure(tool: Tool, pairs: int) -> str:
    """Runs the pairs, each in the other order than the one before, and answers with a table."""
    measured: dict[bool, list[Cost]] = {False: [], True: []}
    with receiving(tool.directory) as receiver:
        # Warm: dbt's partial parse, Dagster's storage, what Python and the policy's engine compiled.
        tool.run(None)
        tool.run(receiver.endpoint)
        for pair in range(pairs):
            for telemetry in (False, True) if pair % 2 == 0 else (True, False):
                measured[telemetry].append(tool.run(receiver.endpoint if telemetry else None))
        spans = receiver.stop() / (pairs + 1)
    lines = [f"{tool.label}: {pairs} pairs, {spans:g} spans received of a run"]
    lines.append(f"{'median':14}{'without':>10}{'with':>10}{'difference':>12}{'':>10}")
    for position, unit in enumerate(("wall, s", "CPU, s", "peak RSS, MiB")):
        without, with_ = ([cost[position] for cost in measured[on]] for on in (False, True))
        usual = statistics.median(without)
        more = statistics.median(b - a for a, b in zip(without, with_, strict=True))
        lines.append(
            f"{unit:14}{usual:10.2f}{statistics.median(with_):10.2f}{more:+12.2f}{more / usual:+10.1%}"
        )
    return "\n".join(lines)


def main() -> None:
    tools = {"dbt": dbt, "dagster": dagster}
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=5, help="how often each runs with and without")
    arguments.add_argument("--only", choices=tools, help="one of the two")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for tool in [given.only] if given.only else tools:
            print(measure(tools[tool](Path(name) / tool), given.pairs), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
