"""What telemetry costs dbt and Dagster: whole processes without it, with the bare SDK and with floe, which take turns.

    python tests/benchmarks/python/tools.py [--rounds N] [--only dbt|dagster]

dbt builds 200 models and 200 tests on DuckDB, Dagster materializes 100 assets of 0.05 s each in one process. What is
sent goes to a receiver in a process of its own: the Collector that `FLOE_OTELCOL` names, else the tests' receiver.

The bare SDK makes a span and a measurement of each node or step, as in `bare/`: no names, no context of log records, no
errors, no redaction. It is what the SDK costs whoever uses it.

CPU is user and system time of the process and its children, as the kernel counted it. What telemetry adds is the median
of the rounds' differences, beside the quartiles: a machine's speed varies more from round to round than within one.
"""

from __future__ import annotations

import argparse
import enum
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
BARE = Path(__file__).with_name("bare")
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
DAGSTER_INSTANCES = {
    "without": "",
    "bare": "instance_class: {module: bare_dagster, class: BareInstance}\n",
    "floe": "instance_class: {module: floe_telemetry.dagster, class: FloeInstance}\n",
}
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


class Telemetry(enum.StrEnum):
    """What a run is measured with."""

    WITHOUT = enum.auto()
    BARE = enum.auto()
    FLOE = enum.auto()


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
    environ: Callable[[Telemetry], dict[str, str]]

    def run(self, telemetry: Telemetry, endpoint: str) -> Cost:
        self.prepare()
        environ = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        # Python may keep what it compiled of the package, as it keeps it of an installed one.
        for name in ("FLOE_TELEMETRY_MANIFEST", "PYTHONDONTWRITEBYTECODE"):
            environ.pop(name, None)
        environ |= self.environ(telemetry)
        if telemetry is Telemetry.FLOE:
            manifest = self.directory / "manifest.yaml"
            manifest.write_text(MANIFEST.format(endpoint=endpoint))
            environ["FLOE_TELEMETRY_MANIFEST"] = str(manifest)
        if telemetry is Telemetry.BARE:
            environ["BARE_SDK_ENDPOINT"] = endpoint
            environ["PYTHONPATH"] = os.pathsep.join(
                [str(BARE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
            )
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
    homes = {telemetry: directory / telemetry for telemetry in Telemetry}
    for telemetry, home in homes.items():
        home.mkdir()
        (home / "dagster.yaml").write_text(DAGSTER_YAML + DAGSTER_INSTANCES[telemetry])
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


def measure(tool: Tool, rounds: int) -> str:
    """Runs the rounds, each in the other order than the one before, and answers with a table."""
    measured: dict[Telemetry, list[Cost]] = {telemetry: [] for telemetry in Telemetry}
    with receiving(tool.directory) as receiver:
        # Warm: dbt's partial parse, Dagster's storage, what Python and the policy's engine compiled.
        for telemetry in Telemetry:
            tool.run(telemetry, receiver.endpoint)
        for number in range(rounds):
            for telemetry in list(Telemetry)[:: 1 if number % 2 == 0 else -1]:
                measured[telemetry].append(tool.run(telemetry, receiver.endpoint))
        spans = receiver.stop() / (rounds + 1)
    lines = [f"{tool.label}: {rounds} rounds, {spans:g} spans received of one"]
    lines.append(f"{'median':14}{'without':>10}{'with the bare SDK':>32}{'with floe':>32}")
    for position, unit in enumerate(("wall, s", "CPU, s", "peak RSS, MiB")):
        without, *others = ([cost[position] for cost in costs] for costs in measured.values())
        usual = statistics.median(without)
        line = f"{unit:14}{usual:10.2f}"
        for other in others:
            more = [one - plain for one, plain in zip(other, without, strict=True)]
            low, middle, high = statistics.quantiles(more, n=4)
            line += f"{middle:+12.2f} {middle / usual:+6.1%} ({low:+.2f}..{high:+.2f})"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    tools = {"dbt": dbt, "dagster": dagster}
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=8, help="how often each runs each way, at least 2")
    arguments.add_argument("--only", choices=tools, help="one of the two")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for tool in [given.only] if given.only else tools:
            print(measure(tools[tool](Path(name) / tool), given.rounds), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
