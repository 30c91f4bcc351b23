from __future__ import annotations

import os
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context

from conftest import Provider
from floe_telemetry.contract import OperationKind
from floe_telemetry.dagster import errors, facts, identity
from floe_telemetry.dagster.environ import Entry


def a_run(run_id: str, **tags: str) -> Any:
    return SimpleNamespace(
        run_id=run_id, job_name="daily", tags=tags, parent_run_id=None, remote_job_origin=None
    )


def test_a_trace_has_the_id_of_its_run() -> None:
    run_id = "0f6a3b1e-2f0e-4b6e-9a55-27d1c1f2ab10"
    assert f"{identity.run_ids(run_id).trace_id:032x}" == run_id.replace("-", "")
    chosen = [identity.run_ids(name) for name in ("nightly", "nightly 2", str(uuid.uuid1()))]
    assert len({ids.trace_id for ids in chosen} | {ids.span_id for ids in chosen}) == 6
    assert identity.run_ids("nightly") == chosen[0]


def test_attempts_and_ticks_have_ids_of_their_own() -> None:
    attempts = {identity.step_ids("r", key, attempt).span_id for key in ("a", "b") for attempt in (1, 2)}
    assert len(attempts) == 4

    def installation(storage: str) -> Any:
        return SimpleNamespace(run_storage=SimpleNamespace(get_run_storage_id=lambda: storage))

    ticks = [identity.tick_ids(installation(name), "1") for name in ("dev", "prod", "dev")]
    assert ticks[0] == ticks[2] != ticks[1]


def test_other_processes_know_whether_a_run_is_sampled(provider: Provider) -> None:
    worker = provider("http://127.0.0.1:1", "sampling: {dev: 0.3}")
    other = provider("http://127.0.0.1:1", "sampling: {dev: 0.3}")
    decisions = []
    for _ in range(200):
        run = a_run(str(uuid.uuid4()))
        ids = identity.run_ids(run.run_id)
        operation = worker.operation(OperationKind.DAGSTER_RUN, run.job_name, **facts.of_run(run))
        operation.begin(parent=Context(), ids=ids)
        begun = operation.span.get_span_context()
        known = trace.get_current_span(identity.of_run(other, run)).get_span_context()
        assert (known.trace_id, known.span_id) == (begun.trace_id, begun.span_id)
        assert known.trace_flags.sampled == begun.trace_flags.sampled
        if begun.trace_flags.sampled:
            assert known.trace_state == begun.trace_state
        decisions.append(begun.trace_flags.sampled)
    assert 20 < sum(decisions) < 120


def test_a_run_with_tags_is_below_its_launcher(provider: Provider) -> None:
    telemetry = provider("http://127.0.0.1:1")
    run = a_run("r", **{"floe/traceparent": f"00-{'c' * 32}-{'d' * 16}-00", "floe/baggage": "team=core"})
    known = trace.get_current_span(identity.of_run(telemetry, run)).get_span_context()
    assert (known.trace_id, known.span_id) == (int("c" * 32, 16), identity.run_ids("r").span_id)
    assert not known.trace_flags.sampled


def test_the_environment_is_as_it_was_whatever_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", "outside")
    names = ("TRACEPARENT", "BAGGAGE")
    first = Entry(names, {"TRACEPARENT": "first", "BAGGAGE": "x=1"})
    second = Entry(names, {"TRACEPARENT": "second"})
    assert (os.environ["TRACEPARENT"], os.environ.get("BAGGAGE")) == ("second", None)
    first.leave()
    assert os.environ["TRACEPARENT"] == "second"
    third = Entry(names, {"TRACEPARENT": "third"})
    third.leave()
    assert os.environ["TRACEPARENT"] == "second"
    second.leave()
    assert (os.environ["TRACEPARENT"], os.environ.get("BAGGAGE")) == ("outside", None)


def an_error(message: str, name: str, cause: Any = None, context: Any = None) -> Any:
    return SimpleNamespace(
        message=message, cls_name=name, stack=[f"  in {name}\n"], cause=cause, context=context
    )


def test_errors_are_the_users() -> None:
    key = an_error("KeyError: 'customer'\n", "KeyError")
    value = an_error("shop.errors.Refused: no: access\n", "Refused", cause=key)
    wrapper = "DagsterExecutionStepExecutionError"
    told = errors.info(an_error(f"dagster._core.errors.{wrapper}: x\n", wrapper, value))
    assert (told.type, told.message, told.causes) == ("shop.errors.Refused", "no: access", ("KeyError",))
    assert told.stacktrace == (
        "Traceback (most recent call last):\n  in KeyError\nKeyError: 'customer'\n"
        "\nThe above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n  in Refused\nshop.errors.Refused: no: access\n"
    )
    retried = an_error("dagster._core.definitions.events.RetryRequested\n", "RetryRequested")
    assert errors.info(retried)[:2] == ("dagster._core.definitions.events.RetryRequested", "")
    meanwhile = errors.info(an_error("ValueError\n", "ValueError", context=key))
    assert "During handling of the above exception" in meanwhile.stacktrace
    deep = None
    for _ in range(50):
        deep = an_error("ValueError: x\n", "ValueError", cause=deep)
    assert len(errors.info(deep).causes) == 8
