"""The command: what follows the word `dbt` is dbt's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import floe_telemetry
from collector import Collector
from conftest import COMMAND, Manifest
from test_dbt import environment, project, run

__all__ = ["project"]

DBT = [
    sys.executable,
    "-c",
    "import sys; from dbt.cli.main import cli; sys.argv[0] = 'dbt'; cli(prog_name='dbt')",
]


def said(ran: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """The exit code, and the output without what differs from run to run."""
    return ran.returncode, re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b0x[0-9a-f]+|\d+(\.\d+)?", "#", ran.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--quiet", "build"],
        ["--log-format", "json", "parse"],
        ["--", "--quiet", "build"],
        ["--help"],
        ["bulid"],
        ["parse", "--manifest", "x"],
        [],
    ],
)
def test_it_does_what_dbt_does(
    arguments: list[str], project: Path, manifest: Manifest, collector: Collector
) -> None:
    environ = environment()
    plain = said(run(project, environ, *DBT, *arguments))
    path = manifest(collector.endpoint)
    command = [COMMAND, "--manifest", str(path), "dbt", *arguments]
    ours = said(run(project, environ, *command))
    if "json" in arguments:  # the number of dbt's events differs from run to run
        assert (ours[0], plain[0]) == (0, 0)
        assert all(line.startswith('{"') for line in ours[1].splitlines())
    else:
        assert ours == plain
    if arguments == ["--quiet", "build"]:
        assert ours[0] == 1
        assert collector.span("dbt build").attributes["floe.outcome"] == "failure"


def test_its_own_options(project: Path) -> None:
    version = run(project, environment(), COMMAND, "--version")
    assert (version.returncode, version.stdout) == (0, f"floe-telemetry-py {floe_telemetry.__version__}\n")
    for arguments in ([], ["--manifest"], ["--manifest", "x"], ["nonsense"], ["--nonsense", "dbt"]):
        ran = run(project, environment(), COMMAND, *arguments)
        assert (ran.returncode, ran.stdout) == (2, ""), arguments
        assert "usage: floe-telemetry-py" in ran.stderr
