"""The command `floe-telemetry-py`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from floe_telemetry.engine import ComponentError
from floe_telemetry.manifest import ManifestError
from floe_telemetry.provider import init, read_plan


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
    chosen = parser.parse_args(arguments)
    return (
        _validate(chosen.manifest)
        if chosen.command == "validate"
        else _dbt(chosen.manifest, chosen.arguments)
    )


def _validate(manifest: str) -> int:
    try:
        _, plan, source = read_plan(manifest)
    except (ManifestError, ComponentError) as error:
        print(error, file=sys.stderr)
        return 1
    for warning in plan.warnings:
        print(warning.render(source), file=sys.stderr)
    return 0


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
