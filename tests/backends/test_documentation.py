"""The examples of docs/collector.md, as somebody who pastes them meets them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from otelcol import CLI, cli

TEXT = (Path(__file__).parents[2] / "docs" / "collector.md").read_text()
# The first line of a file is its name.
FILES = {
    name: text for text, name in re.findall(r"^```yaml\n(# (\S+)\n.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
}
# Kubernetes is not here: what it would be given is looked at.
COMMANDS = [
    command.split(" | kubectl ")[0]
    for command in re.findall(r"^    ((?:\w+=\w+ )?floe-telemetry .*)$", TEXT, re.MULTILINE)
]


@pytest.fixture
def directory(newest: str, tmp_path: Path) -> Path:
    """The files, and a PATH with the programs."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, program in [("floe-telemetry", shutil.which(CLI)), ("otelcol-contrib", newest)]:
        assert program, name
        (programs / name).symlink_to(program)
    return tmp_path


def test_every_example_is_a_whole_file() -> None:
    assert TEXT.count("```yaml") == len(FILES) == 2


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_a_manifest_that_nothing_is_wrong_with(name: str, directory: Path) -> None:
    done = cli("validate", directory / name)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_it_says(command: str, directory: Path) -> None:
    path = f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=directory,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    # Nothing in an example is worth a warning.
    assert done.stderr == ""
    if " render " not in command:
        return
    output = re.search(r"-o (\S+)", command)
    document = (directory / output[1]).read_text() if output else done.stdout
    mode = re.match(r"FLOE_MODE=(\w+)", command)
    environment = mode[1] if mode else "dev"
    tier = "gateway" if "--topology gateway" in command else "agent"
    assert f", as {tier}, in the environment {environment}.\n" in document
    assert list(yaml.safe_load_all(document))
    if environment == "dev" and "manifest.yaml" in command:
        assert "debug/debug" in document and "file_storage" not in document
    if environment == "prod" and tier == "gateway":
        assert "datadog" in document and "file_storage" in document


def test_commands_were_found() -> None:
    assert [command.count(" render ") for command in COMMANDS].count(1) == 6
    assert any(" check " in command for command in COMMANDS)
