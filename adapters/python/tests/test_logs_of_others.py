"""Logging as applications, frameworks and other libraries set it up: each record is exported once, and no
logging call raises what it would not raise without us.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collector import Collector
from conftest import Manifest, run_python

HEAD = """
import logging, logging.config, logging.handlers, floe_telemetry
telemetry = floe_telemetry.init()
"""


def run(code: str, manifest: Path, tmp_path: Path) -> str:
    ran = run_python(code, tmp_path, {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest)})
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def test_fields_of_the_application(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import logging, floe_telemetry
before = logging.getLogRecordFactory()
def earlier(*args, **kwargs):
    record = before(*args, **kwargs)
    if record.name == "factory.before": record.trace_id = "mine"
    return record
logging.setLogRecordFactory(earlier)
telemetry = floe_telemetry.init()
ours = logging.getLogRecordFactory()
def later(*args, **kwargs):
    record = ours(*args, **kwargs)
    if record.name == "factory.after": record.span_id = "mine"
    return record
logging.setLogRecordFactory(later)
seen = {}
class Keep(logging.Handler):
    def emit(self, record): seen[record.getMessage()] = record
logging.getLogger().addHandler(Keep())
keys = ("trace_id", "span_id", "trace_flags", "floe.namespace", "floe.mode")
log = logging.getLogger("app")
with telemetry.compile("sales"):
    for key in keys:
        log.warning("extra " + key, extra={key: "mine"})
        logging.LoggerAdapter(log, {key: "mine"}).warning("adapter " + key)
        log.handle(log.makeRecord("app", 30, "f.py", 1, "made " + key, (), None, extra={key: "mine"}))
    logging.getLogger("factory.before").warning("earlier trace_id")
    logging.getLogger("factory.after").warning("later span_id")
for text, record in seen.items():
    for key in ("trace_id", "span_id", "trace_flags", "floe.namespace"):
        found = vars(record)[key]
        assert (found == "mine") == text.endswith(" " + key), (text, key, found)
assert len(seen) == 17
"""
    run(code, manifest(collector.endpoint), tmp_path)
    span = collector.span("floe.compile sales")
    assert len(collector.logs) == 17
    for log in collector.logs:
        key = log.body.split()[1]
        assert (log.trace_id, log.span_id, log.attributes[key]) == (span.trace_id, span.span_id, "mine")


def test_records_that_no_logger_made(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = f"""{HEAD}
import pickle, socketserver, struct, threading

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
class Handler(socketserver.StreamRequestHandler):  # as in Python's logging cookbook
    def handle(self):
        while len(chunk := self.rfile.read(4)) == 4:
            record = logging.makeLogRecord(pickle.loads(self.rfile.read(struct.unpack(">L", chunk)[0])))
            logging.getLogger(record.name).handle(record)
            handled.release()

logging.getLogger("made").handle(logging.makeLogRecord({{"name": "made", "msg": "by %s", "args": ("hand",), "levelno": 30, "levelname": "WARNING"}}))
logging.getLogger("odd").handle(logging.makeLogRecord({{"msg": "odd", "name": None, "levelno": 40, "exc_info": True}}))
handled = threading.Semaphore(0)
with Server(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sender = logging.handlers.SocketHandler(*server.server_address)
    try: 1 / 0
    except ZeroDivisionError: failed = logging.LogRecord("remote", 40, "there.py", 7, "from %s", ("afar",), __import__("sys").exc_info(), "work")
    sender.handle(failed)
    assert handled.acquire(timeout=30)
    logging.getLogger("local").addHandler(sender)
    logging.getLogger("local").error("from here")
    assert handled.acquire(timeout=30)
    sender.close()
    server.shutdown()
"""
    run(code, manifest(collector.endpoint), tmp_path)
    assert sorted((log.logger, log.body) for log in collector.logs if log.body != "odd") == [
        ("local", "from here"),
        ("made", "by hand"),
        ("remote", "from afar"),
    ]
    remote = collector.log("from afar").attributes
    assert "ZeroDivisionError: division by zero" in remote["exception.stacktrace"]
    assert (remote["code.function.name"], remote["code.line.number"]) == ("work", 7)


UVICORN = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
    "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "uvicorn": {"handlers": ["err"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": ["err"], "level": "INFO", "propagate": False},
    },
}
SET_UPS = {
    "clear": "logging.getLogger().handlers.clear()",
    "remove": "[logging.getLogger().removeHandler(each) for each in list(logging.getLogger().handlers)]",
    "force": "logging.basicConfig(force=True, level='INFO', format='PLAIN %(message)s')",
    "early basicConfig": "basicConfig(level='INFO', format='PLAIN %(message)s')",
    "early dictConfig": "dictConfig({'version': 1, 'formatters': {'f': {'format': 'PLAIN %(message)s'}}, 'handlers': "
    "{'h': {'class': 'logging.StreamHandler', 'formatter': 'f'}}, 'root': {'level': 'INFO', 'handlers': ['h']}, "
    "'disable_existing_loggers': True})",
    "early fileConfig": "fileConfig(io.StringIO('[loggers]\\nkeys=root\\n[handlers]\\nkeys=h\\n[formatters]\\nkeys=f\\n"
    "[logger_root]\\nlevel=INFO\\nhandlers=h\\n[handler_h]\\nclass=StreamHandler\\nformatter=f\\nargs=()\\n"
    "[formatter_f]\\nformat=PLAIN %(message)s\\n'))",
    "uvicorn": f"dictConfig({UVICORN!r})",
    "class": "logging.setLoggerClass(type('Own', (logging.Logger,), {}))",
    "root": "logging.getLogger().handlers = []",
}


