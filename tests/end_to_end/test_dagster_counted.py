"""Dagster, counted: in each scenario the runs, attempts of steps, assets, checks and ticks that Dagster itself stored are the
spans in the Collector's output, with the same status and times within 50 ms.

Daemon, webserver, code server, run workers and step workers are Dagster's own; two lines of dagster.yaml are all that they
know of telemetry.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import Collector, Received, Span, free_port

PROJECT = Path(__file__).with_name("dagster_project")
BOUND = 50_000_000
"""Nanoseconds."""
ERROR = 2
LAUNCHER = ("e" * 32, "2" * 16)
TAGS = [("floe/traceparent", f"00-{LAUNCHER[0]}-{LAUNCHER[1]}-01")]
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
OUTCOMES = {
    "SUCCESS": ("success", 0),
    "FAILURE": ("failure", ERROR),
    "CANCELED": ("cancelled", 0),
    "SKIPPED": ("skipped", 0),
    "STEP_SUCCESS": ("success", 0),
    "STEP_FAILURE": ("failure", ERROR),
    "STEP_UP_FOR_RETRY": ("warning", 0),
    "STEP_SKIPPED": ("skipped", 0),
    "lost": ("error", ERROR),
}
DAGSTER_YAML = """
telemetry: {enabled: false}
instance_class: {module: floe_telemetry.dagster, class: FloeInstance}
run_retries: {enabled: true, max_retries: 0}
run_monitoring: {enabled: true, poll_interval_seconds: 5}
concurrency: {runs: {max_concurrent_runs: 3}}
"""
SELECTOR = {"repositoryLocationName": "shop", "repositoryName": "__repository__"}
LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
TERMINATE = "mutation($r: String!) { terminateRun(runId: $r) { __typename } }"
STATUS = "query($r: ID!) { runOrError(runId: $r) { ... on Run { status stepStats { status } } } }"
BACKFILL = """mutation($b: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $b) {
    __typename ... on PythonError { message } } }"""
JOBS = [
    "assets",
    "assets_fail",
    "assets_across_processes",
    "observe",
    "plain",
    "retries",
    "retries_across_processes",
    "gives_up_job",
    "step_is_killed",
    "worker_is_killed",
    "retried_run",
    "no_resource",
    "no_resource_across_processes",
]
INSTIGATORS = {"asks", "finds_nothing", "fails", "every_minute"}
CANCELLED = ["cancelled", "cancelled_across_processes"]


class Dagster:
    """Dagster's servers, and what a user asks of its webserver."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self.directory, self.environ = directory, environ
        self.port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Starts the servers."""
        grpc = free_port()
        (self.directory / "workspace.yaml").write_text(
            f"load_from: [{{grpc_server: {{host: 127.0.0.1, port: {grpc}, location_name: shop}}}}]"
        )
        workspace = ["-w", str(self.directory / "workspace.yaml")]
        # As `dagster dev` starts it: its own lines are warnings, `context.log` goes to the Collector all the same.
        code = ["-f", str(PROJECT / "definitions.py"), "-p", str(grpc), "--log-level", "warning"]
        self._serve("code", "-m", "dagster", "api", "grpc", *code)
        self._serve(
            "webserver", "-m", "dagster_webserver", *workspace, "-h", "127.0.0.1", "-p", str(self.port)
        )
        until(lambda: None if self._answers() else "the webserver's answer", 240)
        self._serve("daemon", "-m", "dagster._daemon", "run", *workspace)

    def _serve(self, name: str, *arguments: str) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, *arguments], env=self.environ, cwd=self.directory, stdout=log, stderr=log
                )
            )

    def _answers(self) -> bool:
        assert all(process.poll() is None for process in self._processes), (
            self.directory / "code.log"
        ).read_text()
        try:
            loaded = self.query("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
            return bool(loaded["repositoriesOrError"].get("nodes"))
        except OSError:
            return False

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """Asks the webserver."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": text, "variables": variables}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            data: dict[str, Any] = json.load(response)["data"]
        return data

    def launch(self, job: str, tags: Sequence[tuple[str, str]] = ()) -> str:
        """Launches a run."""
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags]}
        launched = self.query(
            LAUNCH,
            p={
                "selector": SELECTOR | {"jobName": job},
                "mode": "default",
                "runConfigData": {},
                "executionMetadata": metadata,
            },
        )["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id: str = launched["run"]["runId"]
        return run_id

    def run(self, run_id: str) -> dict[str, Any]:
        """What became of a run."""
        found: dict[str, Any] = self.query(STATUS, r=run_id)["runOrError"]
        return found

    def artifacts(self) -> dict[str, Any]:
        """What Dagster stored."""
        stored = subprocess.run(
            [sys.executable, PROJECT / "artifacts.py"],
            env=self.environ | {"FLOE_TELEMETRY_MANIFEST": "", "OTEL_SDK_DISABLED": "true"},
            capture_output=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(stored.stdout)
        return found

    def stop(self) -> None:
        """Ends the servers in order."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait(timeout=30)

    def kill(self) -> None:
        """Ends the servers at once."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def until(missing: Callable[[], object], seconds: float) -> None:
    """Waits until nothing is missing."""
    deadline = time.monotonic() + seconds
    while left := missing():
        assert time.monotonic() < deadline, f"still missing after {seconds} s: {left}"
        time.sleep(0.5)


def not_in_progress(run: dict[str, Any]) -> str | None:
    """What a run's only step is doing, if it does not run."""
    status = [each["status"] for each in run["stepStats"]]
    return None if status == ["IN_PROGRESS"] else f"a step in progress: {run['status']}, {status}"


@dataclass
class Played:
    """What became of the scenarios."""

    received: Received
    runs: dict[str, list[dict[str, Any]]]
    """By job."""
    ticks: list[dict[str, Any]]

    def run(self, job: str) -> tuple[dict[str, Any], Span]:
        """The first run of a job, as stored and as told."""
        stored = min(self.runs[job], key=lambda run: float(run["start"] or 0))
        return stored, self.span(stored)

    def span(self, run: dict[str, Any]) -> Span:
        """The span of a stored run."""
        [found] = [span for span in self.told(run) if span.name.startswith("dagster.run ")]
        return found

    def told(self, run: dict[str, Any]) -> list[Span]:
        """The spans of a stored run."""
        return [
            span
            for span in self.received.spans
            if span.attributes.get("floe.dagster.run_id") == run["id"] and span.name.startswith("dagster.")
        ]

    def tick(self, span: Span) -> dict[str, Any]:
        """The stored tick of a span."""
        [found] = [tick for tick in self.ticks if tick["id"] == span.attributes["floe.dagster.tick"]]
        return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All scenarios at once, three runs at a time."""
    directory = tmp_path_factory.mktemp("dagster")
    home = directory / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(DAGSTER_YAML)
    collector = Collector(directory)
    manifest = directory / "manifest.yaml"
    manifest.write_text(
        "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\n"
        f"observability: {{telemetry: {{otlp_endpoint: 'http://127.0.0.1:{collector.http}'}}}}\n"
    )
    environ = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "FLOE_TELEMETRY_MANIFEST": str(manifest),
        "FLOE_STATE_DIR": str(directory / "state"),
        # What a server was started in launched none of its runs.
        "TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01",
    }
    dagster = Dagster(directory, environ)
    try:
        dagster.start()
        yield play(dagster, collector)
    finally:
        dagster.kill()
        collector.kill()


def play(dagster: Dagster, collector: Collector) -> Played:
    """Plays the scenarios."""
    cancelled = [dagster.launch(job) for job in CANCELLED]
    dagster.query(
        BACKFILL,
        b={
            "assetSelection": [{"path": ["parted"]}],
            "partitionNames": ["p1", "p2"],
            "fromFailure": False,
            "tags": [{"key": key, "value": value} for key, value in TAGS],
        },
    )
    launched = [dagster.launch(job, TAGS if job == "assets" else ()) for job in JOBS]
    queued = dagster.launch("plain", [("scenario", "cancelled in the queue")])
    dagster.query(TERMINATE, r=queued)
    for run in cancelled:
        until(lambda run=run: not_in_progress(dagster.run(run)), 240)  # type: ignore[misc]
        dagster.query(TERMINATE, r=run)

    def not_ended() -> list[str]:
        return [run for run in (*cancelled, *launched) if dagster.run(run)["status"] not in ENDED]

    until(not_ended, 600)

    def missing() -> list[str]:
        stored = dagster.artifacts()
        ticked = {tick["name"] for tick in stored["ticks"] if tick["status"] != "STARTED"}
        left = [f"end of {run['job']}" for run in stored["runs"] if run["status"] not in ENDED]
        left += [f"tick of {name}" for name in INSTIGATORS - ticked]
        return (
            left if any(run["parent"] for run in stored["runs"]) else [*left, "the run that is tried again"]
        )

    until(missing, 240)
    dagster.stop()
    stored = dagster.artifacts()
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in stored["runs"]:
        runs.setdefault(run["job"], []).append(run)
    return Played(collector.stop(), runs, [tick for tick in stored["ticks"] if tick["status"] != "STARTED"])


def attempts(run: dict[str, Any]) -> dict[tuple[str, int], tuple[float, float, str]]:
    """Start, end and last event of each attempt of each step. One without end was lost with the run's worker."""
    found: dict[tuple[str, int], tuple[float, float, str]] = {}
    started: dict[str, float] = {}
    count: Counter[str] = Counter()
    for event in run["events"]:
        step = event["step"]
        if event["type"] in ("STEP_START", "STEP_RESTARTED"):
            started[step] = event["time"]
        elif event["type"] in OUTCOMES:
            count[step] += 1
            found[step, count[step]] = (started.pop(step, event["time"]), event["time"], event["type"])
    for step, start in started.items():
        found[step, count[step] + 1] = (start, run["end"], "lost")
    return found


def near(span: Span, start: float, end: float) -> bool:
    """Whether a span's times are those that Dagster stored."""
    return abs(span.start - start * 1e9) < BOUND and abs(span.end - end * 1e9) < BOUND


def scenarios() -> list[str]:
    """One for each job."""
    return [*JOBS, *CANCELLED, "__ASSET_JOB"]


@pytest.mark.parametrize("job", scenarios())
def test_runs_and_steps_are_spans(job: str, played: Played) -> None:
    for run in played.runs[job]:
        span = played.span(run)
        outcome, status = OUTCOMES[run["status"]]
        assert (span.attributes["floe.outcome"], span.status) == (outcome, status)
        assert near(span, run["start"] or run["end"], run["end"]), run
        checks = {
            f"dagster.check {event['asset']}:{event['check']}": event
            for event in run["events"]
            if event["type"] == "ASSET_CHECK_EVALUATION"
        }
        steps = {
            (each.attributes["floe.dagster.step"], each.attributes["floe.dagster.attempt"]): each
            for each in played.told(run)
            if "floe.dagster.attempt" in each.attributes
        }
        stored = attempts(run)
        assert set(steps) == set(stored)
        for key, (start, end, last) in stored.items():
            step = steps[key]
            assert near(step, start, end), key
            assert (step.trace, step.parent) == (span.trace, span.id)
            outcome, status = OUTCOMES[last]
            if step.name in checks:
                outcome, status = verdict(checks[step.name])
            assert (step.attributes["floe.outcome"], step.status) == (outcome, status), key


def verdict(event: dict[str, Any]) -> tuple[str, int]:
    """How a check ended."""
    if event["passed"]:
        return "success", 0
    return ("warning", 0) if event["severity"] == "WARN" else ("failure", ERROR)


@pytest.mark.parametrize("job", scenarios())
def test_assets_and_checks_are_spans(job: str, played: Played) -> None:
    kinds = {"ASSET_MATERIALIZATION": "dagster.asset", "ASSET_OBSERVATION": "dagster.observation"}
    for run in played.runs[job]:
        told = played.told(run)
        expected = Counter(
            f"{kinds[event['type']]} {event['asset']}" for event in run["events"] if event["type"] in kinds
        )
        names = (*(f"{kind} " for kind in kinds.values()),)
        found = Counter(
            span.name
            for span in told
            if span.name.startswith(names) and span.attributes["floe.outcome"] == "success"
        )
        assert found == expected
        checks = Counter(
            (f"dagster.check {event['asset']}:{event['check']}", verdict(event))
            for event in run["events"]
            if event["type"] == "ASSET_CHECK_EVALUATION"
        )
        assert checks == Counter(
            (span.name, (span.attributes["floe.outcome"], span.status))
            for span in told
            if span.name.startswith("dagster.check ")
        )
        points = [
            span
            for span in told
            if span.start == span.end
            and not span.name.startswith("dagster.run ")
            and "skipped" not in span.attributes["floe.outcome"]
        ]
        ids = {span.id for span in told}
        for point in points:
            assert point.parent in ids
            assert any(abs(point.start - event["time"] * 1e9) < BOUND for event in run["events"])


def test_ticks_are_spans(played: Played) -> None:
    kinds = ("dagster.sensor ", "dagster.schedule ")
    told = {
        span.attributes["floe.dagster.tick"]: span
        for span in played.received.spans
        if span.name.startswith(kinds)
    }
    ticks = [tick for tick in played.ticks if tick["status"] != "SKIPPED"]
    assert set(told) == {tick["id"] for tick in ticks}
    for tick in ticks:
        span = told[tick["id"]]
        assert span.name.endswith(f" {tick['name']}")
        assert (span.attributes["floe.outcome"], span.status) == OUTCOMES[tick["status"]]
        assert near(span, tick["start"], tick["end"])
        assert span.attributes.get("floe.dagster.runs", []) == tick["runs"]
    measured = {
        attribute["value"]["stringValue"]
        for point in played.received.metrics["floe.operation.duration"]
        for attribute in point["attributes"]
        if {"key": "floe.outcome", "value": {"stringValue": "skipped"}} in point["attributes"]
        and attribute["key"] == "floe.operation.type"
    }
    assert "dagster.sensor" in measured
    outcomes = {(tick["name"], tick["status"]) for tick in played.ticks}
    assert {("asks", "SUCCESS"), ("finds_nothing", "SKIPPED"), ("fails", "FAILURE")} <= outcomes


def test_a_run_is_below_the_tick_that_asked_for_it(played: Played) -> None:
    asked = [tick for tick in played.ticks if tick["runs"]]
    assert {tick["name"] for tick in asked} == {"asks", "every_minute"}
    spans = {span.attributes.get("floe.dagster.tick"): span for span in played.received.spans}
    for tick in asked:
        [run] = [run for run in played.runs["plain"] if run["id"] in tick["runs"]]
        [asking] = [
            span
            for span in played.received.spans
            if span.attributes.get("floe.dagster.tick") == tick["id"]
            and "floe.dagster.job" not in span.attributes
        ]
        below = played.span(run)
        assert (below.trace, below.parent) == (asking.trace, asking.id)
    assert spans


def test_a_run_that_nobody_launched_has_its_own_trace(played: Played) -> None:
    run, span = played.run("retries")
    assert (span.trace, span.parent) == (run["id"].replace("-", ""), "")


def test_a_run_is_in_the_trace_of_its_tags(played: Played) -> None:
    for job in ("assets", "__ASSET_JOB"):
        for run in played.runs[job]:
            span = played.span(run)
            assert (span.trace, span.parent) == LAUNCHER
    backfill = [played.span(run).attributes for run in played.runs["__ASSET_JOB"]]
    assert {found["floe.dagster.partition"] for found in backfill} == {"p1", "p2"}
    assert len({found["floe.dagster.backfill"] for found in backfill}) == 1


def test_a_run_that_is_tried_again_is_linked(played: Played) -> None:
    [again] = [run for run in played.runs["retried_run"] if run["parent"]]
    [failed] = [run for run in played.runs["retried_run"] if not run["parent"]]
    span = played.span(again)
    assert span.links == [played.span(failed).id]
    assert span.attributes["floe.dagster.retry_number"] == 1
    assert span.attributes["floe.dagster.parent_run_id"] == failed["id"]


def test_time_in_the_queue(played: Played) -> None:
    run, span = played.run("retries")
    times = {event["type"]: event["time"] for event in run["events"]}
    waited = times["PIPELINE_STARTING"] - times["PIPELINE_ENQUEUED"]
    assert abs(float(span.attributes["floe.dagster.queue_seconds"]) - waited) < 0.05
    assert played.received.metrics["floe.dagster.queue.duration"]


def test_a_run_that_is_cancelled_in_the_queue(played: Played) -> None:
    [run] = [run for run in played.runs["plain"] if run["tags"].get("scenario")]
    assert (run["status"], run["start"]) == ("CANCELED", None)
    assert [event["type"] for event in run["events"]] == ["PIPELINE_ENQUEUED"]
    assert [span.attributes["floe.outcome"] for span in played.told(run)] == ["cancelled"]


def test_what_failed_says_why(played: Played) -> None:
    for job in ("assets_fail", "assets_across_processes"):
        run, span = played.run(job)
        [broken] = [each for each in played.told(run) if each.name == "dagster.asset broken"]
        for failed in (span, broken):
            assert failed.attributes["error.type"] == "ValueError"
            assert failed.attributes["floe.exception.causes"] == ["KeyError"]
            [exception] = [event for event in failed.events if event["name"] == "exception"]
            assert "no access to postgres://***@db/shop" in json.dumps(exception)
        assert broken.description == "no access to postgres://***@db/shop"
        assert "failed: broken" in span.description
        [exception] = [event for event in broken.events if event["name"] == "exception"]
        text = json.dumps(exception)
        assert "direct cause of the following exception" in text
        assert "in broken" in text
        assert broken.attributes["code.function.name"].endswith("broken")
        assert broken.attributes["code.file.path"].endswith("definitions.py")
    _, lost = played.run("worker_is_killed")
    assert lost.attributes["error.type"] == "abandoned"
    _, killed = played.run("step_is_killed")
    assert killed.attributes["error.type"].endswith("ChildProcessCrashException")
    _, refused = played.run("no_resource")
    assert refused.attributes["error.type"] == "RuntimeError"
    run, gave_up = played.run("gives_up_job")
    assert " failed: " in gave_up.description
    assert "out of stock" in json.dumps(gave_up.events)


def test_what_is_known_of_steps(played: Played) -> None:
    run, _ = played.run("assets")
    by_name = {span.name: span.attributes for span in played.told(run)}
    orders = by_name["dagster.asset raw/eu/orders"]
    assert orders["floe.dagster.group"] == "silver"
    assert orders["floe.dagster.code_location"] == "shop"
    assert orders["floe.dagster.metadata.rows"] == 7.0
    assert by_name["dagster.check raw/eu/orders:separate"]["floe.dagster.metadata.bad"] == 3.0
    assert by_name["dagster.assets several"]["floe.dagster.materialized"] == ["a", "c"]
    made = Counter(
        attribute["value"]["stringValue"]
        for point in played.received.metrics["floe.asset.materializations"]
        for attribute in point["attributes"]
        if attribute["key"] == "floe.dagster.asset"
    )
    assert {"a", "c", "adhoc", "raw/eu/orders"} <= set(made)
    assert not {"b", "elsewhere", "source"} & set(made)


def test_logs_are_in_the_trace_of_who_says_them(played: Played) -> None:
    said: dict[str, set[str]] = {}
    for record in played.received.logs:
        if "body" in record:  # the daemon's own records are in no span
            said.setdefault(record["body"]["stringValue"], set()).add(record.get("spanId", ""))
    names = {span.id: span.name for span in played.received.spans}
    for text, name in (
        ("from the context", "dagster.asset raw/eu/orders"),
        ("from plain logging", "dagster.asset raw/eu/orders"),
        ("the sensor looks", "dagster.sensor asks"),
        ("the schedule looks", "dagster.schedule every_minute"),
    ):
        assert "" not in said[text], text
        # A tick that was skipped, or goes on when the daemon ends, has no span; a step has.
        known = said[text] & names.keys()
        assert {names[span] for span in known} == {name}, text
        assert known == said[text] or not name.startswith("dagster.asset "), text


def test_no_span_is_told_twice(played: Played) -> None:
    assert max(Counter(span.id for span in played.received.spans).values()) == 1


def test_no_parent_is_missing(played: Played) -> None:
    ids = {span.id for span in played.received.spans} | {LAUNCHER[1], ""}
    assert [span.name for span in played.received.spans if span.parent not in ids] == []


def test_no_secret_is_out(played: Played) -> None:
    assert "hunter2" not in repr(played.received)
