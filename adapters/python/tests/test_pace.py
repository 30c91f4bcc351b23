from __future__ import annotations

import os
import random
import threading

import pytest
from opentelemetry.sdk.trace.sampling import Decision

from conftest import Manifest
from floe_telemetry.contract import Plan
from floe_telemetry.engine import ComponentError
from floe_telemetry.pace import Pacer
from floe_telemetry.policy import Policy
from floe_telemetry.provider import read_plan
from floe_telemetry.sampler import FloeSampler


class Clock:
    """Turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(manifest: Manifest) -> tuple[Policy, Plan]:
    path = manifest("http://127.0.0.1:1", "sampling: {dev: 1.0, max_traces_per_second: 10}")
    policy, plan, _ = read_plan(path, {})
    assert plan.sampler.limit == 10
    return policy, plan


def test_a_flood_is_held_to_the_limit(limited: tuple[Policy, Plan], clock: Clock) -> None:
    sampler, ids = FloeSampler(*limited, clock=clock), random.Random(1)
    kept, states = [], set()
    for _ in range(10):
        found = 0
        for _ in range(1000):
            result = sampler.should_sample(None, ids.getrandbits(128), "x")
            if result.decision is Decision.RECORD_AND_SAMPLE:
                found += 1
                states.add(result.trace_state.to_header() if result.trace_state else "")
            else:
                assert result.trace_state is None
        kept.append(found)
        clock.now += 1.0
    assert kept[0] == 10  # the budget, before the rate is known
    assert all(3 <= found <= 10 for found in kept[1:])
    assert "ot=th:0" in states
    assert any(state.startswith("ot=th:fd") for state in states)  # 1 in 100


def test_little_is_not_held(limited: tuple[Policy, Plan], clock: Clock) -> None:
    sampler, ids = FloeSampler(*limited, clock=clock), random.Random(1)
    for _ in range(50):
        result = sampler.should_sample(None, ids.getrandbits(128), "x")
        assert result.decision is Decision.RECORD_AND_SAMPLE
        clock.now += 0.2


def test_the_greater_threshold_holds(limited: tuple[Policy, Plan], clock: Clock) -> None:
    pacer = Pacer(limited[0], 10, clock)
    for _ in range(5):
        pacer.admit(0, 0)
    admitted, state = pacer.admit(2**56 - 1, 1 << 55)
    assert (admitted, state) == (True, None)  # sampling's own
    assert pacer.admit(1, 1 << 55) == (False, None)


def test_what_is_never_kept_does_not_use_up_the_limit(limited: tuple[Policy, Plan], clock: Clock) -> None:
    pacer, ids = Pacer(limited[0], 10, clock), random.Random(3)
    for _ in range(5):
        for number in range(1000):
            assert not pacer.admit(ids.getrandbits(56), 1 << 56)[0]
            assert number % 200 or pacer.admit(ids.getrandbits(56), 0)[0]
        clock.now += 1.0


def test_a_policy_that_cannot_pace(limited: tuple[Policy, Plan], clock: Clock) -> None:
    class Broken(Policy):
        def __init__(self) -> None:
            self.calls = 0

        def pace(self, *_: object) -> object:  # type: ignore[override]
            self.calls += 1
            raise ComponentError("FLOE-C006", "trap", "")

    broken = Broken()
    pacer = Pacer(broken, 10, clock)
    assert sum(pacer.admit(5, 0)[0] for _ in range(1000)) == 10  # the limit holds all the same
    clock.now += 1.0
    assert pacer.admit(5, 0)[0]
    assert broken.calls == 2


def test_threads_and_forks(limited: tuple[Policy, Plan], clock: Clock) -> None:
    pacer = Pacer(limited[0], 10, clock)
    kept: list[bool] = []

    def ask() -> None:
        kept.extend(pacer.admit(2**56 - 1, 0)[0] for _ in range(500))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(kept) == 10
    with pacer._lock:  # held by a thread that the child has not
        child = os.fork()
        if child == 0:
            os._exit(0 if pacer.admit(0, 0) == (False, None) else 1)
    assert os.waitpid(child, 0)[1] == 0
