"""Nothing of ours passes the guard; what the program's own signal handlers raise does."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from floe_telemetry._guard import Guard

GUARD = Guard("a test's event is lost")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


class Told(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), SystemExit(3), GeneratorExit(), asyncio.CancelledError(), MemoryError(), Told()],
)
def test_ours_do_not_pass(error: BaseException) -> None:
    with GUARD:
        raise error


def test_nothing_passes_in_another_thread() -> None:
    passed: list[BaseException] = []

    def work() -> None:
        try:
            with GUARD:
                raise KeyboardInterrupt
        except BaseException as error:
            passed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed == []


def ends(number: int, frame: FrameType | None) -> None:
    raise SystemExit(143)


class Ends:
    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    def method(self, number: int, frame: FrameType | None) -> None:
        raise Told


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (ends, SystemExit),
        (functools.partial(ends), SystemExit),
        (Ends(), TimeoutError),
        (Ends().method, Told),
        (signal.default_int_handler, KeyboardInterrupt),
    ],
)
def test_a_signal_handlers_passes(handler: Callable[..., Any], error: type[BaseException]) -> None:
    """A time limit, or a request to end, that arrives while our code runs."""
    signal.signal(signal.SIGUSR1, handler)
    with pytest.raises(error), GUARD:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(1000):
            pass


def test_what_cannot_be_logged_does_not_pass_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("floe_telemetry._guard.warn_once", fails)
    with GUARD:
        raise ValueError("x")
