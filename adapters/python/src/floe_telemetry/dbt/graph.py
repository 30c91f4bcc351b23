"""The graph that dbt runs: its live manifest, which it keeps in the context of its own command line.

That is no published interface. Where it answers otherwise than expected, nodes have no links and no file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from floe_telemetry._once import warn_once


def command() -> str | None:
    """The command as its user wrote it: `docs generate`, where dbt's flags say `generate`."""
    context = _context()
    return context.command_path.partition(" ")[2] or None if context is not None else None


class Graph:
    """What is known of the nodes beyond what events say."""

    def __init__(self, manifest: Any = None, config: Any = None) -> None:
        self._manifest: Final = manifest
        self._config: Final = config

    @classmethod
    def current(cls) -> Graph:
        """Of the command that runs in this thread, once dbt has parsed the project."""
        context = _context()
        found = getattr(context, "obj", None) or {}
        manifest = found.get("manifest")
        if manifest is None and context is not None and context.info_name == "retry":
            manifest = _parsed(found.get("runtime_config"))  # once more, for what it runs again
        if manifest is None:
            warn_once("dbt manifest", "dbt's manifest is not where it was; nodes have no links and no files")
        return cls(manifest, found.get("runtime_config"))

    def facts(self) -> dict[str, object]:
        """Of the command."""
        return {
            "target": getattr(self._config, "target_name", None),
            "threads": getattr(self._config, "threads", None),
            "adapter": self.adapter(),
        }

    def retried(self) -> Path | None:
        """Where `dbt retry` reads what failed before, which it overwrites at its end."""
        context = _context()
        if context is None or context.info_name != "retry":
            return None
        state = context.params.get("state") or self._config.target_path
        return Path(self._config.project_root, state, "run_results.json")

    def adapter(self) -> str | None:
        """dbt's name of the database."""
        return getattr(getattr(self._config, "credentials", None), "type", None)

    def upstream(self, unique_id: str) -> list[str]:
        """The nodes that this one directly depends on."""
        depends_on = getattr(self._node(unique_id), "depends_on", None)
        return list(getattr(depends_on, "nodes", None) or ())

    def described(self, unique_id: str) -> dict[str, object]:
        """Facts of a node that are known before it runs."""
        node = self._node(unique_id)
        if node is None:
            return {}
        is_test = unique_id.startswith("test.")
        return {
            "path": getattr(node, "original_file_path", None),
            "package": getattr(node, "package_name", None),
            "column": getattr(node, "column_name", None),
            "attached_node": getattr(node, "attached_node", None),
            "severity": str(node.config.severity).lower() if is_test else None,
            "adapter": self.adapter(),
        }

    def compiled_path(self, unique_id: str) -> str | None:
        """Where the SQL that ran is, once it was compiled."""
        path = getattr(self._node(unique_id), "compiled_path", None)
        return str(path) if path else None

    def _node(self, unique_id: str) -> Any:
        for part in ("nodes", "sources", "unit_tests", "exposures", "saved_queries", "functions", "macros"):
            found = (getattr(self._manifest, part, None) or {}).get(unique_id)
            if found is not None:
                return found
        return None


def _parsed(config: Any) -> Any:
    """The manifest that dbt parsed last for this project's database."""
    from dbt.adapters.factory import get_adapter

    return getattr(get_adapter(config), "_macro_resolver", None)


def _context() -> Any:
    import click

    return click.get_current_context(silent=True)
