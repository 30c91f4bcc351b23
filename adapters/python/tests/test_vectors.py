"""The cases of tests/vectors at the top of the repository, which every host runs.

Those of the policy run through both ways of calling a component.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context

from floe_telemetry import carriers
from floe_telemetry.backends import BackendsComponent, built_in_path
from floe_telemetry.calls import PreparedCalls, StockCalls
from floe_telemetry.policy import Policy
from floe_telemetry.propagator import FIELDS, FloePropagator

VECTORS = Path(__file__).resolve().parents[3] / "tests" / "vectors"


APART = ("backends", "console")
"""Interfaces whose vectors are neither the policy's nor a carrier's."""


def cases(of: str | None = None) -> Iterator[Any]:
    for path in sorted(VECTORS.glob("*.json")):
        vectors = json.loads(path.read_text())
        interface = vectors["function"].split(".")[0]
        if of != (interface if interface in APART else None):
            continue
        for case in vectors["cases"]:
            name = f"{path.stem}: {case['name']}"
            yield pytest.param(vectors["function"], vectors.get("manifest"), case, id=name)


@pytest.fixture(scope="module", params=[PreparedCalls, StockCalls])
def policy(request: pytest.FixtureRequest) -> Policy:
    return Policy.load(calls=request.param)


CARRIERS: dict[str, tuple[tuple[Any, Any], Callable[[], Any]]] = {
    "http": (carriers.HEADERS, dict),
    "grpc": (carriers.METADATA, list),
    "environment": (carriers.ENVIRONMENT, dict),
    "run-tags": (carriers.RUN_TAGS, dict),
    "env-list": (carriers.ENV_LIST, list),
}


def carried(policy: Policy, function: str, name: str, content: Any) -> Any:
    """What a carrier holds of a context, or what context it gives."""
    propagator = FloePropagator(policy)
    (getter, setter), empty = CARRIERS[name]
    if function == "carriers.inject":
        carrier = empty()
        propagator.inject(carrier, propagator.extract(content, Context()), setter)
        return dict(carrier) if name == "grpc" else carrier
    if name == "env-list":
        received: Any = [{"name": key, "value": value} for key, value in content]
    else:
        received = dict(content) if name in ("environment", "run-tags") else [tuple(pair) for pair in content]
    headers: dict[str, str] = {}
    propagator.inject(headers, propagator.extract(received, Context(), getter))
    return {field: headers.get(field, "") for field in FIELDS}


def matches(expected: Any, found: Any) -> bool:
    """Equal, where an expected object may leave fields out."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and matches(value, found[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(matches, expected, found))
    return bool(expected == found)


@pytest.mark.skipif(not VECTORS.is_dir(), reason="outside the repository")
@pytest.mark.parametrize(("function", "manifest", "case"), list(cases()))
def test_vector(function: str, manifest: str | None, case: dict[str, Any], policy: Policy) -> None:
    if manifest is not None:
        policy, _ = policy.configure(manifest, [])
    if function.startswith("carriers."):
        found = carried(policy, function, *case["arguments"])
    else:
        found = policy.call_json(function, case["arguments"])
    assert matches(case["result"], found), f"expected {case['result']}, found {found}"


@pytest.fixture(scope="module")
def backends() -> BackendsComponent:
    return BackendsComponent.load(built_in_path(), built_in=True)


@pytest.mark.skipif(not VECTORS.is_dir(), reason="outside the repository")
@pytest.mark.parametrize(("function", "manifest", "case"), list(cases("backends")))
def test_vector_of_backends(
    function: str, manifest: None, case: dict[str, Any], backends: BackendsComponent
) -> None:
    found = backends.call_json(function, case["arguments"])
    assert matches(case["result"], found), f"expected {case['result']}, found {found}"


def test_the_json_form(policy: Policy) -> None:
    assert policy.call_json(
        "propagation.extract", ["00-" + "a" * 32 + "-" + "b" * 16 + "-01", "", "x=1"]
    ) == {
        "high": 0xAAAA_AAAA_AAAA_AAAA,
        "low": 0xAAAA_AAAA_AAAA_AAAA,
        "span": 0xBBBB_BBBB_BBBB_BBBB,
        "flags": 1,
        "tracestate": "",
        "baggage": "x=1",
        "problems": [],
    }
    error = {"type": "", "message": "Database Error in x", "stacktrace": "", "causes": []}
    ending = policy.call_json("operations.end", ["compile", "x", "error", 1.5, '{"a": 1}', error])
    assert (ending["outcome"], ending["exception"]["type"]) == ("error", "DatabaseError")
    assert (
        policy.call_json("operations.end", ["compile", "x", "success", 1.0, "{}", None])["exception"] is None
    )
    assert set(policy.call_json("configuration.configure", ["x: [", [], []])) == {"err"}
    assert set(policy.call_json("configuration.configure", ["x: 1", [], []])) == {"ok"}
