"""Where the dbt project, its database and its reports are."""

import os
from pathlib import Path

from dagster_dbt import DbtProject

DBT_DIR = Path(__file__).resolve().parents[1] / "dbt"

# The names and defaults that dbt itself goes by, in profiles.yml and for its target directory.
STATE = DBT_DIR / os.environ.get("FLOE_EXAMPLE_STATE", "target")
DATABASE = STATE / "sales.duckdb"

project = DbtProject(project_dir=DBT_DIR, target_path=os.environ.get("DBT_TARGET_PATH", "target"))


def _manifest_is_stale() -> bool:
    """Whether a file of the dbt project is newer than the manifest that dbt made of it."""
    if not project.manifest_path.exists():
        return True
    parsed = project.manifest_path.stat().st_mtime
    sources = [DBT_DIR / "dbt_project.yml", DBT_DIR / "profiles.yml"]
    for directory in ("models", "seeds", "tests"):
        sources += (DBT_DIR / directory).rglob("*.*")
    return any(source.stat().st_mtime > parsed for source in sources)


# `prepare_if_dev` only acts under `dagster dev`. This has to work with `dagster job execute` too, and must
# not parse again in each of a run's step processes, which all import this module.
if project.preparer.using_dagster_dev() or _manifest_is_stale():
    project.preparer.prepare(project)
