"""The command `floe-telemetry-py`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from floe_telemetry.contract import Backend, Severity
from floe_telemetry.engine import ComponentError
from floe_telemetry.manifest import ManifestError
from floe_telemetry.provider import init

if TYPE_CHECKING:
    from floe_telemetry.backends import BackendsComponent


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and answers with its exit code."""
    parser = argparse.ArgumentParser(
        prog="floe-telemetry-py", description="floe's telemetry for Python tools."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    dbt = commands.add_parser("dbt", help="run dbt with telemetry; the exit code is dbt's")
    dbt.add_argument("--manifest", help="by default, what FLOE_TELEMETRY_MANIFEST names")
    dbt.add_argument("arguments", nargs=argparse.REMAINDER, help="what dbt is to do, for example `build`")
    validate = commands.add_parser("validate", help="check a manifest; exit code 1 if it cannot be used")
    validate.add_argument("manifest")
    backends = commands.add_parser("backends", help="list the telemetry backends and their settings")
    backends.add_argument(
        "--directory", help="of further backends; by default, what FLOE_TELEMETRY_BACKENDS names"
    )
    backends.add_argument("--json", action="store_true", help="for machines")
    chosen = parser.parse_args(arguments)
    if chosen.command == "validate":
        return _validate(chosen.manifest)
    if chosen.command == "backends":
        return _backends(chosen.directory, chosen.json)
    return _dbt(chosen.manifest, chosen.arguments)


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
    """Exit codes as dbt's own command has them: 1 for a failed node, 2 for a command that could not run."""
    try:
        from dbt.cli.main import dbtRunner
    except ImportError:
        print(
            "dbt is not installed\n  help: pip install 'floe-telemetry[dbt]' and a dbt adapter",
            file=sys.stderr,
        )
        return 2
    from floe_telemetry.dbt import DbtInstrumentor

    with init(manifest) as provider:
        DbtInstrumentor().instrument(provider=provider, skip_dep_check=True)
        result = dbtRunner().invoke(arguments)
    if result.exception is not None:
        print(result.exception, file=sys.stderr)
        return 2
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main())
