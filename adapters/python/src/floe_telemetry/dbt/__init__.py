"""dbt: its structured events become operations and log records.

Three ways in, of which any number may be on at once: `dbt_floe_telemetry` for plain `dbt build`,
`DbtInstrumentor` for `dbtRunner` in one's own process, and the command `floe-telemetry-py dbt`.
"""

from floe_telemetry.dbt.entry import DbtInstrumentor, plugin

__all__ = ["DbtInstrumentor", "plugin"]
