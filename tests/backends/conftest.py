"""Full Collectors, the newest and one from before components were renamed, by the variables that `just backends` sets."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from stand_in import StandIn, http


def otelcol(variable: str) -> str:
    path = os.environ.get(variable, "")
    assert path, f"{variable} names no Collector; `just test-backends` sets it"
    return path


@pytest.fixture(scope="session")
def newest() -> str:
    """The newest Collector with every component."""
    return otelcol("FLOE_OTELCOL_FULL")


@pytest.fixture
def backend() -> Iterator[StandIn]:
    """A backend that takes everything by HTTP."""
    server = http()
    yield server
    server.stop()
