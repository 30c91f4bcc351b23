"""Refuses to build a wheel that lacks the policy component."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPONENT = "src/floe_telemetry/floe_policy.wasm"


class ComponentHook(BuildHookInterface[Any]):
    """The component is built from Rust and copied here before the wheel is made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Checks, unless the install is editable: a source tree finds the component at run time."""
        if version != "editable" and not Path(self.root, COMPONENT).is_file():
            raise FileNotFoundError(
                f"{COMPONENT} is missing: run `just component`, which builds the policy component "
                "and copies it there"
            )
