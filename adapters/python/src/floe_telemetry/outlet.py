"""The way of one signal out of the process: requests are encoded, sent, retried and split, and what became of
their items is counted.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol

from floe_telemetry import contract
from floe_telemetry._command import command
from floe_telemetry._once import warn, warn_once
from floe_telemetry._platform import after_fork_in_child, hold_during_forks
from floe_telemetry.account import Account, DropReason
from floe_telemetry.reference import Credentials, UnresolvedError, check, check_tls, resolve

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_LONGEST_LAST_PAUSE: Final = 0.5
"""Between retries when the process ends: it has no time for the usual ones."""
_MARGIN: Final = 0.1
"""The part of the time to end in which nothing is sent any more, so that what is lost is counted in time."""
_LONGEST_WORDS: Final = 200
"""Of a server's own words, in characters."""


class MissingExtraError(Exception):
    """A part of this package that is installed on its own is not there."""


class Result(Enum):
    """What became of a request."""

    SUCCESS = 0
    """OTLP's success, perhaps a partial one."""
    RETRY = 1
    """It may succeed later."""
    REFUSED = 2
    """No retry mends it."""
    TOO_LARGE = 3
    """The request is larger than the server takes."""


class Answer(NamedTuple):
    """A server's answer to a request, by the rules of OTLP."""

    result: Result
    words: str = ""
    """Why, for people; the server's own words are among them."""
    rejected: int = 0
    """How many items a partial success rejected."""
    after: float | None = None
    """When to retry, in seconds, if the server says so."""


class Sender(Protocol):
    """A connection to a server."""

    def send(self, request: bytes, seconds: float) -> Answer:
        """Sends a request and waits for the answer."""

    def close(self) -> None:
        """Closes the connection."""


class Format(Protocol):
    """How the items of a signal become a request."""

    def prepare(self, batch: Any) -> Any:
        """The batch as it may leave the process."""

    def encode(self, batch: Any) -> bytes:
        """The request of a prepared batch."""

    def items(self, batch: Any) -> int:
        """How many items a batch has."""

    def halves(self, batch: Any) -> tuple[Any, Any]:
        """The two halves of a batch of more than one item."""


