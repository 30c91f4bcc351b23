"""Hints name the command that the reader has."""

import sys
from pathlib import Path

import pytest

from floe_telemetry._command import command


def put(directory: Path) -> None:
    directory.mkdir()
    program = directory / "floe-telemetry"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)


def test_the_command_is_named_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    with_install = "`pip install 'floe-telemetry[cli]'` and then `floe-telemetry doctor MANIFEST`"
    assert command("doctor MANIFEST") == with_install
    put(tmp_path / "bin")
    assert command("doctor MANIFEST") == "`floe-telemetry doctor MANIFEST`"


@pytest.mark.parametrize("executable", ["", None])
def test_a_python_that_does_not_know_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", executable)
    assert command("validate").startswith("`pip install")


def test_an_environment_that_is_not_activated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "venv")
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    assert command("doctor") == "`floe-telemetry doctor`"
