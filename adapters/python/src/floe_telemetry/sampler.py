"""FloeSampler: the policy's sampling intents, applied to span after span with no call into the component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, TraceState
from opentelemetry.util.types import Attributes

from floe_telemetry._once import warn_once
from floe_telemetry.contract import AttributeValue, ParentMode, Plan, SamplingIntent, SpanKind
from floe_telemetry.engine import ComponentError
from floe_telemetry.policy import Policy

_RANDOMNESS: Final = (1 << 56) - 1
_MOST_INTENTS: Final = 1024
_KINDS: Final = {kind: SpanKind(kind.name.lower()) for kind in trace.SpanKind}
_DROP: Final = SamplingResult(Decision.DROP)

_Key = tuple[object, ...]


class FloeSampler(Sampler):
    """Keeps a span if and only if R >= T: the low 56 bits of its trace id against the intent's threshold.

    Intents are kept by span name, kind and the attributes that the plan names as dependencies. A given
    attribute wins over the rule's attribute of the same name.
    """

    def __init__(self, policy: Policy, plan: Plan) -> None:
        self._policy = policy
        self._rules: list[dict[str, AttributeValue]] = [rule.attributes for rule in plan.rules]
        self._dependencies = tuple(plan.dependencies)
        self._intents: dict[_Key, SamplingIntent] = {}

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decides a span."""
        dependencies = self._dependencies
        key: _Key = (name, kind, *map((attributes or {}).get, dependencies)) if dependencies else (name, kind)
        intent = self._intents.get(key)
        if intent is None:
            intent = self._ask(key, name, kind, attributes)
        parent = trace.get_current_span(parent_context).get_span_context()
        state = None
        if parent.is_valid:
            state = parent.trace_state
            if intent.parent is ParentMode.FOLLOW:
                keep = bool(parent.trace_flags & 1)
            else:
                keep = trace_id & _RANDOMNESS >= intent.threshold
        else:
            keep = trace_id & _RANDOMNESS >= intent.threshold
        if not keep:
            return SamplingResult(Decision.DROP, None, state) if state else _DROP
        added = self._rules[intent.rule]
        return SamplingResult(
            Decision.RECORD_AND_SAMPLE, {**added, **attributes} if attributes else added, state
        )

    def _ask(
        self, key: _Key, name: str, kind: trace.SpanKind | None, attributes: Attributes
    ) -> SamplingIntent:
        depended = {
            each: value for each in self._dependencies if (value := (attributes or {}).get(each)) is not None
        }
        try:
            # The SDK does not tell a sampler the span's scope.
            intent = self._policy.intent("", name, _KINDS[kind or trace.SpanKind.INTERNAL], depended)
            if intent.rule >= len(self._rules):
                raise ComponentError(
                    "FLOE-C006", f"the plan has no rule {intent.rule}", "report it to the author"
                )
        except ComponentError as error:
            warn_once("sampler", "%s; spans are kept", error)
            intent = SamplingIntent(0, ParentMode.FOLLOW, 0)
        if len(self._intents) >= _MOST_INTENTS:
            self._intents.clear()
        self._intents[key] = intent
        return intent

    def get_description(self) -> str:
        """What the SDK calls this sampler."""
        return "FloeSampler"
