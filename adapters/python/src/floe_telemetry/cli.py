"""The command `floe-telemetry-py`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from floe_telemetry import __version__
from floe_telemetry.contract import Backend, Severity
from floe_telemetry.engine import ComponentError
from floe_telemetry.manifest import VARIABLE, ManifestError
from floe_telemetry.provider import init

if TYPE_CHECKING:
    from floe_telemetry.backends import BackendsComponent


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and answers with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    own, tools = _split(given)
    parser = argparse.ArgumentParser(
        prog="floe-telemetry-py",
        description="floe's telemetry for Python tools.",
        epilog="Options of this command come before `dbt`; what comes after it is dbt's.",
    )
    parser.add_argument("--version", action="version", version=f"floe-telemetry-py {__version__}")
    parser.add_argument("--manifest", help="for dbt; by default, what FLOE_TELEMETRY_MANIFEST names")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "dbt", help="run dbt with telemetry: what follows, output and exit code are dbt's", add_help=False
    )
    validate = commands.add_parser("validate", help="check a manifest; exit code 1 if it cannot be used")
    validate.add_argument("file", metavar="manifest")
    backends = commands.add_parser("backends", help="list the telemetry backends and their settings")
    backends.add_argument(
        "--directory", help="of further backends; by default, what FLOE_TELEMETRY_BACKENDS names"
    )
    backends.add_argument("--json", action="store_true", help="for machines")
    chosen = parser.parse_args(own)
    if chosen.command == "validate":
        return _validate(chosen.file)
    if chosen.command == "backends":
        return _backends(chosen.directory, chosen.json)
    return _dbt(chosen.manifest, tools)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Our own part, up to the word `dbt`, and what is dbt's, as it is: no parser of ours looks at it."""
    place = 0
    while place < len(arguments) and arguments[place].startswith("-"):
        place += 2 if arguments[place] == "--manifest" else 1
    if arguments[place : place + 1] == ["dbt"]:
        return arguments[: place + 1], arguments[place + 1 :]
    return arguments, []


def _validate(manifest: str) -> int:
    from floe_telemetry.checked import check

    try:
        findings = check(manifest)
    except (ManifestError, ComponentError) as error:
        print(error, file=sys.stderr)
        return 1
    for found in findings:
        print(found.render(manifest), file=sys.stderr)
    return 1 if any(found.severity is Severity.ERROR for found in findings) else 0


def _backends(directory: str | None, as_json: bool) -> int:
    from floe_telemetry.backends import Backends

    try:
        backends = Backends.load(directory)
    except ComponentError as error:
        print(error, file=sys.stderr)
        return 1
    offered = [(backend, component) for component in backends.components for backend in component.backends]
    if as_json:
        print(json.dumps([_described(*each) for each in offered], indent=2, ensure_ascii=False))
        return 0
    for backend, component in offered:
        of_file = f" ({component.file})" if component.file else ""
        print(f"{backend.name}: {backend.description}{of_file}\n  signals: {', '.join(backend.signals)}")
        for setting in backend.settings:
            facts = [setting.type.value]
            facts += ["required"] if setting.required else []
            facts += ["name of a variable"] if setting.secret else []
            facts += [f"default {json.dumps(setting.default)}"] if setting.default is not None else []
            print(f"  {setting.name} ({', '.join(facts)}): {setting.description}")
    return 0


def _described(backend: Backend, component: BackendsComponent) -> dict[str, object]:
    return {
        "name": backend.name,
        "description": backend.description,
        "signals": backend.signals,
        "settings": [setting._asdict() for setting in backend.settings],
        "component": {
            **component.info._asdict(),
            "digest": component.digest,
            "file": str(component.file) if component.file else None,
        },
    }


def _dbt(manifest: str | None, arguments: list[str]) -> int:
    """Runs dbt's own command in this process. The plugin in it, which every dbt has that finds our package,
    makes the telemetry. Ends by `SystemExit`, as dbt's command does.
    """
    try:
        from dbt.cli.main import cli
    except ImportError:
        print(
            "dbt is not installed\n  help: pip install 'floe-telemetry[dbt]' and a dbt adapter",
            file=sys.stderr,
        )
        return 2
    if manifest is not None:
        os.environ[VARIABLE] = os.path.abspath(manifest)
    init(manifest)
    sys.argv = ["dbt", *arguments]  # dbt notes what it was called with
    cli(prog_name="dbt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
