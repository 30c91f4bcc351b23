"""All that is wrong with a manifest, in every environment and in one go."""

from __future__ import annotations

from pathlib import Path

import pytest

from floe_telemetry.checked import check
from floe_telemetry.cli import main
from floe_telemetry.contract import Diagnostic
from floe_telemetry.engine import ComponentError
from floe_telemetry.manifest import ManifestError

METADATA = "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\n"
HEAD = METADATA + "observability:\n  telemetry:\n"


def checked(tmp_path: Path, text: str, **environ: str) -> list[Diagnostic]:
    path = tmp_path / "manifest.yaml"
    path.write_text(text)
    return check(path, environ)


def short(found: list[Diagnostic]) -> list[tuple[str, int, str]]:
    return [(each.code, each.line, each.message) for each in found]


def test_nothing_is_wrong(tmp_path: Path) -> None:
    environments = (
        "    environments: {prod: {telemetry_backend: {type: honeycomb, config: {api_key: KEY}}}}\n"
    )
    assert checked(tmp_path, HEAD + environments) == []


def test_an_environment_is_named(tmp_path: Path) -> None:
    """The environments' backends are checked wherever the process runs."""
    text = HEAD + (
        "    environments:\n"
        "      dev: {telemetry_backend: {type: honeycomb, config: {api_kye: A}}}\n"
        "      prod: {telemetry_backend: jeager}\n"
    )
    missing, unknown, jeager = (
        'missing setting "api_key"',
        'unknown setting "api_kye"',
        'there is no backend "jeager"',
    )
    dev = [("FLOE-B004", 5, missing), ("FLOE-B002", 5, unknown)]
    found = checked(tmp_path, text)
    assert short(found)[-1] == ("FLOE-B001", 6, jeager + " (in the environment `prod`)")
    assert [(code, line) for code, line, _ in short(found)[:2]] == [(code, line) for code, line, _ in dev]
    assert not any("environment" in each.message for each in found[:2])
    found = checked(tmp_path, text, FLOE_MODE="prod")
    assert short(found)[-1] == ("FLOE-B001", 6, jeager)
    assert all(each.message.endswith(" (in the environment `dev`)") for each in found[:2])
    assert len(found) == 3


def test_several_environments_are_named_together(tmp_path: Path) -> None:
    """The environments without a backend of their own have the manifest's."""
    text = (
        HEAD
        + "    environments: {staging: {telemetry_backend: debug}}\nplugins: {telemetry_backend: jeager}\n"
    )
    [found] = checked(tmp_path, text, FLOE_MODE="staging")
    assert found.message == 'there is no backend "jeager" (in the environments `dev` and `prod`)'
    [found] = checked(tmp_path, text)
    assert found.message == 'there is no backend "jeager"'


def test_exporters_do_not_hide_backends(tmp_path: Path) -> None:
    """Nor do wrong settings of the one environment hide those of another. All come by their place."""
    text = HEAD + (
        "    otlp_endpoint: https://api.honeycomb.io\n"
        "    environments:\n"
        "      prod: {otlp_endpont: x, telemetry_backend: jeager}\n"
        "plugins: {telemetry_backend: {type: tempo, signals: [logs]}}\n"
    )
    codes = [(code, line) for code, line, _ in short(checked(tmp_path, text))]
    assert codes == sorted(codes, key=lambda found: found[1])
    assert {("FLOE-M012", 4), ("FLOE-M003", 6), ("FLOE-B001", 6), ("FLOE-K002", 7)} <= set(codes)
    assert len(codes) == len(set(codes))


def test_a_variable_of_the_process_is_not_of_other_environments(tmp_path: Path) -> None:
    found = checked(tmp_path, HEAD + "    enabled: true\n", OTEL_TRACES_SAMPLER="nonsense")
    [found_here] = found
    assert (found_here.code, found_here.path) == ("FLOE-M009", "OTEL_TRACES_SAMPLER")
    assert "environment" not in found_here.message


def test_a_directory_of_backends(tmp_path: Path) -> None:
    """It is relative to the manifest. What is wrong with it hides nothing else."""
    (tmp_path / "mine").mkdir()
    text = HEAD + (
        "    collector: {backends_directory: mine}\n"
        "    environments:\n"
        "      prod: {collector: {backends_directory: none}, otlp_endpont: x}\n"
    )
    unknown, found = checked(tmp_path, text)
    assert unknown.code == "FLOE-M003"
    assert (found.code, found.line) == ("FLOE-C009", 0)
    assert found.path == "observability.telemetry.collector.backends_directory"
    assert str(tmp_path / "none") in found.message
    assert found.message.endswith("(in the environment `prod`)")


def test_what_cannot_be_checked_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ManifestError, match="FLOE-H001"):
        check(tmp_path / "absent.yaml", {})
    (tmp_path / "manifest.yaml").write_text(METADATA)
    monkeypatch.setenv("FLOE_TELEMETRY_COMPONENT", str(tmp_path / "absent.wasm"))
    with pytest.raises(ComponentError, match="FLOE-C001"):
        check(tmp_path / "manifest.yaml", {})


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(HEAD + "    environments: {prod: {telemetry_backend: jeager}}\n")
    assert main(["validate", str(path)]) == 1
    place = "observability.telemetry.environments.prod.telemetry_backend"
    assert capsys.readouterr().err == (
        'error[FLOE-B001]: there is no backend "jeager" (in the environment `prod`)\n'
        f"  --> {path}:4:46 ({place})\n  help: did you mean `jaeger`?\n"
    )
