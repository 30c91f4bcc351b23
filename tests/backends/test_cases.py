"""Every backend: the real Collector accepts its configuration in every topology, and passes on what it is sent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cases import CASES, Case
from collector import cli
from measure import WAYS, arrived, refusal

BY_ID = {case.id: case for case in CASES}


def collectors() -> list[str]:
    """The newest, and the older one where it is there."""
    return [name for name in ("FLOE_OTELCOL_FULL", "FLOE_OTELCOL_OLD") if os.environ.get(name)]


def test_no_backend_is_left_out() -> None:
    listed = json.loads(cli("collector", "backends", "--json").stdout)
    # The Collector's own log and ClickHouse's tables are looked at by tests of their own.
    assert {backend["name"] for backend in listed} == {case.backend for case in CASES} | {"debug", "clickhouse"}
    for backend in listed:
        signals = {signal for case in CASES if case.backend == backend["name"] for signal in case.signals}
        assert signals in (set(), set(backend["signals"])), backend["name"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("variable", collectors() or ["FLOE_OTELCOL_FULL"])
def test_the_collector_accepts_it(case: Case, way: str, variable: str) -> None:
    assert refusal(case, way, os.environ[variable]) == ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_everything_arrives(case: Case, newest: str, tmp_path: Path) -> None:
    assert arrived(case, newest, tmp_path) == dict.fromkeys(case.signals, "")
