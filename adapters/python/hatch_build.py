"""Refuses to build a wheel that lacks a component."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPONENTS = ("src/floe_telemetry/floe_policy.wasm", "src/floe_telemetry/floe_backends.wasm")


class ComponentHook(BuildHookInterface[Any]):
    """The components are built from Rust and copied here before the wheel is made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Checks, unless the install is editable: a source tree finds the components at run time."""
        for component in COMPONENTS:
            if version != "editable" and not Path(self.root, component).is_file():
                raise FileNotFoundError(
                    f"{component} is missing: run `just wheel`, which builds the components "
                    "and copies them there"
                )
