"""The assets: raw_extract -> the dbt project's seeds and models -> revenue_report -> published_report."""

import csv
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
from dagster import AssetDep, AssetExecutionContext, AssetKey, AssetSpec, MaterializeResult, asset
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from .project import DATABASE, DBT_DIR, STATE, project

logger = logging.getLogger(__name__)

SOURCES = {
    "raw_customers": ["customer_id", "name", "segment"],
    "raw_orders": ["order_id", "customer_id", "ordered_on", "status"],
    "raw_payments": ["payment_id", "order_id", "kind", "amount"],
}


@asset
def raw_extract(context: AssetExecutionContext) -> MaterializeResult[None]:
    """The source files, checked before anything is built from them."""
    rows = {}
    for name, columns in SOURCES.items():
        with (DBT_DIR / "seeds" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != columns:
                raise ValueError(f"{name}: expected the columns {columns}, found {reader.fieldnames}")
            rows[name] = sum(1 for _ in reader)
        logger.info("read %d rows of %s", rows[name], name)
    context.log.info("extracted %d rows from %d files", sum(rows.values()), len(rows))
    return MaterializeResult(metadata={"rows": rows})


class SalesTranslator(DagsterDbtTranslator):
    """Puts the dbt seeds after raw_extract."""

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id.startswith("seed."):
            return spec.replace_attributes(deps=[*spec.deps, AssetDep("raw_extract")])
        return spec


@dbt_assets(manifest=project.manifest_path, project=project, dagster_dbt_translator=SalesTranslator())
def sales_dbt(context: AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Seeds, models and tests, in one `dbt build`. A test that fails fails this step, and so the run."""
    yield from dbt.cli(["build"], context=context).stream()


@asset(deps=[AssetKey("daily_revenue")])
def revenue_report(context: AssetExecutionContext) -> dict[str, str]:
    """Revenue a day, read from the mart."""
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        days = connection.execute(
            "select ordered_on, revenue from daily_revenue order by ordered_on"
        ).fetchall()
    logger.info("read %d days from %s", len(days), DATABASE.name)
    context.log.info("revenue of %d days: %s", len(days), sum(revenue for _, revenue in days))
    return {day.isoformat(): str(revenue) for day, revenue in days}


@asset
def published_report(
    context: AssetExecutionContext, revenue_report: dict[str, str]
) -> MaterializeResult[None]:
    """The report as a file, where its readers look for it."""
    path = STATE / "revenue_report.json"
    # Written aside and renamed: a reader never sees half a report.
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(revenue_report, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
    context.log.info("published %s", path.name)
    return MaterializeResult(metadata={"days": len(revenue_report)})
