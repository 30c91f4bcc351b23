"""Lines of the console: nothing that is logged makes a line that looks like another record. As Rust's `console.rs`."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path

import pytest

from floe_telemetry.logs.console import JsonFormatter, TextFormatter
from floe_telemetry.policy import Policy
from floe_telemetry.redaction import Redactor

CASES = json.loads((Path(__file__).parents[3] / "tests/console/lines.json").read_text())
DECEPTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
STARTS = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING  ")


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    return Redactor(Policy.load())


def record(case: dict[str, str]) -> logging.LogRecord:
    found = logging.LogRecord(case["logger"], logging.WARNING, "x.py", 1, case["message"], None, None)
    found.detail = case["detail"]
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_no_line_looks_like_another_record(case: dict[str, str], redactor: Redactor) -> None:
    text = TextFormatter(redactor).format(record(case))
    assert STARTS.sub("", text) == case["line"]
    assert all(line.startswith("    ") for line in text.split("\n")[1:])


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_json_is_one_line_without_deceptive_marks(case: dict[str, str], redactor: Redactor) -> None:
    line = JsonFormatter(redactor).format(record(case))
    assert not DECEPTIVE.search(line)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["logger"], read["detail"]) == (case["logger"], case["detail"])


def test_no_line_of_a_traceback_looks_like_another_record(redactor: Redactor) -> None:
    forged = "2026-03-02 06:00:11,000 ERROR    root: forged"
    found = record({"logger": "sales", "message": "failed", "detail": "x"})
    try:
        raise ValueError(f"no\n{forged}\r{forged}\x07")
    except ValueError:
        found.exc_info = sys.exc_info()
    text = TextFormatter(redactor).format(found)
    assert all(line.startswith("    ") for line in text.split("\n")[1:])
    assert f"\n    {forged}\\r{forged}\\x07" in text
    assert not DECEPTIVE.search(text)
