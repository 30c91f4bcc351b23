"""Listens to dbt from its first line on.

dbt loads its plugins once it has read the project: what goes wrong before that (a profile, a variable, a
selector) no plugin hears of. So `floe_telemetry.pth` imports this module when Python starts, and only where
`FLOE_TELEMETRY_MANIFEST` is set. In any program but dbt it does nothing.
"""

import os
import sys


def _is_dbt() -> bool:
    """Whether `dbt`, or `python -m dbt...`, is what this Python was started with."""
    name = sys.argv[0]
    if name == "-m":
        return sys.orig_argv[-len(sys.argv)].partition(".")[0] == "dbt"
    return os.path.basename(name).removesuffix(".exe") == "dbt"


class _Finder:
    """Finds nothing. It is asked before `dbt.cli` is imported, when all of `sys.path` is there."""

    done = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "dbt.cli" and not self.done:
            self.done = True
            try:
                from floe_telemetry.dbt.entry import install

                install()
            except Exception:  # the plugin says why, once dbt has a log
                pass


def _is_disabled() -> bool:
    """As OpenTelemetry has it for instrumentations."""
    names = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return not {"dbt", "*"}.isdisjoint(name.strip() for name in names)


if _is_dbt() and not _is_disabled():
    sys.meta_path.insert(0, _Finder())
