from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
import wasmtime
from wasmtime import _ffi

from floe_telemetry import _once, calls, values
from floe_telemetry.calls import PreparedCalls, StockCalls
from floe_telemetry.contract import ExceptionInfo, OperationKind, SpanKind
from floe_telemetry.policy import Policy

MANIFEST = "observability: {telemetry: {}}\nmetadata: {name: shop, namespace: acme, version: '1'}"


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has no instance so far."""
    monkeypatch.setattr(calls, "_decided", None)
    _once._seen.clear()
    yield
    calls._raw_functions.cache_clear()


def test_prepared_calls_pass_their_test(undecided: None) -> None:
    Policy.load()
    assert calls._decided is PreparedCalls


def another_layout() -> None:
    raise values.LayoutError("this version of wasmtime lays component values out in another way")


def other_values(memory: object) -> str:
    return "something else"


@pytest.mark.parametrize("fault", ["layout", "answer", "crash", "symbol"])
def test_wasmtimes_own_calls_take_over(
    fault: str, undecided: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if fault == "layout":
        monkeypatch.setattr(calls, "check_layout", another_layout)
    elif fault == "answer":
        monkeypatch.setattr(calls, "value_reader", lambda type: other_values)
    elif fault == "crash":
        monkeypatch.setattr(calls, "arguments_writer", lambda types: types.absent)
    else:
        calls._raw_functions.cache_clear()
        monkeypatch.setattr(_ffi, "dll", {})
    policy = Policy.load()
    assert calls._decided is StockCalls
    works(policy)
    works(Policy.load())
    [warning] = [record.getMessage() for record in caplog.records]
    assert "calls into the policy component are slower" in warning


@pytest.mark.parametrize("strategy", [PreparedCalls, StockCalls])
def test_every_method(strategy: calls.Strategy) -> None:
    works(Policy.load(calls=strategy))


def works(unconfigured: Policy) -> None:
    policy, plan = unconfigured.configure(MANIFEST, [])
    assert plan.enabled
    assert policy.describe().name == "floe-policy"
    assert "OTEL_SDK_DISABLED" in policy.variables()
    extraction = policy.extract(f"00-{'a' * 32}-{'b' * 16}-01", "x=1", "a=\udcff")
    assert (extraction.low, extraction.tracestate) == (0xAAAA_AAAA_AAAA_AAAA, "x=1")
    assert policy.inject(1, 2, 3, 1, "", "ä=1").traceparent == f"00-{1:016x}{2:016x}-{3:016x}-01"
    assert policy.child_baggage("a=1").startswith("a=1,")
    assert policy.intent("", "x", SpanKind.SERVER, {"a": [1, "b"]}).tracestate == "ot=th:0"
    assert policy.decide(1, "ot=th:0", 1 << 56).keep is False
    assert policy.pace(10, -1, 0, 0).budget == 10
    assert policy.begin(OperationKind.COMPILE, "x", {"target": "dev"}).attributes
    error = ExceptionInfo("a.B", "password=x", "")
    for exception in (None, error):
        ending = policy.end(OperationKind.COMPILE, "x", "error", 1, {"a": "b"}, exception)
        assert ending.measurements
        assert (ending.exception is None) == (exception is None)
    assert policy.classify(error).message == "password=***"
    texts = [f"{number} {'é' * number}" for number in range(300)]
    assert policy.redact(texts) == texts


def test_a_large_argument_and_a_small_one() -> None:
    """Memory grows for the large one and is not held."""
    policy = Policy.load(calls=PreparedCalls)
    for size in (10, 100_000, 5_000, 50_000, 1):
        assert policy.redact(["x" * size]) == ["x" * size]
        assert policy.child_baggage("a=" + "x" * min(size, 8000)) == "a=" + "x" * min(size, 8000)
    instance: Any = policy._idle[-1]
    assert [arena.size <= 64 * 1024 for arena in instance._calls._arenas] == [True]


def test_a_wrong_number_of_arguments() -> None:
    instance = Policy.load(calls=PreparedCalls)._idle[-1]
    for arguments in ((), ("a", "b"), (1,)):
        with pytest.raises(Exception, match="FLOE-C006"):
            instance.call("propagation.child-baggage", *arguments)
    assert instance.call("propagation.child-baggage", "a=b") == "a=b"


def test_a_signals_handler_may_call_in_the_midst_of_a_call() -> None:
    policy = Policy.load(calls=PreparedCalls)
    handled = 0

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal handled
        handled += 1
        assert policy.redact(["a", "password=x", "b" * 3000]) == ["a", "password=***", "b" * 3000]
        signal.setitimer(
            signal.ITIMER_REAL, 0.001
        )  # only now: the handler is not to be interrupted by itself

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        for number in range(3000):
            text = f"x{number}=" + "y" * (number % 500)
            assert policy.child_baggage(text) == text
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled > 3


class Swapped(ctypes.Structure):
    _fields_ = (("data", ctypes.c_size_t), ("size", ctypes.c_size_t))


def test_the_layout_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    values.check_layout()
    monkeypatch.setattr(_ffi, "wasm_byte_vec_t", Swapped)
    with pytest.raises(values.LayoutError):
        values.check_layout()


def test_a_trap_is_an_error_both_ways() -> None:
    for strategy in (PreparedCalls, StockCalls):
        instance = Policy.load(calls=strategy)._idle[-1]
        instance._calls.deadline(0)
        call = instance.prepare("errors.redact")
        with pytest.raises(wasmtime.WasmtimeError):
            call(["x" * 50_000] * 20)
