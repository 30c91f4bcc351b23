"""The example pipeline: a Rust compile, a Dagster run of several processes and dbt, as one trace, through a real Collector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, Collector, Received

IDENTITY = {
    "floe.namespace": "acme.sales",
    "floe.product.name": "sales",
    "floe.product.version": "1.2.0",
    "floe.mode": "dev",
}
ERROR = 2


def demo(collector: Collector, state: Path, protocol: str, *arguments: str) -> Received:
    """Runs the demo with its telemetry sent to the Collector."""
    port = collector.grpc if protocol == "grpc" else collector.http
    command = [
        os.environ["FLOE_CLI"],
        "demo",
        *("--python", sys.executable),
        *("--endpoint", f"http://127.0.0.1:{port}", "--protocol", protocol),
        *("--state", str(state)),
        *arguments,
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    log = state / "pipeline.log"
    assert run.returncode == 0, (run.stdout, run.stderr, log.read_text()[-4000:] if log.exists() else "")
    assert run.stderr == ""
    return collector.stop()


def check_one_connected_trace(received: Received) -> None:
    """One trace id, one root, every parent there, floe's identity on every span, one policy file in every process."""
    assert len({span.trace for span in received.spans}) == 1
    ids = {span.id for span in received.spans}
    assert len(ids) == len(received.spans)
    assert [span.name for span in received.spans if not span.parent] == ["floe.compile sales"]
    assert [span.name for span in received.spans if span.parent and span.parent not in ids] == []
    for span in received.spans:
        assert span.attributes.items() >= IDENTITY.items(), span
        assert span.resource.items() >= IDENTITY.items(), span
        assert span.end >= span.start
    assert len({span.resource["floe.policy.digest"] for span in received.spans}) == 1
    assert {span.resource["telemetry.sdk.language"] for span in received.spans} == {"rust", "python"}
    # Rust, the Dagster run, and a process for each step that ran and for each dbt command.
    own = [
        span
        for span in received.spans
        if "floe.dagster.attempt" in span.attributes or span.name in ("dbt build", "dbt parse")
    ]
    assert len({span.resource["process.pid"] for span in received.spans}) == 2 + len(own)


def check_logs(received: Received) -> None:
    """Log records of both languages belong to spans of the trace."""
    spans = {span.id: span for span in received.spans}
    within = [record for record in received.logs if record.get("spanId") in spans]
    assert {spans[record["spanId"]].resource["telemetry.sdk.language"] for record in within} == {
        "rust",
        "python",
    }
    assert all(record["traceId"] == spans[record["spanId"]].trace for record in within)


def test_a_run_that_succeeds(collector: Collector, tmp_path: Path) -> None:
    received = demo(collector, tmp_path / "state", "http")
    check_one_connected_trace(received)
    check_logs(received)

    model = received.named("dbt.model daily_revenue")
    path = received.path(model)
    assert path[:3] == ["floe.compile sales", "floe.pipeline.run daily_sales", "dagster.run daily_sales"]
    assert path[3].startswith("dagster.asset")
    assert path[4:] == ["dbt build", "dbt.model daily_revenue"]
    assert model.attributes["floe.dbt.unique_id"] == "model.sales.daily_revenue"
    assert model.attributes["floe.dbt.model"] == "daily_revenue"
    assert received.path(received.named("dagster.asset revenue_report"))[-2] == "dagster.run daily_sales"
    assert [span.name for span in received.spans if span.status == ERROR] == []
    warned = received.named("dbt.test assert_every_order_is_charged")
    assert warned.attributes["floe.outcome"] == "warning"
    assert warned.attributes["floe.warning.message"] == "Got 1 result, configured to warn if != 0"

    names = set(received.metrics)
    assert names >= {
        "floe.pipeline.duration",
        "floe.asset.materializations",
        "floe.dbt.node.duration",
        "floe.dbt.tests",
    }
    assert sum(int(point["count"]) for point in received.metrics["floe.pipeline.duration"]) == 1
    assert "floe.errors" not in names


def test_a_run_that_fails(collector: Collector, tmp_path: Path) -> None:
    received = demo(collector, tmp_path / "state", "grpc", "--fail")
    check_one_connected_trace(received)

    test = received.named("dbt.test assert_no_negative_revenue")
    assert test.status == ERROR
    assert test.description == "Got 1 result, configured to fail if != 0"
    assert test.attributes["error.type"] == "dbt.test_failure"
    # Everything above the failed test, to the pipeline's run, is marked as well; the compile was fine.
    failed = {span.name for span in received.spans if span.status == ERROR}
    assert set(received.path(test)[1:]) <= failed
    assert received.named("floe.compile sales").status != ERROR
    skipped = [span.name for span in received.spans if span.attributes.get("floe.outcome") == "skipped"]
    assert "dbt.model daily_revenue" in skipped or "dbt.model customer_value" in skipped
    assert "floe.errors" in received.metrics
