"""The manifests that the documentation shows can be used as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
