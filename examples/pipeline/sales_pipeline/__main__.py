"""`python -m sales_pipeline`: runs the job daily_sales once, as `dagster job execute` does it.

All state goes to one directory, $FLOE_EXAMPLE_STATE, so that the source tree stays clean. The rest of the
environment (TRACEPARENT, OTEL_*, and so on) is handed on as it is.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sales_pipeline", description="Runs the job daily_sales once."
    )
    parser.add_argument(
        "--fail",
        action="store_true",
        help="let a refund through, so that a dbt test fails, and the run with it",
    )
    arguments = parser.parse_args()

    state = Path(os.environ.get("FLOE_EXAMPLE_STATE", ROOT / "state")).resolve()
    home = state / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    # DAGSTER_HOME is where Dagster writes, and also where it looks for its configuration: hence the copy.
    shutil.copyfile(ROOT / "dagster_home" / "dagster.yaml", home / "dagster.yaml")

    environment = os.environ | {
        "FLOE_EXAMPLE_STATE": str(state),
        "DAGSTER_HOME": str(home),
        "DBT_TARGET_PATH": str(state / "dbt-target"),
        "DBT_LOG_PATH": str(state / "dbt-logs"),
        # dagster-dbt looks for `dbt` on PATH. This makes it the one of this interpreter, also where its
        # virtual environment is not activated.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
    if arguments.fail:
        environment["FLOE_EXAMPLE_FAIL"] = "1"

    command = [sys.executable, "-m", "dagster", "job", "execute"]
    command += ["--working-directory", str(ROOT), "-m", "sales_pipeline.definitions", "-j", "daily_sales"]
    os.execve(sys.executable, command, environment)


if __name__ == "__main__":
    main()
