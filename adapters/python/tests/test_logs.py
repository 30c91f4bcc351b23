from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from collector import Collector
from conftest import Manifest, run_python


def run(code: str, manifest: Path, tmp_path: Path) -> str:
    ran = run_python(code, tmp_path, {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest)})
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def test_nothing_set_up(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import logging, floe_telemetry
from opentelemetry import trace
floe_telemetry.init()
log = logging.getLogger("app")
log.debug("too low"); log.info("plain", extra={"rows": 3})
with trace.get_tracer("t").start_as_current_span("work"):
    try: 1 / 0
    except ZeroDivisionError: log.exception("in a span")
"""
    lines = [json.loads(line) for line in run(code, manifest(collector.endpoint), tmp_path).splitlines()]
    plain, failed = lines
    assert (plain["message"], plain["rows"], plain["floe.namespace"]) == ("plain", 3, "acme.sales")
    assert "trace_id" not in plain
    span = collector.span("work")
    assert (failed["trace_id"], failed["span_id"], failed["trace_flags"]) == (
        span.trace_id,
        span.span_id,
        "03",
    )
    assert failed["exception"].endswith("ZeroDivisionError: division by zero")
    assert [(log.logger, log.body, log.severity) for log in collector.logs] == [
        ("app", "plain", "INFO"),
        ("app", "in a span", "ERROR"),
    ]
    assert collector.logs[0].attributes["rows"] == 3
    assert collector.logs[1].span_id == span.span_id
    assert "trace_id" not in collector.logs[1].attributes


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "setup",
    [
        "logging.basicConfig(level=logging.INFO, format='MINE %(message)s %(trace_id)s')",
        "logging.config.dictConfig({'version': 1, 'formatters': {'f': {'format': 'MINE %(message)s %(trace_id)s'}},"
        " 'handlers': {'h': {'class': 'logging.StreamHandler', 'formatter': 'f'}},"
        " 'root': {'level': 'INFO', 'handlers': ['h']}})",
    ],
)
def test_the_applications_own_set_up_stays(
    setup: str, when: str, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    lines = ["floe_telemetry.init()", setup]
    if when == "before":
        lines.reverse()
    code = "import logging, logging.config, floe_telemetry\n" + "\n".join(lines) + "\nlogging.info('hello')"
    assert run(code, manifest(collector.endpoint), tmp_path) == "MINE hello \n"
    assert collector.log("hello").severity == "INFO"


def test_levels_and_text(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = (
        "import logging, floe_telemetry\nfloe_telemetry.init()\nlogging.info('low'); logging.warning('high')"
    )
    path = manifest(collector.endpoint, "logging: {log_level: WARNING, json_output: false}")
    [line] = run(code, path, tmp_path).splitlines()
    assert line.endswith("WARNING  root: high")
    assert [log.body for log in collector.logs] == ["high"]


def test_the_exports_own_logs_make_no_more(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import logging, floe_telemetry
t = floe_telemetry.init()
logging.getLogger("urllib3").setLevel("DEBUG"); logging.getLogger().setLevel("DEBUG")
logging.info("one")
for _ in range(3): t.force_flush()
"""
    run(code, manifest(collector.endpoint, "logging: {log_level: DEBUG}"), tmp_path)
    assert [log.body for log in collector.logs] == ["one"]


def test_shutdown_takes_everything_back(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import logging, logging.config, floe_telemetry
before = (logging.getLogger().handlers[:], logging.getLogRecordFactory(), logging.basicConfig, logging.config.dictConfig)
floe_telemetry.init().shutdown()
assert before == (logging.getLogger().handlers, logging.getLogRecordFactory(), logging.basicConfig, logging.config.dictConfig)
"""
    run(code, manifest(collector.endpoint), tmp_path)
