"""dbt: its structured events become operations and log records.

Three ways in, of which any number may be on at once: `dbt_floe_telemetry` for plain `dbt build`,
`DbtInstrumentor` for `dbtRunner` in one's own process, and the command `floe-telemetry-py dbt`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_telemetry.dbt.entry import plugin

if TYPE_CHECKING:
    from floe_telemetry.dbt.instrumentor import DbtInstrumentor

__all__ = ["DbtInstrumentor", "plugin"]


def __getattr__(name: str) -> Any:
    """What needs slow imports is imported when it is asked for."""
    if name == "DbtInstrumentor":
        from floe_telemetry.dbt.instrumentor import DbtInstrumentor

        return DbtInstrumentor
    raise AttributeError(f"module {__name__} has no attribute {name}")
