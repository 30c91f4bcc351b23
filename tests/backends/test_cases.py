"""Every backend: the real Collector accepts its configuration in every topology, and passes on what it is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import CASES, CHECKED, Case
from measure import WAYS, Verdict, arrived, verdict
from otelcol import cli


def test_no_backend_is_left_out() -> None:
    listed = json.loads(cli("collector", "backends", "--json").stdout)
    assert {backend["name"] for backend in listed} == {case.backend for case in CASES}
    for backend in listed:
        signals = {signal for case in CASES if case.backend == backend["name"] for signal in case.signals}
        assert signals == set(backend["signals"]), backend["name"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", [*CASES, *CHECKED], ids=lambda case: case.id)
def test_the_newest_collector_accepts_it(case: Case, way: str, newest: str) -> None:
    assert verdict(case, way, newest) == Verdict()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_everything_arrives(case: Case, newest: str, tmp_path: Path) -> None:
    assert arrived(case, newest, tmp_path) == dict.fromkeys(case.signals, "")
