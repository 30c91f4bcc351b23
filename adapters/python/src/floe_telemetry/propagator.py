"""FloePropagator: W3C Trace Context and W3C Baggage as the policy reads and writes them.

It works with no configuration at all. Nothing is loaded before the first header comes in or has to be
written.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from opentelemetry import baggage, trace
from opentelemetry.context import Context, create_key, get_current, get_value, set_value
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from floe_telemetry._once import warn_once

if TYPE_CHECKING:
    from floe_telemetry.contract import Extraction, Headers
    from floe_telemetry.policy import Policy

_MEMBERS: Final = create_key("floe-baggage-members")
_TOKEN: Final = "!#$&'*+-.^_`|~"


class _ReceivedTraceState(TraceState):
    """A tracestate that the policy found valid. The SDK's own check knows Level 1 only and would drop keys
    that start with a digit.
    """

    def __init__(self, header: str) -> None:
        super().__init__()
        self._dict = dict(member.split("=", 1) for member in header.split(","))


class FloePropagator(TextMapPropagator):
    """Reads and writes `traceparent`, `tracestate` and `baggage`.

    What is malformed is left out, and logged once for each kind of mistake. Neither method raises.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy
        self._loading = threading.Lock()

    @property
    def fields(self) -> set[str]:
        """Names of the headers."""
        return {"traceparent", "tracestate", "baggage"}

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """The context with what the carrier holds."""
        context = get_current() if context is None else context
        traceparent = _joined(getter.get(carrier, "traceparent"))
        tracestate = _joined(getter.get(carrier, "tracestate"))
        received = _joined(getter.get(carrier, "baggage"))
        if not traceparent and not received:
            return context
        try:
            extraction = self._loaded().extract(traceparent, tracestate, received)
        except Exception as error:
            warn_once("extract", "no context is taken from incoming headers: %s", error)
            return context
        for problem in extraction.problems:
            warn_once(problem.code, "%s", problem.render("incoming headers"))
        return with_baggage(extraction.baggage, _with_span(extraction, context))

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Sets the headers of the context in the carrier."""
        try:
            headers = self._headers(get_current() if context is None else context)
        except Exception as error:
            warn_once("inject", "no context is written to outgoing headers: %s", error)
            return
        for name in ("traceparent", "tracestate", "baggage"):
            value = getattr(headers, name)
            if value:
                setter.set(carrier, name, value)

    def _headers(self, context: Context) -> Headers:
        span = trace.get_current_span(context).get_span_context()
        return self._loaded().inject(
            span.trace_id >> 64,
            span.trace_id & 0xFFFF_FFFF_FFFF_FFFF,
            span.span_id,
            int(span.trace_flags),
            span.trace_state.to_header() if span.trace_state else "",
            baggage_text(context),
        )

    def _loaded(self) -> Policy:
        if self._policy is None:
            with self._loading:
                if self._policy is None:
                    from floe_telemetry.policy import Policy

                    self._policy = Policy.load()
        return self._policy


class _EnvironGetter(Getter[Mapping[str, str]]):
    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        value = carrier.get(key.upper())
        return [value] if value else None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        return list(carrier)


class _EnvironSetter(Setter[MutableMapping[str, str]]):
    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        carrier[key.upper()] = value


ENVIRON_VARIABLES: Final = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")


def environ_carrier(propagator: TextMapPropagator, context: Context | None = None) -> dict[str, str]:
    """TRACEPARENT, TRACESTATE and BAGGAGE of the context, for the environment of a child process."""
    carrier: dict[str, str] = {}
    propagator.inject(carrier, context, _EnvironSetter())
    return carrier


def environ_context(
    propagator: TextMapPropagator, environ: Mapping[str, str] | None = None, context: Context | None = None
) -> Context:
    """The context that a process was started with: TRACEPARENT, TRACESTATE and BAGGAGE of its environment."""
    found = os.environ if environ is None else environ
    return propagator.extract(found, Context() if context is None else context, _EnvironGetter())


def with_baggage(text: str, context: Context) -> Context:
    """The context with the members of canonical baggage text.

    The SDK's baggage has no place for properties, so that each member's text is kept beside it.
    """
    if not text:
        return context
    members = {}
    for member in text.split(","):
        key, _, rest = member.partition("=")
        value = unquote(rest.partition(";")[0])
        context = baggage.set_baggage(key, value, context)
        members[key] = (value, member)
    return set_value(_MEMBERS, members, context)


def baggage_text(context: Context) -> str:
    """The context's baggage as text. A member that is as it was received has the text that was received."""
    known = get_value(_MEMBERS, context)
    received: dict[str, tuple[str, str]] = known if isinstance(known, dict) else {}
    texts = []
    for key, value in baggage.get_all(context).items():
        as_received = received.get(key)
        if as_received and as_received[0] == value:
            texts.append(as_received[1])
        else:
            texts.append(f"{key}={quote(str(value), safe=_TOKEN)}")
    return ",".join(texts)


def _joined(values: list[str] | None) -> str:
    return ",".join(values) if values else ""


def _with_span(extraction: Extraction, context: Context) -> Context:
    if not extraction.span:
        return context
    span = SpanContext(
        (extraction.high << 64) | extraction.low,
        extraction.span,
        is_remote=True,
        trace_flags=TraceFlags(extraction.flags),
        trace_state=_ReceivedTraceState(extraction.tracestate) if extraction.tracestate else None,
    )
    return trace.set_span_in_context(NonRecordingSpan(span), context)
