"""dbt's nodes: models, tests, seeds, snapshots, sources, hooks, macros, and batches of a microbatch model."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.trace import Link, SpanContext

from floe_telemetry.contract import ExceptionInfo, OperationKind
from floe_telemetry.dbt import times
from floe_telemetry.dbt.artifacts import Result
from floe_telemetry.dbt.graph import Graph
from floe_telemetry.dbt.native import native_span

if TYPE_CHECKING:
    from floe_telemetry.operation import Operation
    from floe_telemetry.provider import TelemetryProvider

_FINE: Final = frozenset(("success", "pass", "skipped", "no-op", "reused"))
_FAILED: Final = frozenset(("error", "fail", "runtime error", "partial success"))
_ASKED: Final = frozenset(("pass", "fail", "warn"))
_SECOND: Final = 1_000_000_000
_BATCH: Final = re.compile(r"batch (\S+) of ")
"""How dbt describes a batch; it says which one nowhere else."""
_MOST_NAMES: Final = 20
_TESTS: Final = frozenset(("test", "unit_test"))
_BATCHED: Final = "batch"
_UNCOUNTED: Final = frozenset((_BATCHED, "operation", "macro"))
"""A batch is part of its model; hooks and macros are no nodes of the graph."""
_Key = tuple[str, str]


@dataclass(slots=True)
class _Node:
    """A node that has started, or one that has finished and waits for what dbt's result file says of it."""

    operation: Operation
    kind: str
    """dbt's resource type, or `batch`."""
    status: str = ""
    finished: int | None = None
    message: str = ""
    raised: _Raised | None = None


class _Raised(NamedTuple):
    message: str
    stacktrace: str


