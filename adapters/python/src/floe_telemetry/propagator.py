"""FloePropagator: W3C Trace Context and W3C Baggage as the policy reads and writes them.

It works with no configuration at all. Nothing is loaded before the first header comes in or has to be
written.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from floe_telemetry import tracestate
from floe_telemetry._once import warn_once
from floe_telemetry.baggage_text import BAGGAGE_KEY, baggage_text, baggage_values
from floe_telemetry.carriers import EnvironmentGetter
from floe_telemetry.headers import KNOWN_FLAGS, Headers

if TYPE_CHECKING:
    from floe_telemetry.policy import Policy

FIELDS: Final = frozenset({"traceparent", "tracestate", "baggage"})
"""All that this propagator can read and write."""
_SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_FLAGS: Final = tuple(TraceFlags(flags) for flags in range(KNOWN_FLAGS + 1))


class FloePropagator(TextMapPropagator):
    """Reads and writes `traceparent`, `tracestate` and `baggage`, or those of them that it is made for.

    What is malformed is left out, and logged once for each kind of mistake. Neither method raises. Without a
    policy of its own it takes the installed provider's, and before there is one an unconfigured policy.
    """

    def __init__(self, policy: Policy | None = None, fields: Collection[str] = FIELDS) -> None:
        self._policy: Final = policy
        self._fields: Final = FIELDS & set(fields)
        self._trace: Final = "traceparent" in self._fields
        self._baggage: Final = "baggage" in self._fields
        self._unconfigured: Policy | None = None
        self._loading: Final = threading.Lock()
        self._of_policy: Headers | None = None

    @property
    def fields(self) -> set[str]:
        """Names of the headers."""
        return set(self._fields)

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """The context with what the carrier holds."""
        if context is None:
            context = get_current()
        try:
            traceparent = state = received = ""
            if self._trace and (lines := getter.get(carrier, "traceparent")):
                traceparent = lines[0] if len(lines) == 1 else ",".join(lines)
                if lines := getter.get(carrier, "tracestate"):
                    state = lines[0] if len(lines) == 1 else ",".join(lines)
            if self._baggage and (lines := getter.get(carrier, "baggage")):
                received = lines[0] if len(lines) == 1 else ",".join(lines)
            if not traceparent and not received:
                return context
            found = self._headers().read(
                traceparent, state, received, environ=isinstance(getter, EnvironmentGetter)
            )
            trace_id, span_id, flags, state, members = found
            values: dict[str, object] = {**context}
            if span_id:
                of_span = tracestate.shared(state) if state else None
                span = SpanContext(trace_id, span_id, True, _FLAGS[flags & KNOWN_FLAGS], of_span)
                values[_SPAN_KEY] = NonRecordingSpan(span)
            if members:
                values |= baggage_values(members)
            return Context(values)
        except Exception as error:
            warn_once("extract", "no context is taken from incoming headers: %s", error)
            return context

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Sets the headers of the context in the carrier."""
        if context is None:
            context = get_current()
        try:
            current: Any = context.get(_SPAN_KEY, trace.INVALID_SPAN)
            span: SpanContext = current.get_span_context()
            state = ""
            trace_id, span_id, _, flags, of_span, valid = span
            if valid and self._trace:
                # Version 00 of W3C Trace Context Level 2, section 2.2, with the flags that are known.
                line = f"00-{trace_id:032x}-{span_id:016x}-{flags & KNOWN_FLAGS:02x}"
                setter.set(carrier, "traceparent", line)
                if of_span:
                    state = of_span.to_header()
            members = baggage_text(context) if self._baggage and BAGGAGE_KEY in context else ""
            out_state, out_members = self._headers().write(span, state, members)
            if out_state and state:
                setter.set(carrier, "tracestate", out_state)
            if out_members and self._baggage:
                setter.set(carrier, "baggage", out_members)
        except Exception as error:
            warn_once("inject", "not all context is written to outgoing headers: %s", error)

    def _headers(self) -> Headers:
        policy = self._policy
        if policy is None:
            policy = self._policy_of_process()
        headers = self._of_policy
        if headers is None or headers.policy is not policy:
            headers = self._of_policy = Headers(policy)
        return headers

    def _policy_of_process(self) -> Policy:
        from floe_telemetry.provider import installed

        provider = installed()
        if provider is not None and provider.policy is not None:
            return provider.policy
        if self._unconfigured is None:
            with self._loading:
                if self._unconfigured is None:
                    from floe_telemetry.policy import Policy

                    self._unconfigured = Policy.load()
        return self._unconfigured
