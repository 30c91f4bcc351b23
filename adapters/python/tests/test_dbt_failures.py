"""dbt commands that fail before dbt has read its project: each is one failed span with dbt's own words."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path

import pytest

from collector import Collector
from conftest import Manifest
from test_dbt import BIN, environment, project, run

__all__ = ["project"]

PROFILES = "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: shop.duckdb}\n"
ABSENT = "    other: {type: absent_database}\n    named: {type: duckdb, path: \"{{ env_var('NOT_SET') }}\"}\n"
CASES = {
    "an unknown target": ("build --target prod", "does not have a target named 'prod'"),
    "an unknown profile": ("run --profile nobody", "Could not find profile named 'nobody'"),
    "a missing variable of the environment": ("test --target named", "NOT_SET"),
    "an adapter that is not installed": ("seed --target other", "absent_database"),
    "a bad selector": ("build --selector nobody", "nobody"),
    "variables that are no YAML": ("compile --vars {a:", "not valid YAML"),
    "no project here": ("parse --project-dir empty", "dbt_project.yml"),
    "an option that dbt does not have": ("snapshot --quickly", "--quickly"),
    "an operation that is not there": ("run-operation nobody", "nobody"),
    "a command that dbt does not have": ("biuld", "biuld"),
    "an option before the command": ("--quickly build", "--quickly"),
    "documentation": ("docs generate --target prod", "prod"),
    "freshness": ("source freshness --target prod", "prod"),
    "a check of the connection": ("debug --target prod", "prod"),
    "packages that are missing": ("ls", "dbt deps"),
}
RUN = """
import json, pathlib, sys
import floe_telemetry
from floe_telemetry.dbt import DbtInstrumentor
telemetry = floe_telemetry.init()
from dbt.cli.main import dbtRunner  # before, as users do
DbtInstrumentor().instrument()
results = []
for name, arguments in json.loads(sys.argv[1]):
    if name == "packages that are missing":
        pathlib.Path("packages.yml").write_text("packages: [{package: dbt-labs/dbt_utils, version: 1.3.0}]")
    result = dbtRunner().invoke(arguments.split() + ([] if name.startswith("an option") else ["-q"]))
    results.append([name, result.success])
telemetry.shutdown()
print("RESULT " + json.dumps(results))
"""


@pytest.fixture
def failing(project: Path) -> Path:
    (project / "profiles.yml").write_text(PROFILES + ABSENT)
    (project / "empty").mkdir()
    return project


def test_each_is_a_failed_span(failing: Path, manifest: Manifest, collector: Collector) -> None:
    cases = json.dumps([(name, arguments) for name, (arguments, _) in CASES.items()])
    ran = run(failing, environment(manifest(collector.endpoint)), sys.executable, "-c", RUN, cases)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, ran.stdout + ran.stderr
    assert dict(json.loads(lines[0].removeprefix("RESULT "))) == dict.fromkeys(CASES, False)
    commands = [span for span in collector.spans if span.parent_id == "b" * 16]
    names = [
        "dbt " + (" ".join(w for w in arguments.split()[:2] if not w.startswith("-") and w != "nobody"))
        for arguments, _ in CASES.values()
    ]
    names[names.index("dbt biuld")] = "dbt unknown"
    assert [span.name for span in commands] == names
    unsaid = {
        name: (span.status, span.description, span.attributes["error.type"])
        for span, (name, (_, words)) in zip(commands, CASES.items(), strict=True)
        if span.status != 2
        or words not in span.description
        or span.attributes["error.type"] in ("", "_OTHER")
    }
    assert unsaid == {}


def environment_of_pip(directory: Path) -> Path:
    """A virtual environment whose site-packages are this one's and, as pip installs it, our package."""
    venv.create(directory, with_pip=False, symlinks=True)
    [packages] = directory.glob("lib/python*/site-packages")
    ours = Path(sys.modules["floe_telemetry"].__file__ or "").parents[1]
    theirs = next(path for path in map(Path, sys.path) if (path / "dbt" / "cli").is_dir())
    (packages / "a.pth").write_text(f"{ours}\n{theirs}\n")
    (packages / "floe_telemetry.pth").write_text((ours / "floe_telemetry.pth").read_text())
    script = directory / "bin" / "dbt"
    script.write_text(f"#!{directory}/bin/python\n" + (BIN / "dbt").read_text().partition("\n")[2])
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("arguments", "words"), [("build --target prod", "named 'prod'"), ("build --quickly", "--quickly")]
)
def test_plain_dbt_that_pip_installed(
    arguments: str, words: str, failing: Path, manifest: Manifest, collector: Collector, tmp_path: Path
) -> None:
    """Its words on the terminal and its exit code are as without us."""
    dbt = environment_of_pip(tmp_path / "venv")
    environ = environment(manifest(collector.endpoint)) | {"PYTHONPATH": "", "DBT_LOG_FORMAT": "json"}
    ran = run(failing, environ, str(dbt), *arguments.split())
    without = run(failing, environ | {"FLOE_TELEMETRY_MANIFEST": ""}, str(dbt), *arguments.split())
    assert (ran.returncode, said(ran.stdout), ran.stderr) == (2, said(without.stdout), without.stderr)
    command = collector.span("dbt build")
    assert words in command.description
    assert len(collector.spans) == 1


def said(output: str) -> list[str]:
    """dbt's messages, without times and ids."""
    return [json.loads(line)["info"]["msg"] for line in output.splitlines() if line.startswith("{")]


def test_another_program_is_left_alone(tmp_path: Path) -> None:
    """With a manifest as well, nothing of ours is imported but the look at the program's name."""
    python = environment_of_pip(tmp_path / "venv").with_name("python")
    code = "import sys; print([name for name in sys.modules if 'floe' in name or name == 'wrapt'], sys.meta_path)"
    plain = run(tmp_path, {"PATH": "/bin"}, str(python), "-c", code)
    asked = run(tmp_path, {"PATH": "/bin", "FLOE_TELEMETRY_MANIFEST": "m.yaml"}, str(python), "-c", code)
    assert plain.stdout.startswith("[] ")
    assert asked.stdout == plain.stdout.replace("[]", "['floe_telemetry_start']", 1)