class Nodes:
    """The nodes of one invocation.

    A node is known by its unique id and start: the batches of a microbatch model have the model's unique id,
    and start while it is open. dbt starts and finishes a node in the same thread.
    """

    def __init__(self, provider: TelemetryProvider) -> None:
        self._provider: Final = provider
        self._command: Operation | None = None
        self._graph = Graph()
        self._open: dict[_Key, _Node] = {}
        self._models: Final[dict[str, _Node]] = {}
        """Open nodes but for batches, by unique id."""
        self._waiting: Final[dict[str, _Node]] = {}
        """Finished nodes of which the result file says more."""
        self._spans: Final[dict[str, SpanContext]] = {}
        self._raised: Final[dict[int, _Raised]] = {}
        """What was raised in a thread since its node began."""
        self._blamed: Final[dict[str, str]] = {}
        """Nodes whose dependents are skipped, with the node that is to blame."""
        self._stopping = False
        self._fails_fast = False
        self._outcomes: Final[Counter[tuple[bool, str]]] = Counter()
        """Of nodes that are no hooks: how many tests, and others, ended how."""
        self._failed: Final[list[str]] = []
        """Names of those that failed."""
        self.failed_hook: str | None = None
        """What the last hook that failed says."""
        self.failures = 0
        """How many nodes that are no hooks failed."""

    def below(self, command: Operation, *, fails_fast: bool = False) -> None:
        """Makes the nodes children of this command. One that fails fast ends by its first failure."""
        self._command, self._fails_fast = command, fails_fast

    def known(self, graph: Graph) -> None:
        """dbt has parsed the project."""
        self._graph = graph

    def stop(self) -> None:
        """dbt cancels what runs: what ends in an error from now on was stopped."""
        self._stopping = True

    @property
    def any_open(self) -> bool:
        """Whether a node has started that has not finished."""
        return bool(self._open)

    def starts(self, node: Any) -> None:
        """NodeStart."""
        model = self._models.get(node.unique_id)
        self._raised.pop(threading.get_ident(), None)
        begun = self._begin(node, model)
        if begun is not None:
            self._open[node.unique_id, node.node_started_at] = begun
            if model is None:
                self._models[node.unique_id] = begun
            begun.operation.attach()

    def batch_starts(self, data: Any) -> None:
        """LogStartBatch."""
        node = self._open.get((data.node_info.unique_id, data.node_info.node_started_at))
        if node is not None:
            described = _BATCH.match(data.description)
            node.operation.add(
                batch=described[1] if described else None,
                batch_index=data.batch_index,
                batch_count=data.total_batches,
            )

    def raised(self, message: str, stacktrace: str) -> None:
        """An exception in the node of this thread; its parts come in several events."""
        known = self._raised.get(threading.get_ident(), _Raised("", ""))
        self._raised[threading.get_ident()] = _Raised(
            known.message or message.strip(), known.stacktrace or stacktrace
        )

    def finishes(self, node: Any, result: Any) -> None:
        """NodeFinished."""
        found = self._open.pop((node.unique_id, node.node_started_at), None)
        if found is None:
            return
        found.operation.detach()
        raised = self._raised.pop(threading.get_ident(), None)
        status = result.status or node.node_status
        for timing in result.timing_info:
            self._phase(
                found.operation,
                timing.name,
                timing.started_at.ToNanoseconds(),
                timing.completed_at.ToNanoseconds(),
            )
        answer = dict(result.adapter_response)
        found.operation.add(
            compiled_path=self._graph.compiled_path(node.unique_id),
            adapter_message=answer.get("_message"),
            query_id=answer.get("query_id"),
            rows_affected=_rows(answer.get("rows_affected")),
            # Of a test that did not run, dbt says 0.
            failures=result.num_failures if node.resource_type in _TESTS and status in _ASKED else None,
        )
        # As dbt's result file has it: `node_finished_at` is later by what dbt does about an error.
        completed = [timing.completed_at.ToNanoseconds() for timing in result.timing_info]
        found.status, found.message, found.raised = status, result.message, raised
        found.finished = max(completed, default=0) or times.of_text(node.node_finished_at)
        if found.kind == _BATCHED:
            self._end(found)
            return
        self._models.pop(node.unique_id, None)
        gives_up = self._fails_fast and self.failures > 0
        self._blame(node.unique_id, status, found.operation)
        if gives_up or (node.resource_type == "source" and status in ("pass", "warn", "error")):
            self._waiting[node.unique_id] = found
        else:
            self._end(found)

    def hook_starts(self, node: Any) -> None:
        """LogHookStartLine."""
        begun = self._begin(node, None)
        if begun is not None:
            self._open[node.unique_id, ""] = begun
            begun.operation.attach()

    def hook_finishes(self, node: Any, status: str) -> None:
        """LogHookEndLine. A hook that is skipped because another one failed did not start. Why one failed,
        and the phases, come with the result file.
        """
        found = self._open.pop((node.unique_id, ""), None)
        if found is not None:
            found.operation.detach()
        else:
            found = self._begin(node, None)
        if found is None:
            return
        found.status, found.finished = status, times.of_text(node.node_finished_at)
        self._waiting[node.unique_id] = found

    def reconcile(self, results: Iterable[Result]) -> None:
        """What dbt's result file says of nodes that wait for it, and of those that no event told of. What
        runs while dbt fails fast was skipped, whatever became of it: so the file says.
        """
        for result in results:
            unique_id = result.unique_id
            waiting = self._waiting.pop(unique_id, None)
            if waiting is None and result.status == "skipped" and unique_id in self._models:
                waiting = self._models.pop(unique_id)
                self._open = {key: node for key, node in self._open.items() if node is not waiting}
            if waiting is not None:
                if unique_id.startswith("operation."):
                    if waiting.status in _FAILED:
                        self.failed_hook = result.message
                    for phase in result.phases:
                        self._phase(waiting.operation, *phase)
                if result.status == "skipped" or not waiting.message:
                    waiting.message = result.message
                if result.status == "skipped" and waiting.status != "skipped":
                    waiting.status, waiting.raised = "skipped", None
                waiting.finished = waiting.finished or time.time_ns()
                waiting.operation.add(**result.freshness)
                self._end(waiting)
            elif unique_id not in self._spans and unique_id not in self._models:
                self._unannounced(result)

    def close(self) -> None:
        """Ends what dbt did not: it was stopped, but for what raised and was not heard of again."""
        for waiting in self._waiting.values():
            self._end(waiting)
        # Batches came later than their models.
        for node in reversed(list(self._open.values())):
            node.operation.detach()
            node.operation.end("cancelled")
        for left in (self._waiting, self._open, self._models):
            left.clear()

    def _begin(self, node: Any, model: _Node | None) -> _Node | None:
        command = self._command
        if command is None:
            return None
        unique_id, relation = node.unique_id, node.node_relation
        kind = _BATCHED if model else str(node.resource_type)
        operation = self._provider.operation(
            OperationKind.DBT_NODE,
            node.node_name,
            unique_id=unique_id,
            resource_type=kind,
            materialized=node.materialized or None,
            database=relation.database or None,
            schema=relation.schema or None,
            relation=relation.relation_name or None,
            thread=threading.current_thread().name,
            **self._graph.described(unique_id),
        )
        native = native_span(self._provider.sdk, unique_id)
        operation.begin(
            start_time=times.of_text(node.node_started_at),
            parent=(model.operation if model else command).context,
            links=() if native or model else self._links(unique_id),
            span=native,
        )
        if model is None:
            self._spans[unique_id] = operation.span.get_span_context()
        return _Node(operation, kind)

    def _links(self, unique_id: str) -> list[Link]:
        return [
            Link(span, {"floe.dbt.upstream": upstream})
            for upstream in self._graph.upstream(unique_id)
            if (span := self._spans.get(upstream)) is not None and span.is_valid
        ]

    def _phase(self, operation: Operation, name: str, start: int, end: int) -> None:
        """A phase is an event at its start: a span each would treble the spans of a run."""
        if operation.span.is_recording() and start and end:
            seconds = max(0, end - start) / _SECOND
            operation.span.add_event(f"dbt.{name}", {"floe.dbt.phase.duration": seconds}, start)

    def _blame(self, unique_id: str, status: str, operation: Operation) -> None:
        upstream = self._graph.upstream(unique_id)
        if status in _FAILED:
            self.failures += 1
            self._blamed[unique_id] = unique_id
            if unique_id.startswith(("test.", "unit_test.")):
                for tested in upstream:  # whose dependents dbt skips
                    self._blamed.setdefault(tested, unique_id)
        elif status == "skipped":
            blamed = next((self._blamed[each] for each in upstream if each in self._blamed), None)
            if blamed is not None:
                self._blamed[unique_id] = blamed
                operation.add(skipped_because=blamed)

    def _end(self, node: _Node) -> None:
        status = "cancelled" if self._stopping and node.status == "error" else node.status
        error = None
        if status not in _FINE:
            raised = node.raised or _Raised("", "")
            # A batch that failed says no more than `ERROR`.
            text = (
                raised.message if node.kind == _BATCHED and raised.message else node.message or raised.message
            )
            error = ExceptionInfo("", text, raised.stacktrace) if text or raised.stacktrace else None
        self._count(node.kind, node.operation.name, status)
        node.operation.end(
            status, error=error, end_time=node.finished or time.time_ns(), node_status=node.status or None
        )

    def _count(self, kind: str, name: str, status: str) -> None:
        if kind in _UNCOUNTED:
            return
        self._outcomes[kind in _TESTS, "failed" if status in _FAILED else status] += 1
        if status in _FAILED and len(self._failed) < _MOST_NAMES:
            self._failed.append(name)

    def counted(self) -> dict[str, object]:
        """How many nodes there were, and how many failed: facts of the command's end."""
        if not self._outcomes:
            return {}
        tests = {status: count for (is_test, status), count in self._outcomes.items() if is_test}
        return {
            "nodes_total": self._outcomes.total(),
            "nodes_failed": sum(count for (_, status), count in self._outcomes.items() if status == "failed"),
            "nodes_skipped": sum(
                count for (_, status), count in self._outcomes.items() if status == "skipped"
            ),
            "tests_total": sum(tests.values()),
            "tests_failed": tests.get("failed", 0),
            "failed_nodes": self._failed or None,
        }

    def _unannounced(self, result: Result) -> None:
        """A node without events: skipped by fail-fast, or the macro of run-operation."""
        command = self._command
        if command is None:
            return
        resource_type, _, name = result.unique_id.partition(".")
        now = time.time_ns()
        operation = self._provider.operation(
            OperationKind.DBT_NODE,
            name.partition(".")[2] or name,
            unique_id=result.unique_id,
            resource_type=resource_type,
            **self._graph.described(result.unique_id),
        )
        operation.begin(
            start_time=result.phases[0][1] if result.phases else now,
            parent=command.context,
            links=self._links(result.unique_id),
        )
        for phase in result.phases:
            self._phase(operation, *phase)
        self._spans[result.unique_id] = operation.span.get_span_context()
        finished = result.phases[-1][2] if result.phases else now
        raised = self._raised.pop(threading.get_ident(), None)
        self._end(_Node(operation, resource_type, result.status, finished, result.message, raised))


def _rows(value: object) -> int | None:
    """dbt's adapters say -1, some as text, of what they do not know."""
    try:
        rows = int(value) if isinstance(value, (int, float, str)) else -1
    except ValueError:
        return None
    return rows if rows >= 0 else None