class Outlet:
    """The exports of one signal. They come from one thread at a time.

    What the exporter refers to is read when it is built and, as files are rotated, before each request.
    """

    def __init__(
        self,
        signal: contract.Signal,
        plan: contract.Exporter,
        form: Format,
        redact: Callable[[str], str],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        check_protocol(plan)
        self.signal: Final = signal
        self.account: Final = Account()
        self._plan: Final = plan
        self._form: Final = form
        self._redact: Final = redact
        self._environ: Final = environ
        self._sender: Sender | None = None
        self._inherited: Sender | None = None
        self._credentials: Credentials | None = None
        self._deadline: float | None = None
        self._hurry = threading.Event()
        self._words: dict[DropReason, str] = {}
        self._said: set[DropReason] = set()
        self._failing = self._recovered = False
        after_fork_in_child(self._forked)

    @property
    def endpoint(self) -> str:
        """Where the signal goes."""
        return self._plan.endpoint

    def check(self) -> None:
        """Raises [`UnresolvedError`] with what the exporter needs and that is not there. Builds nothing."""
        check(self._plan, self._environ)

    def load(self) -> None:
        """Imports what the first export needs: it takes long where many processes do so at once, such as
        children that are forked together.
        """
        with _importing:
            import_module(_MODULES[self._plan.protocol])

    def items(self, batch: Any) -> int:
        """How many items a batch has."""
        return self._form.items(batch)

    def export(self, batch: Any) -> None:
        """Sends a batch, as long as it takes within the time of an export, and counts its items."""
        self._export(batch, time.monotonic())
        self._say()

    def end(self, seconds: float) -> None:
        """Everything that is still to be sent has this much time."""
        self._deadline = time.monotonic() + seconds * (1 - _MARGIN)
        self._hurry.set()

    def left(self) -> float:
        """How much time there is before the end, in seconds."""
        if self._deadline is None:
            return self._plan.timeout / 1000
        return max(0.0, self._deadline - time.monotonic())

    def close(self) -> None:
        """Closes the connection, and the account."""
        self.account.close()
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    @property
    def last_words(self) -> str:
        """Why the last of them was lost, as far as it was said."""
        return next(reversed(self._words.values()), "")

    def _export(self, batch: Any, began: float) -> None:
        items = self._form.items(batch)
        if self._time_left(began) <= 0:
            self._drop(items, DropReason.SHUTDOWN if self._deadline else DropReason.UNAVAILABLE)
            return
        try:
            request = self._form.encode(self._form.prepare(batch))
        except Exception as error:
            answer = Answer(Result.TOO_LARGE, f"it cannot be encoded: {type(error).__name__}")
            too_large = DropReason.REFUSED  # the halves are tried: one item costs no other
        else:
            answer = self._answer(request, began)
            too_large = DropReason.TOO_LARGE
        match answer.result:
            case Result.SUCCESS:
                rejected = min(max(answer.rejected, 0), items)
                self.account.deliver(items - rejected)
                self._drop(rejected, DropReason.REJECTED, answer.words)
                if answer.words and not rejected:  # by OTLP, a warning
                    text = "%s took all %s, and says: %s"
                    warn_once(
                        f"words {self.signal} {self.endpoint}",
                        text,
                        self.endpoint,
                        _NOUNS[self.signal],
                        answer.words,
                    )
                self._delivered()
            case Result.TOO_LARGE if items > 1:
                for half in self._form.halves(batch):
                    self._export(half, time.monotonic())
            case Result.TOO_LARGE:
                self._drop(items, too_large, answer.words)
            case Result.REFUSED:
                self._drop(items, DropReason.REFUSED, answer.words)
            case Result.RETRY:
                self._drop(items, DropReason.UNAVAILABLE, answer.words)

    def _answer(self, request: bytes, began: float) -> Answer:
        """The answer to a request; a last one that is to be retried if there is no time for that."""
        pause = _FIRST_PAUSE
        while True:
            answer = self._attempt(request, min(self._time_left(began), self._plan.timeout / 1000))
            if answer.result is not Result.RETRY:
                return answer
            longest = _LONGEST_LAST_PAUSE if self._deadline else _LONGEST_PAUSE
            if not self._paused(min(pause, longest) * random.uniform(0.8, 1.2), answer.after, began):
                return answer
            pause *= 2

    def _paused(self, pause: float, after: float | None, began: float) -> bool:
        """Waits before a retry: as long as the server says, else a while, which the end of the process cuts
        short. False if there is no time for another attempt.
        """
        until = time.monotonic() + (pause if after is None else after)
        while (wait := until - time.monotonic()) > 0:
            left = self._time_left(began)
            if left <= 0 or (after is not None and wait > left):
                return False
            if self._hurry.wait(min(wait, left)):
                self._hurry.clear()
                if after is None:
                    break
        return self._time_left(began) > 0

    def _time_left(self, began: float) -> float:
        end = began + self._plan.timeout / 1000 if self._deadline is None else self._deadline
        return end - time.monotonic()

    def _attempt(self, request: bytes, seconds: float) -> Answer:
        try:
            answer = self._current().send(request, max(seconds, 0.001))
        except UnresolvedError as unresolved:
            _warn(unresolved)
            answer = Answer(Result.RETRY, unresolved.problems[0].message)
        except Exception as error:
            answer = Answer(Result.REFUSED, f"{type(error).__name__}: {error}")
        return answer._replace(words=self._shown(answer.words)) if answer.words else answer

    def _shown(self, words: str) -> str:
        """A server's words, such as may be logged: in one line, short, and without secrets."""
        plain = " ".join("".join(each if each.isprintable() else " " for each in words[:4096]).split())
        clean = self._redact(plain)
        return clean if len(clean) <= _LONGEST_WORDS else clean[:_LONGEST_WORDS] + "…"

    def _current(self) -> Sender:
        """The sender, built anew where what it refers to is another than before. What cannot be used in the
        midst of a rotation leaves the sender as it was.
        """
        sender = self._sender
        try:
            credentials = resolve(self._plan, self._environ)
            if sender is not None and credentials == self._credentials:
                return sender
            check_tls(self._plan, credentials)
        except UnresolvedError as unresolved:
            if sender is None:
                raise
            _warn(unresolved)
            return sender
        with _importing:
            module = import_module(_MODULES[self._plan.protocol])
            built: Sender = module.sender(self.signal, self._plan, credentials)
        if sender is not None:
            sender.close()
        self._sender, self._credentials = built, credentials
        return built

    def _drop(self, items: int, reason: DropReason, words: str = "") -> None:
        if items:
            self.account.drop(items, reason)
            if words:
                self._words.setdefault(reason, words)
            if reason is not DropReason.REJECTED:
                self._failing = True

    def _delivered(self) -> None:
        if self._failing:
            self._failing = False
            if not self._recovered and self._said & _OUTAGES:
                self._recovered = True
                warn(
                    "%s reach %s again; %d were lost before",
                    _NOUNS[self.signal],
                    self.endpoint,
                    self.account.counts().lost,
                )

    def _say(self) -> None:
        """Says of each reason once that items are dropped for it. At the end of the process they are summed
        instead.
        """
        if self._deadline is not None:
            return
        for reason in map(DropReason, self.account.counts().dropped):
            if reason not in self._said:
                self._said.add(reason)
                warn(
                    "warning[FLOE-X007]: %s are lost (%s) on their way to %s: %s. This is said once; losses "
                    "are counted\n  help: %s",
                    _NOUNS[self.signal],
                    reason,
                    self.endpoint,
                    self._words.get(reason) or _WORDS[reason],
                    _HELP.get(reason) or f"{command('doctor MANIFEST')} finds out why",
                )

    def _forked(self) -> None:
        """A child has an account and connections of its own. Its parent's are never closed here: the parent
        uses them.
        """
        self._inherited, self._sender = self._sender or self._inherited, None
        self._hurry = threading.Event()
        self._words, self._said = {}, set()
        self._failing = self._recovered = False
        self.account.clear()
        if self._deadline is not None:
            self.account.close()


_importing: Final = threading.RLock()
"""A child that is forked in the midst of an import could never import the same."""
hold_during_forks(_importing)

_MODULES: Final = {
    contract.Protocol.GRPC: "floe_telemetry.otlp_grpc",
    contract.Protocol.HTTP_PROTOBUF: "floe_telemetry.otlp_http",
}
_NOUNS: Final = {
    contract.Signal.TRACES: "spans",
    contract.Signal.METRICS: "data points",
    contract.Signal.LOGS: "log records",
}
_OUTAGES: Final = {DropReason.REFUSED, DropReason.UNAVAILABLE, DropReason.QUEUE_FULL}
_WORDS: Final = {
    DropReason.QUEUE_FULL: "they come faster than they are exported",
    DropReason.REJECTED: "the Collector rejects them",
    DropReason.REFUSED: "the Collector refuses them",
    DropReason.UNAVAILABLE: "no export succeeds in time",
    DropReason.TOO_LARGE: "one alone is larger than a request may be",
    DropReason.SHUTDOWN: "telemetry has ended",
}
_HELP: Final = {
    DropReason.QUEUE_FULL: "raise batch_processor.max_queue_size, or find out whether the Collector is slow",
    DropReason.TOO_LARGE: "make it smaller, or raise the Collector's limit, such as max_recv_msg_size_mib",
}


def _warn(unresolved: UnresolvedError) -> None:
    for problem in unresolved.problems:
        text = "warning[%s]: %s\n  help: %s"
        warn_once(problem.message, text, problem.code, problem.message, problem.help)


def check_protocol(plan: contract.Exporter) -> None:
    """Raises [`MissingExtraError`] if the plan's transport is not installed. Imports nothing."""
    from importlib.util import find_spec

    try:
        installed = find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None
    except ModuleNotFoundError:
        installed = False
    if plan.protocol is contract.Protocol.GRPC and not installed:
        raise MissingExtraError(
            "otlp_protocol is grpc, but the gRPC exporter is not installed\n"
            "  help: pip install 'floe-telemetry[grpc]', or write otlp_protocol: http/protobuf"
        )
