"""What Dagster loads."""

from dagster import AssetSelection, Definitions, define_asset_job, multiprocess_executor
from dagster_dbt import DbtCliResource

from .assets import published_report, raw_extract, revenue_report, sales_dbt
from .project import project

# Each step runs in a process of its own, as in production.
daily_sales = define_asset_job(
    "daily_sales",
    selection=AssetSelection.all(),
    executor_def=multiprocess_executor.configured({"max_concurrent": 2}),
)

defs = Definitions(
    assets=[raw_extract, sales_dbt, revenue_report, published_report],
    jobs=[daily_sales],
    resources={"dbt": DbtCliResource(project_dir=project)},
)
