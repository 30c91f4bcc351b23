from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from collector import Collector
from conftest import Manifest, Provider, run_python
from floe_telemetry import _once
from floe_telemetry._command import command
from floe_telemetry.contract import OperationKind
from floe_telemetry.manifest import ManifestError
from floe_telemetry.provider import TelemetryProvider, init, read_plan


def test_what_a_process_sends(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    with telemetry.operation(OperationKind.COMPILE, "sales", target="dev"):
        tracer = telemetry.sdk.tracer_provider.get_tracer("user")
        with tracer.start_as_current_span("inner", kind=SpanKind.CLIENT, attributes={"a": [1, 2]}):
            pass
    assert telemetry.force_flush(5)
    compiled, inner = collector.span("floe.compile sales"), collector.span("inner")
    assert (compiled.scope, inner.scope) == ("floe-telemetry", "user")
    assert inner.parent_id == compiled.span_id
    assert inner.trace_id == compiled.trace_id
    assert inner.attributes == {
        "a": [1, 2],
        "floe.namespace": "acme.sales",
        "floe.product.name": "sales",
        "floe.product.version": "1.2.0",
        "floe.mode": "dev",
    }
    assert compiled.attributes["floe.compile.target"] == "dev"
    assert compiled.attributes["floe.outcome"] == "success"
    for name, expected in {
        "service.name": "sales",
        "deployment.environment.name": "dev",
        "telemetry.sdk.name": "opentelemetry",
        "process.pid": os.getpid(),
        "floe.policy.name": "floe-policy",
    }.items():
        assert compiled.resource[name] == expected
    assert re.fullmatch("[0-9a-f]{16}", compiled.resource["floe.policy.digest"])
    [duration] = collector.metric("floe.operation.duration")
    assert duration.count == 1
    assert duration.bounds[-1] == 43_200
    assert duration.attributes["floe.operation.type"] == "floe.compile"
    counts = telemetry.counts()
    assert (counts["traces"].produced, counts["traces"].delivered, counts["traces"].lost) == (2, 2, 0)


def test_settings_of_the_code_come_first(
    manifest: Manifest, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:2")
    settings = {"otlp_endpoint": collector.endpoint, "sampling.dev": 1.0, "resource_attributes": {"a.b": "c"}}
    telemetry = TelemetryProvider.from_manifest(manifest("http://127.0.0.1:1"), settings=settings)
    with telemetry.operation(OperationKind.COMPILE, "sales"):
        pass
    telemetry.shutdown(5)
    assert collector.span("floe.compile sales").resource["a.b"] == "c"


HOSTILE = {
    # Of a pair that is none, the policy takes nothing.
    "OTEL_RESOURCE_ATTRIBUTES": "host.name=behind,service.name=behind,floe.namespace=behind,broken",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process,os,host",
}
OF_PROCESS = {"process.pid", "service.instance.id", "telemetry.sdk.name", "telemetry.sdk.language"} | {
    f"floe.policy.{name}" for name in ("name", "version", "digest")
}


@pytest.mark.parametrize("forked", [False, True])
def test_the_environment_adds_nothing_to_the_resource(
    forked: bool, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    """Nor does the SDK when a process forks: the child has what is its own, and the plan's."""
    code = """
import json, os, sys, floe_telemetry
telemetry = floe_telemetry.init()
if json.loads(sys.stdin.readline()) and os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
with telemetry.operation("compile", "sales"):
    pass
assert telemetry.force_flush(5)
print(json.dumps({**telemetry.plan.resource, "process.pid": os.getpid()}))
sys.stdout.flush()
os._exit(0)
"""
    path = manifest(collector.endpoint, "resource_attributes: {a.b: c}")
    environ = {**os.environ, **HOSTILE, "FLOE_TELEMETRY_MANIFEST": str(path)}
    ran = run_python(code, tmp_path, environ, "true\n" if forked else "false\n")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("FLOE-M009") == 1
    plan = json.loads(ran.stdout)
    sent = collector.span("floe.compile sales").resource
    assert set(sent) == set(plan) | OF_PROCESS | {"telemetry.sdk.version"}
    assert plan.items() <= sent.items()
    assert (sent["a.b"], sent["service.name"], sent["floe.namespace"]) == ("c", "sales", "acme.sales")
    assert "behind" not in str(sent)


def test_the_plan_names_the_instance(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import os, sys, floe_telemetry
telemetry = floe_telemetry.init()
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
telemetry.operation("compile", "sales").begin().end()
os._exit(0 if telemetry.force_flush(5) else 1)
"""
    path = manifest(collector.endpoint, "resource_attributes: {service.instance.id: of-plan}")
    ran = run_python(code, tmp_path, {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(path)})
    assert ran.returncode == 0, ran.stderr
    assert collector.span("floe.compile sales").resource["service.instance.id"] == "of-plan"


def test_settings_of_the_code_are_checked(manifest: Manifest, caplog: pytest.LogCaptureFixture) -> None:
    path = manifest()
    for settings in (
        {"otlp_endpiont": "http://localhost:4318"},
        {"otlp_endpoint": "https://api.honeycomb.io"},
    ):
        with pytest.raises(ManifestError):
            TelemetryProvider.from_manifest(path, settings=settings)
        caplog.clear()
        provider = init(path, settings=settings)
        assert not provider.enabled
        assert "error[FLOE-" in caplog.text
        provider.shutdown()


def test_where_values_come_from(manifest: Manifest) -> None:
    policy, _, _ = read_plan(manifest("http://127.0.0.1:1"), {}, {"sampling.dev": 0.25})
    found = {each.path.removeprefix("observability.telemetry."): each for each in policy.explain()}
    assert (found["otlp_endpoint"].value, found["otlp_endpoint"].origin) == ("http://127.0.0.1:1", "manifest")
    assert found["otlp_endpoint"].line == 7
    assert (found["sampling.dev"].value, found["sampling.dev"].origin) == (0.25, "code")
    assert found["sampling.prod"].origin == "default"


def test_no_sampling_keeps_metrics(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint, "sampling: {dev: 0.0}")
    with telemetry.operation(OperationKind.COMPILE, "sales"):
        pass
    assert telemetry.force_flush(5)
    assert collector.spans == []
    assert len(collector.metric("floe.operation.duration")) == 1


def test_shutdown_delivers_everything(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    for number in range(1000):
        telemetry.operation(OperationKind.CUSTOM, f"n{number % 3}").begin().end()
    telemetry.shutdown()
    assert len(collector.spans) == 1000


@pytest.mark.parametrize("fault", ["closed", "hanging"])
def test_a_dead_collector_costs_little(
    fault: str,
    provider: Provider,
    closed_port: str,
    hanging_port: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    telemetry = provider(closed_port if fault == "closed" else hanging_port, "shutdown_timeout_millis: 2000")
    with telemetry.operation(OperationKind.COMPILE, "sales"):
        pass
    started = time.monotonic()
    telemetry.shutdown()
    assert 1.5 < time.monotonic() - started < 2.5  # it may still come up
    warnings = [record.getMessage() for record in caplog.records if "FLOE-X001" in record.getMessage()]
    assert len(warnings) == 1
    endpoint = closed_port if fault == "closed" else hanging_port
    why = "Connection refused" if fault == "closed" else "no answer in time"
    assert warnings[0] == (
        "warning[FLOE-X001]: 1 span and 0 log records were not delivered to "
        f"{endpoint}/v1/traces and {endpoint}/v1/metrics, nor were 1 data point (unavailable: 2): {why}\n"
        f"  help: {command('doctor MANIFEST')} finds out why; OTEL_SDK_DISABLED=true sends nothing"
    )
    telemetry.shutdown()
    assert telemetry.counts()["traces"].delivered == 0
    # The exporters do not tell of each attempt.
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry.exporter")]


def test_what_goes_on_without_a_collector_says_so_once(
    provider: Provider, closed_port: str, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = provider(closed_port, "timeout_millis: 100")
    for _ in range(3):
        telemetry.operation(OperationKind.COMPILE, "sales").begin().end()
        assert not telemetry.force_flush(5)
    said = [record.getMessage().splitlines()[0] for record in caplog.records]
    assert sorted(said) == [
        f"warning[FLOE-X007]: {items} are lost (unavailable) on their way to {closed_port}/v1/{signal}: "
        "Connection refused. This is said once; losses are counted"
        for items, signal in (("data points", "metrics"), ("spans", "traces"))
    ]


def test_flush_is_true_only_when_delivered(
    provider: Provider, collector: Collector, hanging_port: str
) -> None:
    telemetry = provider(collector.endpoint)
    telemetry.operation(OperationKind.COMPILE, "a").begin().end()
    collector.status = 400
    assert not telemetry.force_flush(5)
    collector.status = 200
    telemetry.operation(OperationKind.COMPILE, "b").begin().end()
    assert telemetry.force_flush(5)
    assert telemetry.counts()["traces"].dropped == {"refused": 1}

    hanging = provider(hanging_port)
    hanging.operation(OperationKind.COMPILE, "c").begin().end()
    started = time.monotonic()
    assert not hanging.force_flush(0.3)
    assert time.monotonic() - started < 0.8
    assert hanging.counts()["traces"].queued == 1


def test_a_full_queue_is_counted(provider: Provider, hanging_port: str) -> None:
    telemetry = provider(hanging_port, "batch_processor: {max_queue_size: 10, max_export_batch_size: 5}")
    for _ in range(100):
        telemetry.operation(OperationKind.CUSTOM, "x").begin().end()
    time.sleep(0.3)
    counts = telemetry.counts()["traces"]
    assert counts.produced == 100
    assert counts.dropped == {"queue_full": 100 - counts.queued}
    assert counts.lost >= 85


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (
            b"observability:\n  telemetry:\n    otlp_endpont: x\n",
            "FLOE-M003",
            ":3:5 (observability.telemetry.otlp_endpont)",
        ),
        (b"\xff\xfe", "FLOE-H002", ":1:1"),
        (b"#" * 1_100_000, "FLOE-H003", ""),
        (None, "FLOE-H001", ""),
        ("directory", "FLOE-H004", ""),
    ],
)
def test_a_bad_manifest_is_explained(
    content: bytes | str | None, code: str, place: str, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    with pytest.raises(ManifestError) as raised:
        TelemetryProvider.from_manifest(path)
    text = str(raised.value)
    assert text.startswith(f"error[{code}]: ")
    assert f"\n  --> {path}{place}\n  help: " in text


def test_no_manifest_is_named() -> None:
    with pytest.raises(ManifestError, match="FLOE-H001"):
        TelemetryProvider.from_manifest(environ={})


def test_init_never_raises_and_still_propagates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{'a' * 32}-{'b' * 16}-01")
    telemetry = init(tmp_path / "absent.yaml")
    try:
        assert not telemetry.enabled
        assert trace.get_current_span().get_span_context().trace_id == int("a" * 32, 16)
        with telemetry.operation(OperationKind.COMPILE, "sales"):
            assert telemetry.environ()["TRACEPARENT"].startswith(f"00-{'a' * 32}-{'b' * 16}")
        assert init() is telemetry
        assert telemetry.force_flush()
    finally:
        telemetry.shutdown()


def test_a_script_joins_the_trace_it_was_started_in(
    manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = """
import logging, floe_telemetry
from opentelemetry import trace
telemetry = floe_telemetry.init()
with trace.get_tracer("script").start_as_current_span("work"):
    logging.getLogger("script").info("half way")
"""
    environ = {
        **os.environ,
        "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint)),
        "TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01",
        "BAGGAGE": "team=core;p=1",
    }
    ran = run_python(code, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    span = collector.span("work")
    assert (span.trace_id, span.parent_id) == ("a" * 32, "b" * 16)
    assert collector.log("half way").span_id == span.span_id
    assert '"trace_id": "' + "a" * 32 in ran.stderr
    assert "FLOE-X001" not in ran.stderr


def test_a_fork_sends_its_own_spans(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    code = """
import os, floe_telemetry
from floe_telemetry import OperationKind
telemetry = floe_telemetry.init()
with telemetry.operation(OperationKind.CUSTOM, "before"):
    child = os.fork()
    if child == 0:
        with telemetry.operation(OperationKind.CUSTOM, "child"):
            pass
        os._exit(0 if telemetry.force_flush(5) else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = run_python(code, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    assert collector.span("child").parent_id == collector.span("before").span_id


@pytest.mark.parametrize("who", ["parent", "child", "both"])
def test_children_of_multiprocessing_deliver_when_they_end(
    who: str, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    """They end without the handlers of `atexit`."""
    code = f"""
import logging, multiprocessing, sys, floe_telemetry
from concurrent.futures import ProcessPoolExecutor
from floe_telemetry.provider import installed
if {who!r} != "child":
    floe_telemetry.init()
def child(name):
    telemetry = installed() if {who!r} == "parent" else floe_telemetry.init()
    with telemetry.operation("custom", name):
        logging.getLogger("child").warning("in " + name)
fork = multiprocessing.get_context("fork")
process = fork.Process(target=child, args=["process"])
process.start()
process.join()
with ProcessPoolExecutor(1, mp_context=fork) as pool:
    list(pool.map(child, ["pool"]))
sys.exit(process.exitcode)
"""
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = run_python(code, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    for name in ("process", "pool"):
        assert collector.log(f"in {name}").span_id == collector.span(name).span_id


def test_disabled_loads_no_sdk(manifest: Manifest, tmp_path: Path) -> None:
    code = """
import sys, floe_telemetry
telemetry = floe_telemetry.init()
from opentelemetry import trace
with trace.get_tracer("x").start_as_current_span("x"), telemetry.operation("compile", "x"):
    pass
assert not any(name.startswith("opentelemetry.sdk.trace") for name in sys.modules), "SDK"
print("wasmtime" in sys.modules)
"""
    ran = run_python(code, tmp_path, {**os.environ})
    assert (ran.returncode, ran.stdout) == (0, "False\n"), ran.stderr
    disabled = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest("http://x:1", "enabled: false"))}
    ran = run_python(code, tmp_path, disabled)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("how", ["inherited", "environ"])
def test_children_of_another_directory_find_the_manifest(
    how: str, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    code = f"""
import os, subprocess, sys, floe_telemetry
telemetry = floe_telemetry.init()
child = "import floe_telemetry; floe_telemetry.init().operation('custom', 'child').begin().end()"
environ = dict(os.environ)
with telemetry.operation("custom", "parent"):
    if {how!r} == "environ":
        environ.pop("FLOE_TELEMETRY_MANIFEST")
        environ |= telemetry.environ()
    subprocess.run([sys.executable, "-c", child], cwd="/", env=environ, check=True)
"""
    path = manifest(collector.endpoint)
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": path.name}
    ran = run_python(code, tmp_path, environ)
    assert (ran.returncode, ran.stderr) == (0, "")
    child = collector.span("child")
    if how == "environ":
        assert child.parent_id == collector.span("parent").span_id


def test_what_the_console_was_asked_for_is_not_lost_in_silence(
    manifest: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    _once._seen.clear()
    provider = TelemetryProvider.from_manifest(manifest("http://127.0.0.1:1", "console: true"))
    provider.shutdown()
    assert "FLOE-H009" in caplog.text
