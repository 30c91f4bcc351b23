"""`instance_class` of dagster.yaml: Dagster hands it on to each of its processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef

from floe_telemetry.dagster import hooks

hooks.install()


class FloeInstance(DagsterInstance):
    """Dagster's own instance, in a process whose events become telemetry."""

    @classmethod
    def config_schema(cls) -> dict[str, Any]:
        """It has no settings of its own."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Dagster's own."""
        return InstanceRef.config_defaults(base_dir)
