from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from floe_telemetry.backends import Backends
from floe_telemetry.cli import main
from floe_telemetry.contract import (
    Deployment,
    Destination,
    DestinationSetting,
    Load,
    Rejected,
    SettingType,
    Severity,
    Signal,
)


@pytest.fixture(scope="module")
def backends() -> Backends:
    return Backends.load()


def deployment(*destinations: Destination, version: str = "0.159.0") -> Deployment:
    load = Load(1, 1, 1, 1)
    return Deployment(version, "dev", list(destinations), "", "", None, "", load, None, [])


def destination(
    backend: str, signals: list[Signal] | None = None, version: str = "", **settings: Any
) -> Destination:
    path = "plugins.telemetry_backend"
    given = [
        DestinationSetting(name, value, f"{path}.config.{name}", 10 + number, 7)
        for number, (name, value) in enumerate(settings.items())
    ]
    return Destination(backend, version, signals or [], given, "", path, 3, 5)


def found(backends: Backends, *destinations: Destination) -> list[tuple[str, str, int]]:
    return [(each.code, each.path, each.line) for each in backends.check(deployment(*destinations))]


def test_what_is_built_in(backends: Backends) -> None:
    names = [backend.name for backend in backends.list()]
    assert len(names) == 18
    assert {"jaeger", "grafana-cloud", "datadog", "aws-xray", "debug"} <= set(names)
    entry = backends.find("honeycomb")
    assert entry
    [key] = [setting for setting in entry[0].settings if setting.name == "api_key"]
    assert (key.type, key.required, key.secret, key.default) == (SettingType.TEXT, True, True, None)
    assert entry[1].info.name == "floe-backends"
    assert len(entry[1].digest) == 64


def test_a_fragment(backends: Backends) -> None:
    fragment = backends.render("grafana-cloud", {"zone": "prod-eu-west-2", "instance_id": 7, "token": "T"})
    [exporter] = fragment.exporters
    assert exporter.id == "otlp_http/grafana-cloud"
    [extension] = fragment.extensions
    assert extension.config == {"client_auth": {"username": "7", "password": "${env:T}"}}
    assert [pipeline.signal for pipeline in fragment.pipelines] == list(Signal)
    assert fragment.variables == ["T"]


def test_an_unknown_backend(backends: Backends) -> None:
    with pytest.raises(Rejected) as raised:
        backends.render("jeager", {})
    [diagnostic] = raised.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == ("FLOE-B001", 'there is no backend "jeager"')
    assert diagnostic.help == "did you mean `jaeger`?"
    [diagnostic] = backends.check(deployment(destination("zipkin")))
    assert diagnostic.help.startswith("write one of: aws-xray, azure-monitor, ")


def test_what_is_wrong_is_placed_in_the_manifest(backends: Backends) -> None:
    assert found(backends, destination("jaeger")) == []
    assert found(backends, destination("honeycomb", region="asia", api_kye="X"), destination("zipkin")) == [
        ("FLOE-B005", "plugins.telemetry_backend.config.region", 10),
        ("FLOE-B002", "plugins.telemetry_backend.config.api_kye", 11),
        ("FLOE-B004", "plugins.telemetry_backend", 3),
        ("FLOE-B001", "plugins.telemetry_backend", 3),
    ]


def test_signals_and_version(backends: Backends) -> None:
    traces, logs = [Signal.TRACES], [Signal.LOGS]
    at = ("plugins.telemetry_backend", 3)
    assert found(backends, destination("jaeger", traces)) == []
    assert found(backends, destination("jaeger", logs)) == [("FLOE-K002", *at)]
    assert found(backends, destination("jaeger", version="0.1.0")) == []
    assert found(backends, destination("jaeger", version="9.0.0")) == [("FLOE-K001", *at)]
    for signals, expected in ((traces, []), (logs, [("FLOE-K002", *at)])):
        splunk = destination("splunk", signals, realm="us1", access_token="T")
        assert found(backends, splunk) == expected


def test_warnings_are_placed_too(backends: Backends) -> None:
    insecure = destination("otlp", endpoint="http://otlp:4318", token="T")
    [diagnostic] = backends.check(deployment(insecure))
    assert (diagnostic.code, diagnostic.severity) == ("FLOE-B013", Severity.WARNING)
    assert diagnostic.line == 11


def validated(manifest: Path, lines: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    manifest.write_text(
        f"metadata: {{name: sales, version: 1.2.0, namespace: acme}}\nobservability: {{telemetry: {{}}}}\n{lines}"
    )
    code = main(["validate", str(manifest)])
    return code, capsys.readouterr().err


def test_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "manifest.yaml"
    right = "plugins: {telemetry_backend: {type: honeycomb, config: {api_key: HONEYCOMB_KEY}}}\n"
    assert validated(path, right, capsys) == (0, "")
    code, said = validated(path, right.replace("api_key", "api_kye"), capsys)
    assert code == 1
    assert f'error[FLOE-B002]: unknown setting "api_kye"\n  --> {path}:3:' in said
    assert "(plugins.telemetry_backend.config.api_kye)\n  help: did you mean `api_key`?\n" in said
    assert "error[FLOE-B004]" in said
    code, said = validated(path, right.replace("api_key: HONEYCOMB_KEY", "api_key: hcaik_01secret"), capsys)
    assert code == 1
    assert "FLOE-B007" in said
    assert "hcaik" not in said


def test_the_command_lists_backends(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends", "--json"]) == 0
    offered = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in offered] == sorted(each["name"] for each in offered)
    assert set(offered[0]) == {"name", "description", "signals", "settings", "component"}
    assert main(["backends"]) == 0
    assert "  api_key (text, required, name of a variable): " in capsys.readouterr().out
