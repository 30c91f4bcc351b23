"""FloeSampler: the policy's sampling intents, applied to span after span with no call into the component."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanContext, TraceState
from opentelemetry.util.types import AnyValue, Attributes

from floe_telemetry import tracestate
from floe_telemetry._once import warn_once
from floe_telemetry.clock import MONOTONIC, Clock
from floe_telemetry.contract import ParentMode, Plan, SamplingDecision, SamplingIntent, SpanKind
from floe_telemetry.engine import ComponentError
from floe_telemetry.failed import is_operation
from floe_telemetry.pace import Pacer
from floe_telemetry.policy import Policy

_RANDOMNESS: Final = (1 << 56) - 1
_LOW: Final = (1 << 64) - 1
_MOST_KEPT: Final = 1024
_INTERNAL: Final = trace.SpanKind.INTERNAL
_KINDS: Final = {kind: SpanKind(kind.name.lower()) for kind in trace.SpanKind}
_KEEP: Final = Decision.RECORD_AND_SAMPLE
_DROPPED: Final = SamplingResult(Decision.DROP)

_Key = object


class _Intent:
    """An intent, made ready to be applied."""

    __slots__ = ("added", "follow", "kept", "state", "threshold")

    def __init__(self, intent: SamplingIntent, added: Mapping[str, AnyValue]) -> None:
        self.threshold: Final = intent.threshold
        self.follow: Final = intent.parent is ParentMode.FOLLOW
        self.added: Final = added
        self.state: Final = tracestate.shared(intent.tracestate) if intent.tracestate else None
        self.kept: Final = SamplingResult(_KEEP, added, self.state)
        """The result of a kept root without attributes of its own."""


class _Generation:
    """All that depends on one configuration. The next one has its own, so that no answer of the last one is
    taken for it.
    """

    def __init__(self, policy: Policy, plan: Plan, clock: Clock) -> None:
        sampler = plan.sampler
        self.policy: Final = policy
        self.scoped: Final = sampler.scoped
        self.dependencies: Final = tuple(sampler.dependencies)
        self.named: Final = sampler.named
        self.by_name: Final = not self.scoped and not self.dependencies
        self.rules: Final = [rule.attributes for rule in sampler.rules]
        self.pacer: Final = Pacer(policy, sampler.limit, clock) if sampler.limit > 0 else None
        self.keep_failed: Final = sampler.failed.spans > 0
        self.intents: Final[dict[_Key, _Intent]] = {}
        self.decisions: Final[dict[_Key, SamplingDecision]] = {}


class _Current:
    """The generation that every view of a sampler looks at."""

    __slots__ = ("generation",)

    def __init__(self, generation: _Generation) -> None:
        self.generation = generation


class FloeSampler(Sampler):
    """Keeps a span if and only if R >= T: the randomness of its trace against the intent's threshold.

    Intents are kept by span name, kind and what else the plan says that they depend on. A given attribute
    wins over a rule's attribute of the same name.
    """

    def __init__(self, policy: Policy, plan: Plan, *, clock: Clock = MONOTONIC) -> None:
        self._clock: Final = clock
        self._current: Final = _Current(_Generation(policy, plan, clock))
        self._scope = ""

    def configure(self, policy: Policy, plan: Plan) -> None:
        """Decides by another configuration from now on."""
        self._current.generation = _Generation(policy, plan, self._clock)

    def scoped(self, scope: str) -> FloeSampler:
        """This sampler for the spans of one scope, where intents depend on it: the SDK does not tell."""
        view = copy.copy(self)
        view._scope = scope
        return view

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
        try:
            generation = self._current.generation
            # Where intents depend on nothing, one is every span's.
            key: _Key = (name if kind is _INTERNAL else (name, kind)) if generation.named else None
            if not generation.by_name:
                given = attributes or {}
                key = (self._scope, key, *(_comparable(given.get(each)) for each in generation.dependencies))
            intent = generation.intents.get(key)
            if intent is None:
                intent = self._ask(generation, key, name, kind, attributes)
            parent = trace.get_current_span(parent_context).get_span_context()
            state: TraceState | None
            if parent.is_valid:
                if intent.follow:
                    keep, state = parent.trace_flags & 1 == 1, parent.trace_state
                else:
                    keep, state = _ignoring(generation, intent, parent, trace_id)
            elif generation.pacer:
                keep, state = generation.pacer.admit(trace_id & _RANDOMNESS, intent.threshold)
                state = state or intent.state
            else:
                keep = trace_id & _RANDOMNESS >= intent.threshold
                if keep and not attributes:
                    return intent.kept
                state = intent.state
            if keep:
                added = intent.added
                return SamplingResult(_KEEP, {**added, **(attributes or {})} if added else attributes, state)
            if not parent.is_valid:
                state = None
            if generation.keep_failed and is_operation(parent_context):
                return SamplingResult(Decision.RECORD_ONLY, {**intent.added, **(attributes or {})}, state)
            return SamplingResult(Decision.DROP, None, state) if state else _DROPPED
        except Exception as error:  # this is the application's own call
            warn_once("should_sample", "%r; a span is kept", error)
            return SamplingResult(_KEEP)

    def _ask(
        self,
        generation: _Generation,
        key: _Key,
        name: str,
        kind: trace.SpanKind | None,
        attributes: Attributes,
    ) -> _Intent:
        given = attributes or {}
        depended = {each: value for each in generation.dependencies if (value := given.get(each)) is not None}
        scope = self._scope if generation.scoped else ""
        try:
            found = generation.policy.intent(scope, name, _KINDS[kind or _INTERNAL], depended)
            intent = _Intent(found, generation.rules[found.rule] if found.rule else {})
        except Exception as error:
            warn_once("sampler", "%s; spans are kept", error)
            intent = _Intent(SamplingIntent(0, ParentMode.FOLLOW, 0, "ot=th:0"), {})
        if len(generation.intents) >= _MOST_KEPT:
            generation.intents.clear()
        generation.intents[key] = intent
        return intent

    def get_description(self) -> str:
        """What the SDK calls this sampler."""
        return "FloeSampler"


def _comparable(value: AnyValue) -> object:
    """The value as a part of a key: lists have no hash, and 1 is not True."""
    return value if isinstance(value, str) else (repr(value),)


def _ignoring(
    generation: _Generation, intent: _Intent, parent: SpanContext, trace_id: int
) -> tuple[bool, TraceState | None]:
    """Decides a span whose parent has no say."""
    keep = trace_id & _RANDOMNESS >= intent.threshold
    header = tracestate.header_of(parent.trace_state)
    if not header:
        return keep, intent.state if keep else None
    # R is of the trace id or of the header (`rv`). Either way, all trace ids on this side of T have one
    # answer.
    key = (header, intent.threshold, keep)
    decision = generation.decisions.get(key)
    if decision is None:
        try:
            decision = generation.policy.decide(trace_id & _LOW, header, intent.threshold)
        except ComponentError as error:
            warn_once("sampler", "%s; spans are kept", error)
            # With an unknown probability there must be no `th`.
            return True, parent.trace_state.delete("ot")
        if len(generation.decisions) >= _MOST_KEPT:
            generation.decisions.clear()
        generation.decisions[key] = decision
    if decision.tracestate == header:
        return decision.keep, parent.trace_state
    return decision.keep, tracestate.shared(decision.tracestate) if decision.tracestate else None
