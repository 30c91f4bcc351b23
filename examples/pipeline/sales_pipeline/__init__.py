"""A small sales pipeline: Dagster around a dbt project. Nothing in here knows about telemetry."""
