"""Spans that dbt makes by itself (1.12 and later, off by default): they are described, never doubled.

They are told one by one, not by dbt's flag: where the span that is current when a node starts is dbt's own
for that node, it is the node's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import Span

if TYPE_CHECKING:
    from floe_telemetry.sdk import Sdk

_SCOPE: Final = "dbt.runner"


def native_span(sdk: Sdk | None, unique_id: str) -> Span | None:
    """dbt's own span of this node, where it is recorded by our provider."""
    span = trace.get_current_span()
    if (
        sdk is not None
        and isinstance(span, Span)
        and span.is_recording()
        and span.name == unique_id
        and span.instrumentation_scope is not None
        and span.instrumentation_scope.name == _SCOPE
        and span.resource is sdk.tracer_provider.resource
    ):
        return span
    return None
