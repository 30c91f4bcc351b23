"""`floe-telemetry collector` as its user meets it."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from otelcol import cli, manifest, rendered

HERE = Path(__file__).parent
DATADOG = {"type": "datadog", "config": {"api_key": "DD_API_KEY"}}


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_check_says_what_it_checked_with_which_collector(newest: str, tmp_path: Path) -> None:
    path = manifest(tmp_path, DATADOG, {"version": "0.155.0"})
    done = cli("collector", "check", path, "--topology", "gateway", "--otelcol", newest)
    assert done.returncode == 0, done.stderr
    assert newest in done.stdout and "as gateway" in done.stdout and "DD_API_KEY" in done.stdout
    assert "FLOE-K012" in done.stderr and "0.155.0" in done.stderr


def test_check_tells_a_missing_component_from_a_wrong_configuration(newest: str, tmp_path: Path) -> None:
    path = manifest(tmp_path, DATADOG)
    components = "exporters:\\n    - name: debug\\nextensions:\\n    - name: health_check\\n"
    small = script(
        tmp_path / "small",
        'case "$1" in --version) echo otelcol-small version 0.161.0;; '
        f"components) printf '{components}';; "
        '*) echo "error decoding \'exporters\': unknown type: \\"datadog\\"" >&2; exit 1;; esac',
    )
    done = cli("collector", "check", path, "--otelcol", small)
    assert done.returncode == 1
    assert "FLOE-K011" in done.stderr and "exporter datadog" in done.stderr
    assert "connector datadog" in done.stderr and "debug" not in done.stderr
    wrong = script(
        tmp_path / "wrong",
        'case "$1" in --version) echo otelcol version 0.161.0;; *) echo "bad key $DD_API_KEY" >&2; exit 1;; esac',
    )
    done = cli("collector", "check", path, "--otelcol", wrong, env={"DD_API_KEY": "dd-very-secret"})
    assert done.returncode == 1
    assert "FLOE-K010" in done.stderr and "bad key ${env:DD_API_KEY}" in done.stderr
    assert "dd-very-secret" not in done.stderr + done.stdout


def test_check_without_a_collector(tmp_path: Path) -> None:
    path = manifest(tmp_path, "debug")
    env = {"PATH": str(tmp_path), "FLOE_OTELCOL": ""}
    done = cli("collector", "check", path, env={**env})
    assert done.returncode == 1 and "FLOE-K009" in done.stderr
    for program in ["/nowhere/otelcol", "/bin/true"]:
        done = cli("collector", "check", path, "--otelcol", program)
        assert done.returncode == 1 and "FLOE-K009" in done.stderr, done.stderr


@pytest.mark.parametrize("topology", ["agent", "gateway"])
@pytest.mark.parametrize("format", ["config", "helm-values", "operator"])
def test_every_format_carries_the_same_configuration(format: str, topology: str, tmp_path: Path) -> None:
    section = {"storage_directory": "/var/lib/floe", "tail_sampling": {}, "gateway": "floe-gateway:4317"}
    path = manifest(tmp_path, [DATADOG, "debug"], section)
    plain = yaml.safe_load(rendered(path, "--topology", topology))
    text = rendered(path, "--topology", topology, "--format", format)
    assert text == rendered(path, "--topology", topology, "--format", format)
    document = yaml.safe_load(text)
    found: Any = {
        "config": lambda: document,
        "helm-values": lambda: document["alternateConfig"],
        "operator": lambda: document["spec"]["config"],
    }[format]()
    assert found["service"]["pipelines"] == plain["service"]["pipelines"]
    assert found["exporters"] == plain["exporters"]
    if format == "operator":
        assert document["kind"] == "OpenTelemetryCollector"
        assert document["apiVersion"] == "opentelemetry.io/v1beta1"


def test_output_goes_to_files_and_the_network_policy_beside(tmp_path: Path) -> None:
    path = manifest(tmp_path, "debug")
    file = tmp_path / "out" / "collector.yaml"
    done = cli("collector", "render", path, "--kubernetes", "-o", file)
    assert done.returncode == 1 and "FLOE-E002" in done.stderr
    assert f"mkdir -p {file.parent}" in done.stderr
    file.parent.mkdir()
    done = cli("collector", "render", path, "--kubernetes", "--pipelines", "app=dbt", "-o", file)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    config = yaml.safe_load(file.read_text())
    assert config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == "0.0.0.0:4317"
    policy = yaml.safe_load((file.parent / "collector.networkpolicy.yaml").read_text())
    assert policy["spec"]["podSelector"]["matchLabels"] == {"app": "dbt"}
    assert policy["spec"]["policyTypes"] == ["Egress"]
    both = list(yaml.safe_load_all(rendered(path, "--kubernetes", "--format", "operator")))
    assert [document["kind"] for document in both] == ["OpenTelemetryCollector", "NetworkPolicy"]
    refused = cli("collector", "render", path, "--kubernetes", "--pipelines", "no label")
    assert refused.returncode == 2 and "key=value" in refused.stderr


def test_each_environment_has_its_own_collector(newest: str, tmp_path: Path) -> None:
    text = json.loads(manifest(tmp_path, DATADOG).read_text())
    text["observability"]["telemetry"]["environments"] = {"dev": {"telemetry_backend": "debug"}}
    del text["observability"]["telemetry"]["resource_attributes"]["floe.mode"]
    path = tmp_path / "manifest.yaml"
    path.write_text(json.dumps(text))
    for mode, exporter in [("dev", "debug/debug"), ("prod", "datadog/datadog")]:
        env = {"FLOE_MODE": mode}
        done = cli("collector", "render", path, env=env)
        assert f", in the environment {mode}.\n" in done.stdout, done.stderr
        assert list(yaml.safe_load(done.stdout)["exporters"]) == [exporter]
        done = cli("collector", "check", path, "--otelcol", newest, env=env)
        assert done.returncode == 0, done.stderr


def test_the_operators_gateway_has_another_name_than_the_charts(tmp_path: Path) -> None:
    path = manifest(tmp_path, DATADOG, {"gateway": "floe-gateway:4317"})
    for format, warned in [("config", False), ("helm-values", False), ("operator", True)]:
        done = cli("collector", "render", path, "--format", format)
        assert done.returncode == 0 and ("FLOE-K014" in done.stderr) == warned, done.stderr
    assert "write floe-gateway-collector-headless:4317" in done.stderr


def test_what_has_no_effect_or_is_sent_twice_is_said(newest: str, tmp_path: Path) -> None:
    path = manifest(tmp_path, "debug", {"storage_directory": str(tmp_path / "queues")})
    done = cli("collector", "render", path)
    assert done.stderr.count("FLOE-K006") == 1 and "file_storage" not in done.stdout
    path = manifest(tmp_path, ["tempo", {"type": "tempo", "config": {"endpoint": "http://b:4317"}}, "tempo"])
    for command in (["validate"], ["collector", "check", "--otelcol", newest]):
        done = cli(*command, path)
        assert done.returncode == 0 and done.stderr.count("FLOE-K013") == 1, done.stderr
        assert "tempo gets traces more than once" in done.stderr


def test_what_is_wrong_is_shown_where_it_stands(tmp_path: Path) -> None:
    path = manifest(tmp_path, {"type": "honeycomb", "config": {"region": "mars", "api_key": "HC_KEY"}})
    done = cli("collector", "render", path)
    assert done.returncode == 1 and done.stdout == ""
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "mars" in text)
    assert "FLOE-B005" in done.stderr and f"manifest.yaml:{line}:" in done.stderr, done.stderr


def test_backends_are_listed_for_people_and_for_programs() -> None:
    table = cli("collector", "backends").stdout
    listed = json.loads(cli("collector", "backends", "--json").stdout)
    assert len(listed) == 18
    for backend in listed:
        assert backend["name"] in table and backend["component"]["name"] == "floe-backends"
    datadog = next(backend for backend in listed if backend["name"] == "datadog")
    assert {setting["name"]: setting["secret"] for setting in datadog["settings"]}["api_key"] is True


@pytest.fixture(scope="module")
def third_parties() -> Path:
    """The directories of third parties' components, a component each."""
    build = HERE.parent / "third_party" / "build.sh"
    done = subprocess.run([build], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_a_third_partys_backend_is_as_good_as_ours(newest: str, third_parties: Path, tmp_path: Path) -> None:
    """OpenObserve's, written in Python: found in the directory that the manifest names, relative to it."""
    (tmp_path / "backends").symlink_to(third_parties / "openobserve")
    settings = {"endpoint": "https://o2.example.com/", "user": "etl@acme.example", "password": "O2_PASSWORD"}
    backends = [{"type": "openobserve", "version": "1.0.0", "config": settings}, "jaeger"]
    path = manifest(tmp_path, backends, {"backends_directory": "backends"})
    for topology in ("agent", "gateway"):
        done = cli("collector", "check", path, "--topology", topology, "--otelcol", newest)
        assert done.returncode == 0, done.stderr
    text = rendered(path, "--topology", "gateway")
    assert "(openobserve 1.0.0, sha256 " in text and "O2_PASSWORD" in text
    listed = cli("collector", "backends", env={"FLOE_TELEMETRY_BACKENDS": str(third_parties / "openobserve")})
    assert "openobserve" in listed.stdout
    # Its own findings are at their places too.
    settings["password"] = "hunter2"
    refused = cli("collector", "render", manifest(tmp_path, backends, {"backends_directory": "backends"}))
    assert refused.returncode == 1 and "plugins.telemetry_backend[0].config.password" in refused.stderr
    assert "hunter2" not in refused.stderr
    backends[0]["version"] = "2.0.0"  # type: ignore[index]
    refused = cli("collector", "render", manifest(tmp_path, backends, {"backends_directory": "backends"}))
    assert refused.returncode == 1 and "FLOE-K001" in refused.stderr


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("asks", "FLOE-C004", "acme:network/connect@1.0.0"),
        ("eats", "FLOE-C006", "unreachable"),
        ("loops", "FLOE-C006", "interrupt"),
        ("taken", "FLOE-C008", "both offer a backend `jaeger`"),
        ("traps", "FLOE-C006", "unreachable"),
    ],
)
def test_components_that_misbehave_are_refused(
    name: str, code: str, reason: str, third_parties: Path
) -> None:
    done = cli("collector", "backends", "--directory", third_parties / name)
    assert done.returncode == 1 and done.stderr.startswith(f"error[{code}]"), done.stderr
    assert reason in done.stderr and f"{name}.wasm" in done.stderr, done.stderr


def test_a_component_of_anybodys_is_taken(third_parties: Path) -> None:
    done = cli("collector", "backends", "--directory", third_parties / "fine", "--json")
    assert "fine" in {backend["name"] for backend in json.loads(done.stdout)}, done.stderr
