"""A thread that exports.

It exists before the process ends, because an ending interpreter starts no thread (Python 3.12). Where there
is none all the same, whoever asks does the work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

from floe_telemetry._guard import Guard

Job = Callable[[], object]

_guard: Final = Guard("telemetry could not be exported")
"""Whatever goes wrong in a job, its thread goes on."""


class Worker:
    """Does its job at intervals, and others when it is asked to; before all of them, the first one."""

    def __init__(self, name: str, seconds: float, job: Job, first: Job = lambda: None) -> None:
        self._name: Final = name
        self._first: Final = first
        self._seconds: Final = seconds
        self.job: Final = job
        """What is done at intervals."""
        self.clear()

    def clear(self) -> None:
        """Forgets the thread: a forked child has none of its parent's."""
        # A SimpleQueue is the one wake-up that a signal's handler may use in the midst of another.
        self._jobs: SimpleQueue[tuple[Job | None, threading.Event]] = SimpleQueue()
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._ended = False

    @property
    def is_current(self) -> bool:
        """Whether this is called on the worker's own thread."""
        return threading.current_thread() is self._thread

    @property
    def idle(self) -> bool:
        """Whether no thread was started yet."""
        return self._thread is None

    def start(self) -> bool:
        """Starts the thread if there is none, and answers whether there is one."""
        if self._thread is not None:
            return self._thread.is_alive()
        with self._starting:
            if self._thread is None and not self._ended:
                thread = threading.Thread(target=self._run, args=(self._jobs,), name=self._name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter ends, or the system has no more threads
                    return False
                self._thread = thread
        return self._thread is not None

    def wake(self, job: Job) -> None:
        """Has a job done soon."""
        self._jobs.put((job, threading.Event()))

    def ask(self, job: Job) -> threading.Event:
        """Has a job done, and answers with what is set then."""
        done = threading.Event()
        if self._ended or not self.start():
            with _guard:
                job()
            done.set()
        else:
            self._jobs.put((job, done))
        return done

    def end(self) -> None:
        """Ends the thread when it has done what it was asked to."""
        self._ended = True
        self._jobs.put((None, threading.Event()))

    def _run(self, jobs: SimpleQueue[tuple[Job | None, threading.Event]]) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))  # exports are not traced
        with _guard:
            self._first()
        while True:
            try:
                job, done = jobs.get(timeout=self._seconds)
            except Empty:
                with _guard:
                    self.job()
                continue
            if job is None:
                return
            with _guard:
                job()
            done.set()