@pytest.mark.parametrize("set_up", SET_UPS)
def test_the_applications_set_up(
    set_up: str, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = f"""
import io, logging, logging.config, floe_telemetry
from logging import basicConfig
from logging.config import dictConfig, fileConfig
floe_telemetry.init()
{SET_UPS[set_up]}
for name in ("app", "uvicorn.error", "uvicorn.access"):
    logging.getLogger(name).warning("said by %s", name)
logging.warning("said by root")
floe_telemetry._once.warn_once("key", "said by ours")
"""
    shown = run(code, manifest(collector.endpoint), tmp_path)
    assert sorted(log.body for log in collector.logs) == [
        "said by app",
        "said by ours",
        "said by root",
        "said by uvicorn.access",
        "said by uvicorn.error",
    ]
    for log in collector.logs:
        assert log.body.removeprefix("said by ") in (log.logger, "ours")
        assert shown.count(log.body) == 1, shown
    if "PLAIN" in SET_UPS[set_up]:
        assert shown.count("PLAIN") == 5


def test_loggers_that_are_left_out_are_not_exported(
    manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = f"""{HEAD}
floe_telemetry.logs.leave_out("audit")
logging.getLogger("audit").warning("for few")
logging.Logger("by hand").warning("for its maker")
logging.getLogger("app").warning("for all")
"""
    run(code, manifest(collector.endpoint), tmp_path)
    assert [log.body for log in collector.logs] == ["for all"]


def test_what_a_record_says(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = f"""{HEAD}
import asyncio, multiprocessing, sys, threading
log = logging.getLogger("app")
logging.addLevelName(25, "NOTICE")
def work():
    log.warning("100%", stack_info=True)
    try:
        try: 1 / 0
        except ZeroDivisionError as error: raise ValueError("bad") from error
    except ValueError as error: log.error("failed", exc_info=error)
thread = threading.Thread(target=work, name="loader"); thread.start(); thread.join()
log.log(25, "noticed", exc_info=True)
log.warning({{"a": 1}})
multiprocessing.current_process().name = "Worker-3"
async def task():
    asyncio.current_task().set_name("fetch")
    log.warning("in a task")
asyncio.run(task())
print(thread.ident, sys.version_info[:2] >= (3, 12))
"""
    path = manifest(collector.endpoint)
    ran = run_python(code, tmp_path, {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(path)})
    assert ran.returncode == 0, ran.stderr
    ident, has_tasks = ran.stdout.split()
    plain = collector.log("100%").attributes
    assert (plain["thread.id"], plain["thread.name"]) == (int(ident), "loader")
    assert plain["code.stacktrace"].startswith("Stack (most recent call last):")
    assert (plain["code.function.name"], plain["code.file.path"]) == ("work", "<string>")
    failed = collector.log("failed").attributes
    assert (failed["exception.type"], failed["exception.message"]) == ("ValueError", "bad")
    assert "ZeroDivisionError" in failed["exception.stacktrace"]
    noticed = collector.log("noticed")
    assert (noticed.severity, "exception.type" in noticed.attributes) == ("NOTICE", False)
    assert collector.log("{'a': 1}").logger == "app"
    in_task = collector.log("in a task").attributes
    assert in_task["floe.log.process"] == "Worker-3"
    assert in_task.get("floe.log.task") == ("fetch" if has_tasks == "True" else None)


def test_what_is_logged_while_a_record_is_shown(
    manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    """From `__str__`, from a signal's handler, for ever, and with texts that fail."""
    code = f"""{HEAD}
import gc, os, signal, sys
log = logging.getLogger("app")
class Loud:
    def __str__(self): log.warning("from within"); return "loud"
class Broken:
    def __str__(self): raise RuntimeError("no text")
    __repr__ = __str__
class Endless:
    def __str__(self): log.warning("%s", self); return "never"
class Stops:
    def __str__(self): raise KeyboardInterrupt
class Dies:
    def __del__(self): log.warning("from a finalizer")
log.warning("%s", Loud())
log.warning("broken %s", Broken(), extra={{"of": Broken(), "in": [Broken()], "by": {{Broken(): Broken()}}}})
log.warning("too %s %s", "few")
log.warning("many", extra={{"number": 10 ** 6000, "far": -(10 ** 30)}})
signal.signal(signal.SIGTERM, lambda *_: log.warning("from a signal"))
class Signals:
    sent = False
    def __str__(self):
        if not self.sent: self.sent = True; os.kill(os.getpid(), signal.SIGTERM)
        return "signals"
log.warning("%s", Signals())
Dies(); gc.collect()
try: log.warning("%s", Endless())
except RecursionError: print("recursion")
try: log.warning("%s", Stops())
except KeyboardInterrupt: print("interrupted")
log.warning("the end")
"""
    path = manifest(collector.endpoint)
    ran = run_python(code, tmp_path, {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(path)})
    assert (ran.returncode, ran.stdout) == (0, "interrupted\n"), ran.stderr
    bodies = [log.body for log in collector.logs]
    for text in (
        "loud",
        "broken %s",
        "too %s %s",
        "many",
        "from a signal",
        "signals",
        "from a finalizer",
        "the end",
    ):
        assert bodies.count(text) == 1, (text, bodies)
    assert "from within" in bodies
    assert collector.log("broken").attributes["of"] == "<Broken without text>"


@pytest.mark.parametrize("level", ["LOUD", "", 7, None])
def test_a_plan_with_an_unknown_level(
    level: object, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = f"""
import logging, floe_telemetry
from floe_telemetry import records
plain = records.plan
def odd(*args):
    plan = plain(*args)
    level = plan.logging.levels[0]._replace(level={level!r})
    return plan._replace(logging=plan.logging._replace(level={level!r}, levels=[level]))
records.plan = odd
telemetry = floe_telemetry.init()
assert telemetry.enabled
logging.getLogger("app").info("said")
telemetry.reload_levels()
"""
    run(code, manifest(collector.endpoint, "logging: {log_level: ERROR, loggers: {app: ERROR}}"), tmp_path)
    assert collector.log("said").severity == "INFO"


CHAINS = {
    "print": "[ours, structlog.processors.JSONRenderer()], structlog.PrintLoggerFactory()",
    "bytes": "[ours, structlog.processors.JSONRenderer(serializer=lambda *a, **k: b'{}')], structlog.BytesLoggerFactory(open('out', 'wb'))",
    "late": "[structlog.processors.KeyValueRenderer(['event']), ours], structlog.PrintLoggerFactory()",
    "kwargs": "[ours, structlog.stdlib.render_to_log_kwargs], structlog.stdlib.LoggerFactory()",
    "kwargs late": "[structlog.stdlib.render_to_log_kwargs, ours], structlog.stdlib.LoggerFactory()",
    "formatter": "[ours, structlog.stdlib.ProcessorFormatter.wrap_for_formatter], structlog.stdlib.LoggerFactory()",
    "formatter late": "[structlog.stdlib.ProcessorFormatter.wrap_for_formatter, ours], structlog.stdlib.LoggerFactory()",
    "usual": "[structlog.contextvars.merge_contextvars, structlog.stdlib.filter_by_level, structlog.stdlib.add_logger_name,"
    " structlog.stdlib.add_log_level, structlog.stdlib.PositionalArgumentsFormatter(), structlog.processors.StackInfoRenderer(),"
    " structlog.processors.format_exc_info, ours, structlog.stdlib.render_to_log_kwargs], structlog.stdlib.LoggerFactory()",
    "without": "[structlog.stdlib.render_to_log_kwargs], structlog.stdlib.LoggerFactory()",
    "renamed": "[structlog.processors.EventRenamer('message'), ours, structlog.processors.JSONRenderer()], structlog.stdlib.LoggerFactory()",
}


@pytest.mark.parametrize("chain", CHAINS)
def test_structlogs_chains(chain: str, manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = f"""{HEAD}
import asyncio, structlog
from floe_telemetry.logs import structlog_processor as ours
import sys
chain, factory = {CHAINS[chain]}
if "formatter" in {chain!r}:
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[ours],
        processors=[ours, structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()]))
    logging.getLogger().addHandler(handler)
stdlib = "stdlib" in type(factory).__module__
structlog.configure(processors=chain, logger_factory=factory,
    wrapper_class=structlog.stdlib.BoundLogger if stdlib else structlog.make_filtering_bound_logger(20))
log = structlog.get_logger("app")
log.info("outside", rows=1)
with telemetry.compile("sales"):
    log.warning("inside", trace_id="mine")
    async def later(): await log.ainfo("awaited")
    asyncio.run(later())
    try: 1 / 0
    except ZeroDivisionError: log.exception("failed")
logging.getLogger("app").warning("plain")
"""
    run(code, manifest(collector.endpoint), tmp_path)
    bodies = [log.body for log in collector.logs]
    assert len(bodies) == 5, bodies
    for text, body in zip(("outside", "inside", "awaited", "failed", "plain"), bodies, strict=True):
        assert text in body
    span = collector.span("floe.compile sales")
    assert [log.span_id for log in collector.logs] == ["", *[span.span_id] * 3, ""]
    if chain != "late":
        assert collector.log("inside").attributes["trace_id"] == "mine"
