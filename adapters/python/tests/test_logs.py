from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext

from collector import Collector
from conftest import Manifest, run_python
from floe_telemetry.logs.fields import current_fields


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
    assert line.endswith("WARNING  root: high floe.namespace=acme.sales")
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


def test_levels_of_loggers_change_while_the_process_runs(
    manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = """
import logging, floe_telemetry
floe_telemetry.init()
noisy, app = logging.getLogger("noisy.part"), logging.getLogger("app.part")
noisy.info("no"); noisy.warning("yes 1"); app.debug("no")
logging.getLogger("noisy").setLevel("INFO"); logging.getLogger("app").setLevel("DEBUG")
noisy.info("yes 2"); app.debug("yes 3")
"""
    path = manifest(collector.endpoint, "logging: {log_level: INFO, loggers: {noisy: WARNING}}")
    lines = [json.loads(line)["message"] for line in run(code, path, tmp_path).splitlines()]
    assert lines == [log.body for log in collector.logs] == ["yes 1", "yes 2", "yes 3"]


def test_what_others_show_is_not_shown_again(
    manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = """
import logging, floe_telemetry
server = logging.getLogger("server")
server.addHandler(logging.StreamHandler())
floe_telemetry.init()
logging.getLogger("server.part").warning("shown by the server")
logging.getLogger("other").warning("shown by ours")
"""
    said = run(code, manifest(collector.endpoint), tmp_path).splitlines()
    assert said[0] == "shown by the server"
    assert [json.loads(line)["message"] for line in said[1:]] == ["shown by ours"]
    assert {log.body for log in collector.logs} == {"shown by the server", "shown by ours"}


def test_levels_are_read_anew(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import logging, pathlib, floe_telemetry
telemetry = floe_telemetry.init()
noisy = logging.getLogger("noisy")
noisy.info("before")
path = pathlib.Path(__import__("os").environ["FLOE_TELEMETRY_MANIFEST"])
text = path.read_text()
path.write_text(text.replace("noisy: WARNING", "noisy: DEBUG"))
telemetry.reload_levels()
noisy.debug("after")
path.write_text(text.replace("noisy: WARNING", "noisy: LOUD"))
try:
    telemetry.reload_levels()
except floe_telemetry.ManifestError:
    noisy.debug("refused")
"""
    path = manifest(collector.endpoint, "logging: {log_level: INFO, loggers: {noisy: WARNING}}")
    run(code, path, tmp_path)
    assert {log.body for log in collector.logs if log.logger == "noisy"} == {"after", "refused"}


@pytest.mark.parametrize("json_output", ["true", "false"])
def test_console_lines_are_redacted(
    json_output: str, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = """
import logging, floe_telemetry
floe_telemetry.init()
extra = {"password": "hunter2", "deep": {"api_key": ["hunter2"], "rows": 3}}
try: raise ValueError("password=hunter2")
except ValueError: logging.exception("password=%s", "hunter2", extra=extra)
"""
    path = manifest(collector.endpoint, f"logging: {{json_output: {json_output}}}")
    printed = run(code, path, tmp_path)
    assert "hunter2" not in printed
    assert "password=***" in printed
    assert '"rows": 3' in printed
    assert b"hunter2" not in b"".join(collector.raw)


def test_a_line_for_people_has_the_ids_after_the_message(
    manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = """
import logging, floe_telemetry
t = floe_telemetry.init()
with t.compile("sales"): logging.warning("read", extra={"rows": 3, "file": "a b"})
"""
    path = manifest(collector.endpoint, "logging: {json_output: false}")
    [line] = run(code, path, tmp_path).splitlines()
    log = collector.log("read")
    assert log.body == "read"
    ids = f"trace_id={log.trace_id} span_id={log.span_id} trace_flags=03 floe.namespace=acme.sales"
    assert line.endswith(f'root: read rows=3 file="a b" {ids}')


def test_extra_lists_and_mappings_are_kept(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import logging, floe_telemetry
floe_telemetry.init()
itself = ["a"]; itself.append(itself)
logging.warning("kept", extra={"names": ["a", 1], "itself": itself, "kind": ValueError})
"""
    run(code, manifest(collector.endpoint), tmp_path)
    found = collector.log("kept").attributes
    assert (found["names"], found["itself"]) == (["a", 1], ["a", "..."])
    assert found["kind"] == "<class 'ValueError'>"


@pytest.mark.parametrize("json_output", ["true", "false"])
def test_values_that_json_or_otlp_does_not_have(
    json_output: str, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = """
import logging, floe_telemetry
floe_telemetry.init()
logging.warning("odd", extra={"raw": b"password=hunter2 \\xff", "none": float("nan"), "large": 2**70, "fine": -2**63})
"""
    path = manifest(collector.endpoint, f"logging: {{json_output: {json_output}}}")
    [line] = run(code, path, tmp_path).splitlines()
    if json_output == "true":

        def refuse(name: str) -> None:
            raise ValueError(name)

        told = json.loads(line, parse_constant=refuse)
        assert (told["raw"], told["none"], told["large"]) == ("password=*** \ufffd", "nan", str(2**70))
    else:
        assert f'none="nan" large={2**70} fine={-(2**63)}' in line
    attributes = collector.log("odd").attributes
    assert (attributes["large"], attributes["fine"]) == (str(2**70), -(2**63))


def test_ids_pass_a_queue_and_a_thread(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import contextvars, logging, logging.handlers, queue, threading, floe_telemetry
t = floe_telemetry.init()
waiting = queue.SimpleQueue()
app = logging.getLogger("app"); app.propagate = False
app.addHandler(logging.handlers.QueueHandler(waiting))
listener = logging.handlers.QueueListener(waiting, *logging.getLogger().handlers)
with t.compile("sales"):
    app.warning("queued")
    work = contextvars.copy_context().run
    thread = threading.Thread(target=work, args=(logging.warning, "threaded")); thread.start(); thread.join()
listener.start(); listener.stop()
"""
    run(code, manifest(collector.endpoint), tmp_path)
    span = collector.span("floe.compile sales")
    for text in ("queued", "threaded"):
        log = collector.log(text)
        assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id)


def test_loggers_that_are_left_out(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import logging, floe_telemetry
from floe_telemetry import logs
floe_telemetry.init()
logs.leave_out("lines")
for name in ("lines", "other"):
    seen = []
    logging.getLogger(name).addFilter(seen.append)
    logging.getLogger(name).warning("text")
    [record] = seen
    assert hasattr(record, "trace_id") == (name == "other"), name
"""
    run(code, manifest(collector.endpoint), tmp_path)


def test_fields_are_of_the_current_context_though_its_id_was_anothers() -> None:
    ids = set()
    for number in range(1, 1000):
        context = trace.set_span_in_context(NonRecordingSpan(SpanContext(number, number, False)))
        ids.add(id(context))
        token = attach(context)
        assert [current_fields()["span_id"] for _ in range(2)] == [f"{number:016x}"] * 2
        detach(token)
        del context, token
    assert len(ids) < 500


@pytest.mark.parametrize("factory", ["PrintLoggerFactory", "stdlib.LoggerFactory"])
def test_structlog(factory: str, manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = f"""
import logging, structlog, floe_telemetry
from floe_telemetry.logs import structlog_processor
t = floe_telemetry.init()
structlog.configure(processors=[structlog_processor, structlog.processors.JSONRenderer()],
    logger_factory=structlog.{factory}())
log = structlog.get_logger("app")
with t.compile("sales"):
    log.info("loaded", rows=3, names=["a"], password="hunter2")
    try: 1 / 0
    except ZeroDivisionError: log.error("failed", exc_info=True)
logging.getLogger("app").warning("plain")
"""
    run(code, manifest(collector.endpoint), tmp_path)
    assert [log.body for log in collector.logs] == ["loaded", "failed", "plain"]
    log = collector.log("loaded")
    assert (log.attributes["rows"], log.attributes["names"]) == (3, ["a"])
    assert log.attributes["password"] == "***"
    assert log.span_id == collector.span("floe.compile sales").span_id
    assert collector.log("failed").attributes["exception.type"] == "ZeroDivisionError"


def test_structlogs_dicts_are_taken_apart(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import structlog, floe_telemetry
floe_telemetry.init()
structlog.configure(processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory())
structlog.get_logger("app").warning("loaded", rows=3)
"""
    [line] = run(code, manifest(collector.endpoint), tmp_path).splitlines()
    assert (json.loads(line)["message"], json.loads(line)["rows"]) == ("loaded", 3)
    log = collector.log("loaded")
    assert (log.body, log.attributes["rows"]) == ("loaded", 3)
    assert not {"_name", "_logger"} & set(log.attributes)
