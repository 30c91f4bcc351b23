"""The operations of a process on disk: the next process reports those that this one did not live to end.

Each process that has operations of more than a second has a file of its own, in JSON lines, and holds a lock
on it as long as it lives: a file whose lock can be had is of a process that is gone. Its first line says
whose it is: the resource of that process, and the attributes of all that it exports. Only a process of the
same product, namespace and mode reports it, under that identity. The Rust host has the same files.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.span import TraceState

from floe_telemetry import _platform
from floe_telemetry.contract import AttributeValue, ExceptionInfo, OperationKind, SpanKind
from floe_telemetry.failed import as_operation
from floe_telemetry.ids import Ids, given
from floe_telemetry.redaction import redacted

if TYPE_CHECKING:
    from floe_telemetry.operation import Operation
    from floe_telemetry.policy import Policy
    from floe_telemetry.redaction import Redactor
    from floe_telemetry.sdk import Sdk

_MOST_FILES: Final = 1024
_OLDEST: Final = 30 * 24 * 3600.0
"""Files that nobody reported for so long are removed, in seconds."""
_IDENTITY: Final = ("floe.namespace", "floe.product.name", "floe.mode")
"""The attributes that a process must share with one whose operations it reports."""
_LARGEST: Final = 1024 * 1024
_NANOSECONDS: Final = 1_000_000_000


class Record:
    """This process's file. Trouble with the disk costs no more than the record."""

    def __init__(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._attributes: Final = dict(attributes)
        self._file: tuple[int, Path] | None = None
        self._open: set[int] = set()

    def begin(self, operation: Operation, redactor: Redactor) -> bool:
        """Notes that an operation is open, and answers whether it did."""
        try:
            if not _platform.HAS_LOCKS:
                return False
            if self._file is None:
                self._file = _create()
                self._write({"process": _process(operation, self._attributes, redactor)})
            self._write({"begin": _begin(operation, redactor)})
        except (OSError, ValueError, TypeError):
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


def _process(
    operation: Operation, attributes: dict[str, AttributeValue], redactor: Redactor
) -> dict[str, Any]:
    resource = getattr(operation.span, "resource", None)
    process = {"resource": dict(resource.attributes) if resource else {}, "attributes": attributes}
    clean: dict[str, Any] = redacted(process, redactor.secrets([[process]]))
    return clean


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
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "floe-telemetry/inflight"
    try:
        return Path.home() / ".local/state/floe-telemetry/inflight"
    except RuntimeError as error:  # such as a container's user that no file knows
        raise OSError(errno.ENOENT, "this user has no home") from error


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
    except OSError:
        return []


def report(sdk: Sdk, policy: Policy) -> None:
    """Reports what processes of this product, namespace and mode did not end before they were gone."""
    for path in leftovers():
        with contextlib.suppress(OSError), path.open("rb") as file:
            _platform.lock(file.fileno())
            about = os.fstat(file.fileno())
            if path.stat().st_ino != about.st_ino:
                continue
            text = file.read(_LARGEST)
            process = _whose(text)
            if any(process.attributes.get(each) != sdk.attributes.get(each) for each in _IDENTITY):
                if about.st_mtime + _OLDEST < time.time():
                    path.unlink()
                continue
            for entry in _unended(text):
                # What is not whole is nobody's.
                with contextlib.suppress(LookupError, TypeError, ValueError):
                    _report(entry, about.st_mtime_ns, process, sdk, policy)
            path.unlink()


class _Process(NamedTuple):
    """Whose a file is."""

    resource: dict[str, Any]
    attributes: dict[str, Any]


def _whose(text: bytes) -> _Process:
    try:
        process = json.loads(text.partition(b"\n")[0])["process"]
        return _Process(dict(process["resource"]), dict(process["attributes"]))
    except (ValueError, LookupError, TypeError):
        return _Process({}, {})


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


def _report(entry: dict[str, Any], last: int, process: _Process, sdk: Sdk, policy: Policy) -> None:
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
            {**process.attributes, **entry["attributes"], "process.pid": int(entry["pid"])},
            start_time=start,
        )
    if isinstance(span, ReadableSpan):
        span._resource = Resource(process.resource)
    end = max(start, last)
    error = ExceptionInfo("abandoned", "the process that ran it ended without ending it", "")
    kind = OperationKind(entry["kind"])
    ending = policy.end(kind, entry["name"], "abandoned", (end - start) / _NANOSECONDS, {}, error)
    conclude(span, ending, end)
    span.end(end)
    sdk.record(ending.measurements, trace.set_span_in_context(span, context))
