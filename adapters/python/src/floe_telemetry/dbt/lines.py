"""Which of dbt's lines become log records."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider

_LEVELS: Final = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_LOGGERS: Final = ("stdout_log", "file_log")
"""dbt's own, which take a line for each event: thousands, for their own handlers alone."""
_COLOURS: Final = re.compile("\x1b\\[[0-9;]*m")
_SAID_BY_SPANS: Final = frozenset(
    (
        "LogStartLine",
        "LogModelResult",
        "LogTestResult",
        "LogSeedResult",
        "LogSnapshotResult",
        "LogNodeResult",
        "LogNodeNoOpResult",
        "LogFreshnessResult",
        "LogHookStartLine",
        "LogHookEndLine",
        "LogStartBatch",
        "LogBatchResult",
        "LogFunctionResult",
    )
)
"""`START` and `OK` of each node. Where such a line warns or is an error, it is a record all the same."""


_RESULTS: Final = frozenset(("PrintEvent", "ShowNode", "CompiledNode", "ListCmdOut", "DebugCmdOut"))
"""What a command was asked to print: rows, SQL, names. It is the user's data, not what happens."""


def plain(text: str) -> str:
    """A line without colours."""
    return _COLOURS.sub("", text).strip()


class Lines:
    """dbt's lines of the plan's level and above, under the span that is current where dbt says them."""

    def __init__(self, provider: TelemetryProvider) -> None:
        sdk, plan = provider.sdk, provider.plan
        self._provider: Final = sdk.logger_provider if sdk and plan and plan.exporters.logs else None
        self._least = logging.CRITICAL
        if sdk and plan:
            from floe_telemetry import logs

            logs.leave_out(*_LOGGERS)
            self._least = logs.number(plan.logging.level)

    def take(self, info: Any) -> None:
        """Takes what is about one event."""
        level = _LEVELS.get(info.level)
        if level is None or self._provider is None or level < self._least:
            return
        if info.name in _RESULTS or (level == logging.INFO and info.name in _SAID_BY_SPANS):
            return
        text = plain(info.msg)
        if text:
            from floe_telemetry import logs

            attributes = {"floe.dbt.event": info.name, "floe.dbt.code": info.code}
            logs.emit(self._provider, "dbt", level, text, attributes=attributes)
