"""Instruments plain `dbt build`: dbt imports every module named `dbt_*` as a plugin.

Nothing happens, and nothing is imported, unless `FLOE_TELEMETRY_MANIFEST` is set.
"""

import os

if os.environ.get("FLOE_TELEMETRY_MANIFEST"):
    from floe_telemetry.dbt import plugin

    plugins = [plugin()]
