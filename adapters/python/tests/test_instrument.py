from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from collector import Collector
from conftest import COMMAND, Manifest

BIN = Path(sys.executable).parent


def test_opentelemetry_instrument(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    """A program that knows nothing of floe, and only OpenTelemetry's API."""
    (tmp_path / "app.py").write_text(
        "import logging, sys\nfrom opentelemetry import propagate, trace\n"
        "with trace.get_tracer('app').start_as_current_span('work'):\n"
        "    headers = {}\n    propagate.inject(headers)\n    print(headers['baggage'])\n"
        "    logging.getLogger('app').warning('once')\n"
        "print('dbt.cli.main' in sys.modules, 'dagster' in sys.modules)\n"
    )
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    environ["PATH"] = f"{BIN}:{environ['PATH']}"
    ran = subprocess.run(
        ["opentelemetry-instrument", "python", "app.py"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0].startswith("floe.namespace=acme.sales,")
    assert ran.stdout.splitlines()[1] == "False False"
    assert collector.span("work").attributes["floe.product.name"] == "sales"
    # Though OpenTelemetry's own instrumentation of logging is installed.
    assert not any("floe" in name for name in collector.log("once").attributes if name != "floe.namespace")


def test_another_distribution_that_comes_first(
    manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    """As opentelemetry-distro, where its metadata is found before ours. Ours wins, or the conflict is named."""
    metadata = tmp_path / "aaa_distro-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: aaa-distro\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[opentelemetry_distro]\naaa = aaa:Distro\n[opentelemetry_configurator]\naaa = aaa:Configurator\n"
    )
    (tmp_path / "aaa.py").write_text(
        "from opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.instrumentation.distro import BaseDistro\n"
        "class Distro(BaseDistro):\n    def _configure(self, **_): pass\n"
        "class Configurator:\n    def configure(self, **_): trace.set_tracer_provider(TracerProvider())\n"
    )
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    environ["PATH"] = f"{BIN}:{environ['PATH']}"
    environ["PYTHONPATH"] = f"{tmp_path}:{environ.get('PYTHONPATH', '')}"

    def instrument(**more: str) -> str:
        ran = subprocess.run(
            ["opentelemetry-instrument", "python", "-c", "print('works')"],
            cwd=tmp_path, env=environ | more, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stdout) == (0, "works\n"), ran.stderr
        return ran.stderr

    told = instrument()
    assert told.count("FLOE-X008") == 1, told
    assert "opentelemetry.sdk.trace.TracerProvider" in told
    assert "OTEL_PYTHON_CONFIGURATOR=floe" in told
    chosen = instrument(OTEL_PYTHON_DISTRO="floe", OTEL_PYTHON_CONFIGURATOR="floe")
    assert "FLOE-X008" not in chosen


def test_validate(manifest: Manifest, tmp_path: Path) -> None:
    def validate(path: Path) -> subprocess.CompletedProcess[str]:
        command = [COMMAND, "validate", str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    good = validate(manifest("http://localhost:4318"))
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    bad = validate(manifest("http://localhost:4318", "sampling: {dve: 1.0}"))
    assert bad.returncode == 1
    assert "error[FLOE-M003]: unknown key" in bad.stderr
    assert "did you mean `dev`?" in bad.stderr


def test_a_light_import() -> None:
    code = "import sys, floe_telemetry; print([n for n in sys.modules if n.startswith(('opentelemetry', 'wasmtime'))])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "[]\n"
