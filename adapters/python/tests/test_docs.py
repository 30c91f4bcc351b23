"""The manifests that the documentation shows can be used as they stand."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from collector import Collector
from conftest import Manifest, run_python
from floe_telemetry.checked import check

DOCS = Path(__file__).parents[3] / "docs"


def manifests(page: str) -> list[str]:
    """The blocks of YAML of a page that are whole manifests."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [block for block in blocks if re.search("^(metadata|observability|plugins):", block, re.MULTILINE)]


@pytest.mark.parametrize(
    ("page", "shown"),
    [("access.md", 3), ("manifest.md", 3), ("operations.md", 1), ("redaction.md", 1), ("sampling.md", 1)],
)
def test_manifests_that_are_shown(page: str, shown: int, tmp_path: Path) -> None:
    found = manifests(page)
    assert len(found) >= shown
    for number, text in enumerate(found):
        path = tmp_path / f"{page}-{number}.yaml"
        path.write_text(text)
        for mode in ("dev", "staging", "prod"):
            problems = check(path, {"FLOE_MODE": mode})
            assert not problems, "\n".join(problem.render(str(path)) for problem in problems)


def test_context_goes_along_as_it_is_shown(manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (DOCS / "operations.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    [shown] = [block for block in blocks if "telemetry.executor" in block]
    # What is printed there becomes a span here, and the program is one with telemetry.
    shown = (
        shown.replace("print", "say")
        .replace('"pass"', "CHILD")
        .replace("telemetry = floe_telemetry.init()\n", SETUP)
    )
    environ = {**os.environ, "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint))}
    ran = run_python(shown, tmp_path, environ)
    assert ran.returncode == 0, ran.stderr
    parent = collector.span("floe.compile sales")
    for name in ("in a thread", "in a pool", "in a program"):
        child = collector.span(name)
        assert (child.trace_id, child.parent_id) == (parent.trace_id, parent.span_id)


SETUP = """telemetry = floe_telemetry.init()
CHILD = "import floe_telemetry as f\\nwith f.init().operation('custom', 'in a program'): pass"
def say(text):
    with telemetry.operation("custom", text): pass
"""
