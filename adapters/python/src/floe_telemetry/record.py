"""The operations of a process on disk: the next process reports those that this one did not live to end.

Each process that has operations of more than a second has a file of its own, in JSON lines, and holds a lock
on it as long as it lives: a file whose lock can be had is of a process that is gone. The Rust host reads and
writes the same files.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.span import TraceState

from floe_telemetry import _platform
from floe_telemetry.contract import ExceptionInfo, OperationKind, SpanKind
from floe_telemetry.failed import as_operation
from floe_telemetry.ids import Ids, given
from floe_telemetry.redaction import redacted

if TYPE_CHECKING:
    from floe_telemetry.operation import Operation
    from floe_telemetry.policy import Policy
    from floe_telemetry.redaction import Redactor
    from floe_telemetry.sdk import Sdk

_MOST_FILES: Final = 64
_LARGEST: Final = 1024 * 1024
_NANOSECONDS: Final = 1_000_000_000


class Record:
    """This process's file. Trouble with the disk costs no more than the record."""

    def __init__(self) -> None:
        self._file: tuple[int, Path] | None = None
        self._open: set[int] = set()

    def begin(self, operation: Operation, redactor: Redactor) -> bool:
        """Notes that an operation is open, and answers whether it did."""
        try:
            if not _platform.HAS_LOCKS:
                return False
            if self._file is None:
                self._file = _create()
            self._write({"begin": _begin(operation, redactor)})
        except (OSError, ValueError):
            return False
        self._open.add(operation.span.get_span_context().span_id)
        return True

    def end(self, operation: Operation) -> None:
        """Notes that an operation ended."""
        span_id = operation.span.get_span_context().span_id
        self._open.discard(span_id)
        if self._open:
            self._write({"end": f"{span_id:016x}"})
        else:
            self.close()

    def alive(self) -> None:
        """Notes that the process lives."""
        self._write({"alive": time.time_ns()})

    def close(self) -> None:
        """Nothing is open any more."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file[1].unlink()
            self.forget()

    def forget(self) -> None:
        """Leaves the file to who else has it open. A child that kept it would keep its parent's lock."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file[0])
            self._file = None

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what cannot be written is not reported
                os.write(self._file[0], json.dumps(entry, separators=(",", ":")).encode() + b"\n")


def _begin(operation: Operation, redactor: Redactor) -> dict[str, Any]:
    context = operation.span.get_span_context()
    parent = getattr(operation.span, "parent", None)
    beginning = operation.beginning
    texts: dict[str, Any] = {
        "name": operation.name,
        "span_name": beginning.name,
        "attributes": beginning.attributes,
    }
    return {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "parent_span_id": f"{parent.span_id:016x}" if parent else "",
        "trace_flags": f"{context.trace_flags:02x}",
        "tracestate": context.trace_state.to_header(),
        "kind": str(operation.kind),
        "span_kind": beginning.kind.value,
        "start": operation.started,
        "pid": os.getpid(),
        **redacted(texts, redactor.secrets([[texts]])),
    }


def _directory() -> Path:
    """Below `$FLOE_STATE_DIR`, or else in the user's state directory (XDG Base Directory Specification)."""
    if base := os.environ.get("FLOE_STATE_DIR"):
        return Path(base) / "inflight"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state) / "floe-telemetry/inflight"


def _create() -> tuple[int, Path]:
    directory = _directory()
    directory.mkdir(0o700, parents=True, exist_ok=True)
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    new, path = directory / f".{name}.new", directory / f"{name}.jsonl"
    file = os.open(new, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)  # not inherited (PEP 446)
    # Before it has the name by which others find it.
    _platform.lock(file)
    new.rename(path)
    return file, path


def leftovers() -> list[Path]:
    """Files of processes, gone or not. Without locks, nobody could say which."""
    if not _platform.HAS_LOCKS:
        return []
    try:
        return sorted(_directory().glob("*.jsonl"))[:_MOST_FILES]
    except (OSError, RuntimeError):  # no home
        return []


def report(sdk: Sdk, policy: Policy) -> None:
    """Reports what processes that are gone did not end."""
    for path in leftovers():
        with contextlib.suppress(OSError), path.open("rb") as file:
            _platform.lock(file.fileno())
            about = os.fstat(file.fileno())
            if path.stat().st_ino != about.st_ino:
                continue
            for entry in _unended(file.read(_LARGEST)):
                # What is not whole is nobody's.
                with contextlib.suppress(LookupError, TypeError, ValueError):
                    _report(entry, about.st_mtime_ns, sdk, policy)
            path.unlink()


def _unended(text: bytes) -> Iterator[dict[str, Any]]:
    begun: dict[str, dict[str, Any]] = {}
    for line in text.split(b"\n"):
        with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
            entry = json.loads(line)
            if "begin" in entry:
                begun[entry["begin"]["span_id"]] = entry["begin"]
            elif "end" in entry:
                begun.pop(entry["end"], None)
    yield from begun.values()


def _report(entry: dict[str, Any], last: int, sdk: Sdk, policy: Policy) -> None:
    from floe_telemetry.operation import conclude

    ids = Ids(int(entry["trace_id"], 16), int(entry["span_id"], 16))
    if not ids.trace_id or not ids.span_id:
        return
    context = Context()
    if entry["parent_span_id"]:
        parent = SpanContext(
            ids.trace_id,
            int(entry["parent_span_id"], 16),
            is_remote=True,
            trace_flags=TraceFlags(int(entry["trace_flags"], 16)),
            trace_state=TraceState.from_header([entry["tracestate"]]),
        )
        context = trace.set_span_in_context(NonRecordingSpan(parent), context)
    start = int(entry["start"])
    with given(ids):
        span = sdk.tracer.start_span(
            entry["span_name"],
            as_operation(context) if sdk.failed else context,
            trace.SpanKind[SpanKind(entry["span_kind"]).name],
            {**entry["attributes"], "process.pid": int(entry["pid"])},
            start_time=start,
        )
    end = max(start, last)
    error = ExceptionInfo("abandoned", "the process that ran it ended without ending it", "")
    kind = OperationKind(entry["kind"])
    ending = policy.end(kind, entry["name"], "abandoned", (end - start) / _NANOSECONDS, {}, error)
    conclude(span, ending, end)
    span.end(end)
    sdk.record(ending.measurements, trace.set_span_in_context(span, context))
