"""table.py NEWEST OLDER: backend x signal x accepted by each Collector x passed on by the newest, as measured now; fails unless every cell is filled.

The Collectors are paths. `yes` is a measurement; `lacks ...` is one too: the older Collector was built without what the signal needs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cases import ALL, CASES, CHECKED, Case
from measure import WAYS, arrived, verdict
from otelcol import version

YES = "yes"


def accepted(case: Case, otelcol: str) -> dict[str, str]:
    """A word for each signal of a case."""
    verdicts = [verdict(case, way, otelcol) for way in WAYS]
    for found in verdicts:
        if found.refusal:
            print(f"{case.id}: {found.refusal}", file=sys.stderr)
            return dict.fromkeys(ALL, "no")
    lacks = next((found.lacks for found in verdicts if found.lacks), "")
    return {signal: f"lacks {lacks}" if lacks and signal in case.lost else YES for signal in ALL}


def passed(case: Case, otelcol: str) -> dict[str, str]:
    """The same for what arrives."""
    with tempfile.TemporaryDirectory() as directory:
        failures = arrived(case, otelcol, Path(directory))
    for signal, failure in failures.items():
        if failure:
            print(f"{case.id}, {signal}: {failure}", file=sys.stderr)
    return {signal: "no" if failure else YES for signal, failure in failures.items()}


def main(newest: str, older: str) -> int:
    collectors = [newest, older]
    words = [f"accepted by {version(path)}" for path in collectors]
    head = ["backend", "signal", *words, f"passed on by {version(newest)}"]
    widths = [24, 8, 20, 30, 12]
    print("  ".join(cell.ljust(width) for cell, width in zip(head, widths, strict=True)))
    full = True
    for case in [*CASES, *CHECKED]:
        columns = [accepted(case, path) for path in collectors]
        columns.append(passed(case, newest) if case in CASES else dict.fromkeys(ALL, "checked only"))
        for signal in case.signals or ALL:
            cells = [column[signal] for column in columns]
            full = full and "no" not in cells and not cells[0].startswith("lacks")
            row = [case.id, signal, *cells]
            print(
                "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(),
                flush=True,
            )
    return 0 if full else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
