"""Logging: trace ids as fields on every record, and records on their way to the Collector.

What a data engineer gets from `init()`:

- Every record has `trace_id`, `span_id`, `trace_flags` and `floe.namespace` as fields, for whatever formatter
  is in use. They are never part of the message.
- Records of the manifest's level and above go to the Collector, in addition to where they went before,
  whatever becomes of handlers. The application's handlers and formatters stay as they are, and
  `logging.basicConfig` and `dictConfig` still work after `init()`.
- Loggers that the manifest names have the level that it says, until the application sets another.
- A process that has set up no logging at all sees its records on standard error, in the manifest's format
  and level, until it sets up logging. `console()` adds such a handler.
- structlog's records go the same way with `structlog_processor` among its processors.
"""

from floe_telemetry.logs.console import JsonFormatter, TextFormatter
from floe_telemetry.logs.emission import OtlpHandler, emit, emit_record
from floe_telemetry.logs.fields import leave_out
from floe_telemetry.logs.levels import apply_levels, asked, number, passes
from floe_telemetry.logs.setup import console, enriched_by, install, uninstall
from floe_telemetry.logs.structlog import structlog_processor

__all__ = [
    "JsonFormatter",
    "OtlpHandler",
    "TextFormatter",
    "apply_levels",
    "asked",
    "console",
    "emit",
    "emit_record",
    "enriched_by",
    "install",
    "leave_out",
    "number",
    "passes",
    "structlog_processor",
    "uninstall",
]
