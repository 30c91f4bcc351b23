"""The registry says what the component and both hosts emit, no more and no less."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, Final

import opentelemetry.semconv._incubating.attributes as incubating
import opentelemetry.semconv.attributes as stable
import pytest
import registry
import yaml
from opentelemetry.semconv.schemas import Schemas

from floe_telemetry.policy import Policy

ROOT: Final = registry.REGISTRY.parents[1]
PACKAGE: Final = ROOT / "adapters" / "python" / "src" / "floe_telemetry"
SOURCES: Final = [
    path
    for folder in ("guest/policy/src", "host/src", "host/cli/src", "adapters/python/src")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".rs", ".py")
]
MANIFEST: Final = """
metadata: {name: sales, version: 1.0.0, namespace: acme}
observability: {telemetry: {otlp_endpoint: 'http://localhost:4318'}}
"""
TYPES: Final = {
    "string": str,
    "int": int,
    "double": float,
    "boolean": bool,
    "string[]": list,
    "template[double]": float,
}
STABILITIES: Final = {"stable", "release_candidate", "beta", "alpha", "development"}
HEADS: Final = {
    "attribute_group": set(),
    "span": {"span_kind"},
    "metric": {"metric_name", "instrument", "unit"},
    "event": {"name"},
    "entity": {"name"},
}
"""What weaver wants of a group of each type (its schemas/semconv-syntax.md), beside what all groups have."""
ALL: Final = {"id", "type", "brief", "stability", "attributes", "extends", "annotations"}

DEFINED: Final = registry.definitions()


def source(*suffixes: str) -> str:
    return "\n".join(path.read_text("utf-8") for path in SOURCES if path.suffix in suffixes)


def general() -> set[str]:
    """The attributes of OpenTelemetry's registry, by its own package."""
    names: set[str] = set()
    for package in (stable, incubating):
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            names |= {text for name, text in vars(module).items() if name.isupper() and isinstance(text, str)}
    return names


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load().configure(MANIFEST)[0]


def vectors(function: str) -> Iterator[list[Any]]:
    for path in sorted((ROOT / "tests" / "vectors").glob("operations_*.json")):
        file = json.loads(path.read_text("utf-8"))
        if file["function"] == function:
            yield from (case["arguments"] for case in file["cases"])


