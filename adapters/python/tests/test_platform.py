"""What only some operating systems have may be missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collector import Collector
from conftest import Manifest, run_python

MISSING = {
    "fcntl": "sys.modules['fcntl'] = None",
    "fork": "del os.fork, os.register_at_fork",
    "owners": "del os.geteuid, os.getuid",
    "flags": "del os.O_CLOEXEC, os.O_NOFOLLOW",
    "signals": "import signal; del signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1",
}
WORK = """
import logging, floe_telemetry
telemetry = floe_telemetry.init()
assert telemetry.enabled
with telemetry.compile("sales") as compile, compile.stage("parse"):
    logging.warning("said")
    import time; time.sleep(1.5)
print(telemetry.environ() is not None)
"""


@pytest.mark.parametrize("missing", [*MISSING, "all"])
def test_it_works_without(missing: str, manifest: Manifest, collector: Collector, tmp_path: Path) -> None:
    gone = "; ".join(MISSING.values() if missing == "all" else [MISSING[missing]])
    state = tmp_path / "state"
    environ = {
        **os.environ,
        "FLOE_TELEMETRY_MANIFEST": str(manifest(collector.endpoint)),
        "FLOE_STATE_DIR": str(state),
    }
    # Python's own modules take what they need first: it is our package that must do without.
    first = (
        "import os, sys, socket, subprocess, random, logging, tempfile, multiprocessing.util, asyncio, signal"
    )
    ran = run_python(f"{first}\n{gone}\n{WORK}", tmp_path, environ)
    assert (ran.returncode, ran.stdout) == (0, "True\n"), ran.stderr
    assert [line for line in ran.stderr.splitlines() if '"message": "said"' not in line] == []
    assert collector.log("said").trace_id == collector.span("floe.compile sales").trace_id
    assert not list(state.rglob("*.new"))
    if missing in ("fcntl", "all"):
        assert not list(state.rglob("*.jsonl"))
