"""Backends that others wrote: one in Python, and some that misbehave. Both hosts load the same files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import evil
import pytest

from floe_telemetry.backends import VARIABLE, Backends
from floe_telemetry.cli import main
from floe_telemetry.contract import (
    CollectorComponent,
    Fragment,
    Pipeline,
    Rejected,
    Setting,
    SettingType,
    Severity,
    Signal,
)
from floe_telemetry.engine import ComponentError

HERE = Path(__file__).parent
RIGHT = {"endpoint": "https://o2.example.com/", "user": "etl@acme.example", "password": "O2_PASSWORD"}
MANIFEST = """metadata: {name: sales, version: 1.2.0, namespace: acme.sales}
observability: {telemetry: {collector: {backends_directory: backends}}}
plugins:
  telemetry_backend:
    type: openobserve
    version: 1.0.0
    signals: [traces, logs]
    config:
"""


@pytest.fixture(scope="session")
def built() -> Path:
    """The directory of the built components."""
    run = subprocess.run([HERE / "build.sh", sys.executable], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return Path(run.stdout.strip())


@pytest.fixture(scope="session")
def backends(built: Path) -> Backends:
    return Backends.load(built / "openobserve")


def test_it_is_listed(backends: Backends, built: Path) -> None:
    found = backends.find("openobserve")
    assert found
    backend, component = found
    assert list(component.info) == ["openobserve", "1.0.0", "0.1.0"]
    assert component.file == built / "openobserve" / "openobserve.wasm"
    assert backend.signals == list(Signal)
    assert [setting.name for setting in backend.settings if setting.required] == [
        "endpoint",
        "user",
        "password",
    ]
    assert backend.settings[1] == Setting(
        "organization", SettingType.TEXT, False, False, "default", "Organization."
    )
    assert [setting.name for setting in backend.settings if setting.secret] == ["password"]
    assert backends.list()[-1] == backend
    assert backends.find("jaeger")


@pytest.mark.parametrize(
    ("collector", "exporter"), [("", "otlp_http"), ("0.144.0", "otlp_http"), ("0.143.1", "otlphttp")]
)
def test_right_settings(collector: str, exporter: str, backends: Backends) -> None:
    exporter += "/openobserve"
    assert backends.render(
        "openobserve", {**RIGHT, "organization": "acme", "stream": "sales"}, collector
    ) == Fragment(
        exporters=[
            CollectorComponent(
                exporter,
                {
                    "endpoint": "https://o2.example.com/api/acme",
                    "headers": {"stream-name": "sales"},
                    "auth": {"authenticator": "basicauth/openobserve"},
                },
            )
        ],
        processors=[],
        extensions=[
            CollectorComponent(
                "basicauth/openobserve",
                {"client_auth": {"username": "etl@acme.example", "password": "${env:O2_PASSWORD}"}},
            )
        ],
        connectors=[],
        pipelines=[Pipeline(signal, [], [exporter]) for signal in Signal],
        variables=["O2_PASSWORD"],
        warnings=[],
    )


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"endpoint": None}, "OPENOBSERVE-004", "endpoint"),
        ({"endpoint": 5}, "OPENOBSERVE-003", "endpoint"),
        ({"endpoint": ["https://x"]}, "OPENOBSERVE-003", "endpoint"),
        ({"endpoint": "o2.example.com"}, "OPENOBSERVE-005", "endpoint"),
        ({"endpoint": "ftp://o2"}, "OPENOBSERVE-005", "endpoint"),
        ({"endpoint": "https://etl:HUNTER2@o2"}, "OPENOBSERVE-005", "endpoint"),
        ({"endpoint": "https://o2:99999"}, "OPENOBSERVE-005", "endpoint"),
        ({"endpoint": "https://[::1"}, "OPENOBSERVE-005", "endpoint"),
        ({"endpoint": "https://o2/${env:X}"}, "OPENOBSERVE-005", "endpoint"),
        ({"organization": "a/../b"}, "OPENOBSERVE-005", "organization"),
        ({"stream": "x\r\ny: z"}, "OPENOBSERVE-005", "stream"),
        ({"user": "${env:USER}"}, "OPENOBSERVE-005", "user"),
        ({"user": "a b"}, "OPENOBSERVE-005", "user"),
        ({"password": "HUNTER2!"}, "OPENOBSERVE-006", "password"),
        ({"password": "hunter2"}, "OPENOBSERVE-006", "password"),
        ({"pasword": "X"}, "OPENOBSERVE-002", "pasword"),
    ],
)
def test_wrong_settings(changes: dict[str, Any], code: str, path: str, backends: Backends) -> None:
    with pytest.raises(Rejected) as raised:
        backends.render("openobserve", {**RIGHT, **changes})
    [found] = raised.value.diagnostics
    assert (found.code, found.path, found.severity) == (code, path, Severity.ERROR)
    assert "hunter2" not in str(found).lower()


def test_all_that_is_wrong(backends: Backends) -> None:
    with pytest.raises(Rejected) as raised:
        backends.render("openobserve", {"user": 1, "x": 2})
    assert [found.path for found in raised.value.diagnostics] == ["x", "endpoint", "user", "password"]


def test_clear_text_is_warned_of(backends: Backends) -> None:
    fragment = backends.render("openobserve", {**RIGHT, "endpoint": "http://openobserve:5080"})
    assert [(found.code, found.severity) for found in fragment.warnings] == [
        ("OPENOBSERVE-007", Severity.WARNING)
    ]


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("loops", "FLOE-C006", "interrupt"),
        ("eats", "FLOE-C006", "unreachable"),
        ("traps", "FLOE-C006", "unreachable"),
        ("asks", "FLOE-C004", "acme:network/connect"),
        ("taken", "FLOE-C008", "jaeger"),
    ],
)
def test_what_misbehaves_is_refused(name: str, code: str, reason: str, built: Path) -> None:
    started = time.monotonic()
    with pytest.raises(ComponentError) as raised:
        Backends.load(built / name)
    assert raised.value.code == code
    assert reason in raised.value.message
    assert f"{name}.wasm" in raised.value.message
    assert time.monotonic() - started < 20


def test_a_name_is_offered_once(tmp_path: Path) -> None:
    (tmp_path / "b.wasm").write_bytes(evil.component("acme"))
    (tmp_path / "a.wasm").write_bytes(evil.component("acme"))
    with pytest.raises(ComponentError) as raised:
        Backends.load(tmp_path)
    assert raised.value.code == "FLOE-C008"
    assert f"{tmp_path / 'a.wasm'} and {tmp_path / 'b.wasm'} both offer" in raised.value.message


@pytest.mark.parametrize("name", ["Acme", "2x", "a/b", "ä", "a" * 65])
def test_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.wasm").write_bytes(evil.component(name))
    with pytest.raises(ComponentError, match="FLOE-C008"):
        Backends.load(tmp_path)


def test_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ComponentError, match="FLOE-C009"):
        Backends.load(tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("not a component")
    (tmp_path / "acme.wasm").write_bytes(evil.component("acme"))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert Backends.load().find("acme")
    (tmp_path / "broken.wasm").write_bytes(evil.component("other")[:-7])
    with pytest.raises(ComponentError, match=r"FLOE-C002.*broken\.wasm"):
        Backends.load()
    (tmp_path / "none").mkdir()
    assert Backends.load(tmp_path / "none").find("acme") is None


def validated(
    settings: str, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """`floe-telemetry-py validate` of a manifest beside a directory with the backend."""
    if not (tmp_path / "backends").exists():
        shutil.copytree(built / "openobserve", tmp_path / "backends")
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(MANIFEST + "".join(f"      {line}\n" for line in settings.splitlines()))
    code = main(["validate", str(manifest)])
    return code, capsys.readouterr().err.replace(str(tmp_path) + "/", "")


def test_validate_checks_settings(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = "\n".join(f"{name}: {value}" for name, value in RIGHT.items())
    assert validated(right, built, tmp_path, capsys) == (0, "")
    code, said = validated(right.replace("O2_PASSWORD", "hunter2!"), built, tmp_path, capsys)
    assert code == 1
    assert said == (
        "error[OPENOBSERVE-006]: password does not name an environment variable, and may be the secret itself\n"
        "  --> manifest.yaml:11:17 (plugins.telemetry_backend.config.password)\n"
        "  help: write a variable's name in capital letters, and set it for the Collector\n"
    )


def test_the_command_lists_it(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends", "--directory", str(built / "openobserve"), "--json"]) == 0
    offered = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in offered][-1] == "openobserve"
    assert offered[-1]["component"]["version"] == "1.0.0"
    assert offered[-1]["settings"][4]["secret"] is True
    assert main(["backends", "--directory", str(built / "openobserve")]) == 0
    assert "  password (text, required, name of a variable): Variable" in capsys.readouterr().out
    assert main(["backends", "--directory", str(built / "traps")]) == 1
    assert capsys.readouterr().err.startswith("error[FLOE-C006]")