def of_object(text: str) -> dict[str, Any]:
    """What the text of a JSON object holds; nothing where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def of_pairs(attributes: list[dict[str, str]]) -> dict[str, Any]:
    return {each["key"]: json.loads(each["value"]) for each in attributes}


def known(attributes: dict[str, Any], facts: dict[str, Any], where: str) -> set[str]:
    """Names of the attributes, each of which the registry has, with a value of its type. A fact that was given
    with a dot in its name is the caller's, and so is every fact of a custom operation.
    """
    names: set[str] = set()
    callers = set(facts)
    if where.startswith("custom "):
        callers |= {f"floe.{name}" for name in callers}
    for name, value in attributes.items():
        if name in callers:
            continue
        names.add(name)
        if name not in DEFINED:
            assert not name.startswith("floe."), f"{where}: {name} is not in tests/registry"
            assert name in general(), f"{where}: {name} is in nobody's registry"
        elif registry.type_name(DEFINED[name]) == "enum":
            members = {member["value"] for member in DEFINED[name]["type"]["members"]}
            assert value in members, f"{where}: {name} has no member {value}"
        else:
            expected = TYPES[DEFINED[name]["type"]]
            assert isinstance(value, expected) and (expected is bool or not isinstance(value, bool)), (
                f"{where}: {name} is {value!r}"
            )
    return names


def test_the_registry_is_one_that_weaver_reads() -> None:
    manifest = yaml.safe_load((registry.REGISTRY / "registry_manifest.yaml").read_text("utf-8"))
    assert set(manifest) == {"name", "description", "semconv_version", "schema_base_url", "dependencies"}
    [otel] = manifest["dependencies"]
    newest = list(Schemas)[-1].value.rsplit("/", 1)[1]
    assert f"/v{newest}.zip[model]" in otel["registry_path"], (
        "the general names are those of the SDK's version"
    )
    ids = [group["id"] for group in registry.groups()]
    assert len(ids) == len(set(ids))
    for group in registry.groups():
        needed = HEADS[group["type"]]
        assert ALL | needed >= set(group) >= {"id", "type", "brief"} | needed, group["id"]
        assert group["type"] == "attribute_group" or group["stability"] in STABILITIES, group["id"]
        assert group["type"] not in ("span", "attribute_group") or {"attributes", "extends"} & set(group)
        assert group["brief"].endswith(".")
        for each in group.get("attributes", ()):
            if "ref" in each:
                assert each["ref"] in DEFINED or each["ref"] in general(), each
                level = each["requirement_level"]
                assert level in ("required", "recommended", "opt_in") or (
                    len(level) == 1
                    and set(level) <= {"conditionally_required", "recommended", "opt_in"}
                    and all(text.endswith(".") for text in level.values())
                ), each
            else:
                assert group["id"].startswith("registry."), "weaver: only registry.* groups define attributes"
                well_formed(each)


def well_formed(attribute: registry.Group) -> None:
    assert re.fullmatch(r"floe(\.[a-z]+(_[a-z]+)*)+", attribute["id"]), attribute
    assert attribute["stability"] in STABILITIES and attribute["brief"].endswith("."), attribute
    if registry.type_name(attribute) == "enum":
        members = attribute["type"]["members"]
        assert all(set(member) == {"id", "value", "brief", "stability"} for member in members), attribute
        assert all(re.fullmatch("[a-z_]+", member["id"]) for member in members), attribute
    else:
        kind = TYPES[attribute["type"]]
        assert attribute["examples"] and all(isinstance(each, kind) for each in attribute["examples"])


def test_names_are_defined_once() -> None:
    every = [
        each["id"] for group in registry.groups() for each in group.get("attributes", ()) if "id" in each
    ]
    assert len(every) == len(set(every))
    assert not set(every) & general()


def test_no_attribute_is_the_namespace_of_another() -> None:
    """weaver's advice. `deployment.environment` is deprecated for that reason, and floe's specification demands it."""
    names = set(DEFINED) | {name for group in registry.groups() for name in registry.references(group)}
    spaces = {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
    assert names & spaces == {"deployment.environment"}


def test_records_of_rust_have_registered_names() -> None:
    """What the Rust hosts log with fields of its own: each field has a namespace and stands in the registry."""
    logged = re.findall(
        r"tracing::(?:error|warn|info|debug|trace)!\(((?:[^()]|\([^()]*\))*)\)", source(".rs")
    )
    assert len(logged) > 5
    for arguments in logged:
        head = re.sub(r'"(?:[^"\\]|\\.)*"', '""', arguments)
        fields = re.findall(r"[,{(\s]([a-z_][\w.]*) = ", f" {head}")
        for field in fields:
            assert "." in field, f"{field} has no namespace: {arguments}"
            assert field in DEFINED or field in general(), f"{field} is in nobody's registry"


def test_the_beginnings_that_the_policy_answers(policy: Policy) -> None:
    spans = {span["annotations"]["floe"]["kind"]: span for span in registry.of_type("span")}
    asked = set()
    for kind, name, facts in vectors("operations.begin"):
        asked.add(kind)
        found = policy.call_json("operations.begin", [kind, name, facts])
        where = f"{kind} {name}"
        attributes = of_object(found["attributes"])
        assert found["kind"] == spans[kind]["span_kind"]
        names = known(attributes, of_object(facts), where)
        assert names <= set(registry.references(spans[kind])), where
        templates = spans[kind]["annotations"]["floe"]["names"]
        values = attributes | {"name": name}
        # A dbt node of which nothing else is known is a node.
        values.setdefault("floe.dbt.resource_type", "node")
        assert found["name"] in {filled(each, values) for each in templates}, where
    assert asked == set(spans)


def filled(template: str, values: dict[str, Any]) -> str:
    return re.sub(r"\{(.*?)\}", lambda part: str(values.get(part[1])), template)


def test_the_endings_that_the_policy_answers(policy: Policy) -> None:
    spans = {span["annotations"]["floe"]["kind"]: span for span in registry.of_type("span")}
    metrics = {metric["metric_name"]: registry.references(metric) for metric in registry.of_type("metric")}
    recorded = set()
    for arguments in vectors("operations.end"):
        kind, name, status, _, facts, _ = arguments
        found = policy.call_json("operations.end", arguments)
        where = f"{kind} {name} {status}"
        names = known(of_object(found["attributes"]), of_object(facts), where)
        assert names <= set(registry.references(spans[kind])), where
        for measured in found["measurements"]:
            recorded.add(measured["instrument"])
            labels = known(of_object(measured["attributes"]), {}, where)
            levels = metrics[measured["instrument"]]
            assert {name for name, level in levels.items() if level == "required"} <= labels <= set(levels), (
                where
            )
    assert recorded == set(metrics)


def test_the_plan(policy: Policy) -> None:
    plan = policy.call_json("configuration.configure", [MANIFEST, [], []])["ok"]
    assert [
        (each["name"], each["kind"], each["unit"], each["description"]) for each in plan["instruments"]
    ] == [
        (each["metric_name"], each["instrument"], each["unit"], each["brief"])
        for each in sorted_metrics(plan)
    ]
    [process] = registry.of_type("entity")
    assert known(of_pairs(plan["resource"]), {}, "the resource") <= set(registry.references(process))
    [span] = [group for group in registry.groups() if group["id"] == "floe.span"]
    required = {name for name, level in registry.references(span).items() if level == "required"}
    assert known(of_pairs(plan["attributes"]), {}, "the spans") | {"floe.outcome"} == required
    known(of_pairs(plan["sampler"]["failed"]["attributes"]), {}, "what is kept")


def sorted_metrics(plan: dict[str, Any]) -> list[registry.Group]:
    """The registry's metrics in the plan's order, and those that the plan has not."""
    order = [each["name"] for each in plan["instruments"]]
    return sorted(
        registry.of_type("metric"),
        key=lambda metric: (
            order.index(metric["metric_name"]) if metric["metric_name"] in order else len(order)
        ),
    )


def facts_of_python() -> Iterator[tuple[str, str]]:
    """Kind and name of each fact that the Python package gives to operations."""
    own = {"start_time", "end_time", "parent", "links", "ids", "span", "error", "status", "tags"}
    tabulated = {"graph.py", "invocation.py", "facts.py", "runs.py", "ticks.py"}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        kind = next(
            (kind for word, kind in (("dbt", "dbt-node"), ("dagster", "dagster-step")) if word in parts[0]),
            None,
        )
        for node in ast.walk(ast.parse(path.read_text("utf-8"))) if kind else ():
            names: list[str] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("operation", "end", "add"):
                    names = [str(keyword.arg) for keyword in node.keywords if keyword.arg]
            elif isinstance(node, ast.Dict) and path.name in tabulated:
                names = [str(key.value) for key in node.keys if isinstance(key, ast.Constant)]
                names = [name for name in names if name.isidentifier() and name.islower()]
            yield from ((str(kind), name) for name in names if name not in own)


def facts_of_rust() -> Iterator[tuple[str, str]]:
    """Kind and name of each fact that the Rust command gives to operations."""
    for file, kind in (("compile.rs", "compile"), ("exec.rs", "command")):
        text = (ROOT / "host" / "cli" / "src" / file).read_text("utf-8")
        yield from ((kind, name) for name in re.findall(r'\.fact\("([\w.]+)"', text))


def test_every_fact_of_the_hosts(policy: Policy) -> None:
    facts = {*facts_of_python(), *facts_of_rust()}
    assert {("dbt-node", "unique_id"), ("dagster-step", "run_id"), ("compile", "bytes")} <= facts
    missing = []
    for kind, fact in sorted(facts):
        found = policy.call_json("operations.begin", [kind, "x", json.dumps({fact: "x"})])
        name = next(iter(of_object(found["attributes"])))
        if name not in DEFINED and name not in general():
            missing.append(name)
    assert not missing, f"not in tests/registry: {missing}"


def test_every_name_in_the_sources() -> None:
    """Names that stand in the sources as texts of their own."""
    texts = set(re.findall(r'"(floe(?:\.[a-z_]+)+)"', source(".rs", ".py")))
    metrics = {metric["metric_name"] for metric in registry.of_type("metric")}
    events = {event["name"] for event in registry.of_type("event")}
    words = {member["value"] for member in DEFINED["floe.operation.type"]["type"]["members"]}
    domains = {"floe.pipeline", "floe.compile", "floe.dbt", "floe.dagster"}
    # The probe of `doctor` is no operation: a span of its own scope that nobody stores.
    unknown = texts - set(DEFINED) - metrics - events - words - domains - {"floe.doctor", "floe.doctor.probe"}
    assert not unknown, f"not in tests/registry: {sorted(unknown)}"
    constants = re.findall(
        r'pub const \w+: &str = "([\w.]+)";', (SOURCES[0].parent / "attribute.rs").read_text()
    )
    assert len(constants) > 10 and set(constants) <= set(DEFINED) | general()


def test_nothing_is_unused() -> None:
    referred = {name for group in registry.groups() for name in registry.references(group)}
    assert set(DEFINED) <= referred, f"of no signal: {sorted(set(DEFINED) - referred)}"
    text = source(".rs", ".py")
    vector_facts = {fact for arguments in vectors("operations.begin") for fact in of_object(arguments[2])}
    vector_facts |= {fact for arguments in vectors("operations.end") for fact in of_object(arguments[4])}
    unused = [
        name
        for name in DEFINED
        if f'"{name}"' not in text
        and f"{name} = " not in text
        and name.rsplit(".", 1)[1] not in vector_facts
        and not re.search(rf'\b{name.rsplit(".", 1)[1]}=|"{name.rsplit(".", 1)[1]}"', text)
    ]
    assert not unused, f"nobody emits: {unused}"


def test_the_page_is_written_from_the_registry() -> None:
    assert registry.PAGE.read_text("utf-8") == registry.page() + "\n", "`just conventions` writes it anew"
