"""table.py NEWEST OLDER: backend x signal x accepted by each Collector x passed on by the newest, as measured now; fails unless every cell is filled.

The Collectors are paths. `yes` is a measurement; `lacks ...` is one too: the older Collector was built without what the signal needs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cases import ALL, CASES, Case
from collector import version
from measure import WAYS, arrived, verdict

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
    head = ["backend", "signal", *(f"accepted by {version(path)}" for path in collectors), "passed on"]
    widths = [24, 8, 20, 34, 10]
    print("  ".join(cell.ljust(width) for cell, width in zip(head, widths, strict=True)))
    full = True
    for case in CASES:
        columns = [accepted(case, path) for path in collectors]
        columns.append(passed(case, newest) if case.arrivals else {})
        for signal in case.signals or ALL:
            # Where a case has nothing to look at, another test looks.
            cells = [column.get(signal, "see below") for column in columns]
            full = full and "no" not in cells and not cells[0].startswith("lacks")
            row = [case.id, signal, *cells]
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), flush=True)
    print("debug writes to the Collector's log and clickhouse-native speaks no HTTP: test_running.py looks at the log, clickhouse-http stands for both.")
    return 0 if full else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
