from __future__ import annotations

import os
from pathlib import Path

import pytest
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.composite import CompositePropagator

from conftest import Manifest, run_python
from floe_telemetry import _once
from floe_telemetry.propagator import FloePropagator
from floe_telemetry.propagators import configured
from floe_telemetry.provider import TelemetryProvider

CODE = """
import floe_telemetry
telemetry = floe_telemetry.init()
from opentelemetry import propagate
assert propagate.get_global_textmap() is telemetry.propagator
headers = {}
propagate.inject(headers, propagate.extract({"traceparent": "00-%s-%s-01" % ("a" * 32, "b" * 16), "baggage": "k=v"}))
import os
print(os.environ.get("OTEL_PROPAGATORS"), sorted(headers))
"""


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (None, ["baggage", "traceparent"]),
        ("", ["baggage", "traceparent"]),
        ("floe", ["baggage", "traceparent"]),
        ("FLOE", ["baggage", "traceparent"]),
        ("tracecontext,baggage,tracecontext", ["baggage", "traceparent"]),
        (" TraceContext ", ["traceparent"]),
        ("baggage", ["baggage"]),
        ("none", []),
        ("None,floe", []),
        ("tracecontext,nonsense", ["traceparent"]),
        ("nonsense", []),
    ],
)
def test_a_process(names: str | None, fields: list[str], manifest: Manifest, tmp_path: Path) -> None:
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest())}
    if names is not None:
        environ["OTEL_PROPAGATORS"] = names
    ran = run_python(CODE, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"{names} {fields}\n"
    warning = (
        "warning[FLOE-H005]: OTEL_PROPAGATORS names nonsense, which this process does not know\n"
        "  help: name floe, tracecontext, baggage, none, or install it\n"
    )
    assert ran.stderr.count(warning) == ("nonsense" in (names or ""))


def test_without_a_provider_opentelemetry_finds_ours(tmp_path: Path) -> None:
    code = """
from opentelemetry import propagate
out = {}
propagate.inject(out, propagate.extract({"traceparent": "00-%s-%s-01" % ("a" * 32, "b" * 16), "tracestate": "0a=1"}))
print(out["tracestate"])
"""
    ran = run_python(code, tmp_path, {**os.environ, "OTEL_PROPAGATORS": "floe"})
    assert (ran.stdout.strip(), ran.returncode) == ("0a=1", 0), ran.stderr


@pytest.mark.parametrize("names", ["none", "unknown", "one,two"])
def test_a_process_without_a_propagator(names: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the program asks, it gets a context."""
    _once._seen.clear()
    found = configured(None, {"OTEL_PROPAGATORS": names})
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    given = Context({"key": "value"})
    assert found.extract(headers) is get_current()
    assert found.extract(headers, given) is given
    out: dict[str, str] = {}
    found.inject(out)
    assert out == {}
    assert found.fields == set()
    assert len(caplog.records) == (names != "none")
    assert (f"names {names.replace(',', ', ')}, which" in caplog.text) == (names != "none")


class Entry:
    """An entry point of a package that would have to be installed."""

    def __init__(self, broken: bool) -> None:
        self.broken = broken

    def load(self) -> type[CompositePropagator]:
        if self.broken:
            raise ImportError("broken")
        return Other


class Other(CompositePropagator):
    def __init__(self) -> None:
        super().__init__([])


@pytest.mark.parametrize("broken", [False, True])
def test_others_by_their_entry_points(
    broken: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _once._seen.clear()
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [Entry(broken)])
    found = configured(None, {"OTEL_PROPAGATORS": "b3,baggage"})
    if broken:
        assert isinstance(found, FloePropagator)
        assert found.fields == {"baggage"}
        assert "broken" in caplog.text
    else:
        assert isinstance(found, CompositePropagator)
        other, ours = found._propagators  # in the order of the variable
        assert isinstance(ours, FloePropagator)
        assert isinstance(other, Other)


def test_what_is_wrong_in_the_environment(manifest: Manifest, tmp_path: Path) -> None:
    """It is said what was found, where and what is done; once, and without all of a long text."""
    code = """
import floe_telemetry
from floe_telemetry import environ_context
telemetry = floe_telemetry.init()
assert environ_context(telemetry.propagator) == telemetry.context == {}
telemetry.propagator.extract({"traceparent": "garbage"})
"""
    path = manifest("http://127.0.0.1:1", "enabled: false")
    environ = {**os.environ, "TRACEPARENT": "garbage" * 5_000, "FLOE_TELEMETRY_MANIFEST": str(path)}
    ran = run_python(code, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("warning[FLOE-P001]: ") == 2
    assert ran.stderr.count(" is not a traceparent; a new trace starts\n") == 2
    assert ran.stderr.count("\n  --> the environment of this process (TRACEPARENT)\n  help: ") == 1
    assert ran.stderr.count("\n  --> incoming headers (traceparent)\n  help: ") == 1
    assert len(ran.stderr) < 1_500


def test_a_disabled_sdk_propagates(manifest: Manifest) -> None:
    telemetry = TelemetryProvider.from_manifest(manifest(), environ={"OTEL_SDK_DISABLED": "true"})
    assert not telemetry.enabled
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "0a=1", "baggage": "k=v;p"}
    out: dict[str, str] = {}
    telemetry.propagator.inject(out, telemetry.propagator.extract(headers, Context()))
    assert out["traceparent"] == headers["traceparent"]
    assert out["tracestate"] == "0a=1"
    assert out["baggage"].startswith("k=v;p")


@pytest.mark.parametrize(
    ("name", "argument", "state"),
    [("always_off", "", ""), ("parentbased_traceidratio", "0.25", "ot=th:c"), ("always_on", "", "ot=th:0")],
)
def test_a_sampler_of_the_environment(name: str, argument: str, state: str, manifest: Manifest) -> None:
    environ = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}
    path = manifest("http://127.0.0.1:1", "sampling: {dev: 0.5}")
    telemetry = TelemetryProvider.from_manifest(path, environ=environ)
    assert telemetry.plan
    assert telemetry.sdk
    assert telemetry.plan.sampler.tracestate == state
    found = {
        span.get_span_context().trace_state.to_header()
        for span in (telemetry.sdk.tracer.start_span(f"{n}", Context()) for n in range(50))
    }
    assert found == {state, ""} if state == "ot=th:c" else found == {state}
    telemetry.shutdown(0.2)


def test_a_secret_with_commas_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    _once._seen.clear()
    configured(None, {"OTEL_PROPAGATORS": 'tracecontext, password="hunter2,hunter3", lftp -u ann,hunter4'})
    assert "FLOE-H005" in caplog.text
    assert "***" in caplog.text
    assert "hunter" not in caplog.text
    assert "names password=" in caplog.text  # what it knows is not listed
