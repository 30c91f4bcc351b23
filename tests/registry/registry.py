"""The registry as it is written, and the tables that docs/conventions.md shows of it.

`python tests/registry/registry.py` prints the page.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

REGISTRY: Final = Path(__file__).parent
PAGE: Final = REGISTRY.parents[1] / "docs" / "conventions.md"

Group = dict[str, Any]

INTRODUCTION: Final = """# floe's semantic conventions

What floe's telemetry is called. General names are OpenTelemetry's; its registry describes them. This page is written from
[`tests/registry`](../tests/registry), which has the format of OpenTelemetry's weaver, so that `weaver registry live-check`
can hold any telemetry against it. All of it has the stability `development`.

A fact that code gives to an operation and that has a dot in its name is an attribute already and is no matter of this page.
"""


@cache
def groups() -> list[Group]:
    """Every group, in the order of the files' names and of the files."""
    files = sorted(path for path in REGISTRY.glob("*.yaml") if path.name != "registry_manifest.yaml")
    return [group for path in files for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]


def of_type(kind: str) -> list[Group]:
    """The groups of a type."""
    return [group for group in groups() if group["type"] == kind]


def definitions() -> dict[str, Group]:
    """The attributes that the registry defines, by name."""
    return {each["id"]: each for group in groups() for each in group.get("attributes", ()) if "id" in each}


def references(group: Group) -> dict[str, Any]:
    """The attributes of a group with those of what it extends, by name: their requirement levels."""
    by_id = {each["id"]: each for each in groups()}
    inherited = references(by_id[group["extends"]]) if "extends" in group else {}
    own = {each["ref"]: each["requirement_level"] for each in group.get("attributes", ()) if "ref" in each}
    return own | inherited


def type_name(attribute: Group) -> str:
    """The type of an attribute in one word."""
    return attribute["type"] if isinstance(attribute["type"], str) else "enum"


def page() -> str:
    """docs/conventions.md."""
    return "\n".join([INTRODUCTION, *_attributes(), *_spans(), *_metrics(), *_others()])


def _attributes() -> list[str]:
    lines = ["## Attributes", ""]
    for group in of_type("attribute_group"):
        own = [each for each in group["attributes"] if "id" in each]
        if own:
            lines += [f"### {group['brief'].rstrip('.')}", "", "| attribute | type | what it is | examples |"]
            lines += ["|---|---|---|---|"]
            lines += [
                f"| `{_written(each)}` | {type_name(each)} | {each['brief']} | {_examples(each)} |"
                for each in own
            ]
            lines.append("")
    return lines


def _written(attribute: Group) -> str:
    """The name as it is in telemetry: a template's ends with a key."""
    name: str = attribute["id"]
    return f"{name}.<key>" if type_name(attribute).startswith("template[") else name


def _examples(attribute: Group) -> str:
    if type_name(attribute) == "enum":
        return ", ".join(f"`{member['value']}`" for member in attribute["type"]["members"])
    texts = (", ".join(each) if isinstance(each, list) else each for each in attribute["examples"])
    return ", ".join(f"`{text}`" for text in texts)


def _spans() -> list[str]:
    [common] = [group for group in groups() if group["id"] == "floe.span"]
    lines = ["## Spans", "", "Every one is `INTERNAL` and has:", "", *_table(references(common))]
    for span in of_type("span"):
        names = " or ".join(f"`{name}`" for name in span["annotations"]["floe"]["names"])
        own = {name: level for name, level in references(span).items() if name not in references(common)}
        lines += [f"### {names}", "", f"`{span['annotations']['floe']['kind']}`: {span['brief']}", ""]
        lines += _table(own)
    return lines


def _metrics() -> list[str]:
    lines = [
        "## Metrics",
        "",
        "| metric | instrument | unit | what it is | attributes |",
        "|---|---|---|---|---|",
    ]
    for metric in of_type("metric"):
        of = ", ".join(f"`{name}`" for name in references(metric))
        lines.append(
            f"| `{metric['metric_name']}` | {metric['instrument']} | `{metric['unit']}` | {metric['brief']} | {of} |"
        )
    return [*lines, ""]


def _others() -> list[str]:
    lines = ["## Events, log records and links", ""]
    events = of_type("event")
    logs = [
        group for group in of_type("attribute_group") if group["id"].startswith(("floe.log", "floe.link"))
    ]
    for group in [*events, *logs]:
        title = f"`{group['name']}`" if group in events else group["brief"].rstrip(".")
        brief = [group["brief"], ""] if group in events else []
        lines += [f"### {title}", "", *brief, *_table(references(group))]
    [entity] = of_type("entity")
    return [*lines, "## Resource", "", *_table(references(entity))[:-1]]


def _table(references: dict[str, Any]) -> list[str]:
    if not references:
        return []
    rows = [f"| `{name}` | {_level(level)} |" for name, level in references.items()]
    return ["| attribute | required |", "|---|---|", *rows, ""]


def _level(level: Any) -> str:
    if isinstance(level, str):
        return level
    [(word, condition)] = level.items()
    return f"{word.replace('_', ' ')}: {condition}"


if __name__ == "__main__":
    print(page())
