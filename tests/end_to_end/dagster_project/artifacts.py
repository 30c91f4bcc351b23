"""Prints what Dagster itself stored of runs, their events and ticks, as JSON. Its only knowledge is Dagster's."""

import json
import sys

from dagster import DagsterInstance

EVENTS = {
    "STEP_START",
    "STEP_RESTARTED",
    "STEP_SUCCESS",
    "STEP_FAILURE",
    "STEP_SKIPPED",
    "STEP_UP_FOR_RETRY",
    "ASSET_MATERIALIZATION",
    "ASSET_OBSERVATION",
    "ASSET_CHECK_EVALUATION",
    "PIPELINE_ENQUEUED",
    "PIPELINE_STARTING",
}

with DagsterInstance.get() as instance:
    runs = []
    for record in instance.get_run_records():
        run = record.dagster_run
        events = []
        for entry in instance.all_logs(run.run_id):
            event = entry.dagster_event
            if event is None or event.event_type_value not in EVENTS:
                continue
            data = event.event_specific_data
            told = getattr(data, "materialization", None) or getattr(data, "asset_observation", None) or data
            asset = getattr(told, "asset_key", None)
            events.append(
                {
                    "type": event.event_type_value,
                    "time": entry.timestamp,
                    "step": event.step_key,
                    "asset": "/".join(asset.path) if asset else None,
                    "check": getattr(data, "check_name", None),
                    "passed": getattr(data, "passed", None),
                    "severity": data.severity.name if hasattr(data, "severity") else None,
                }
            )
        runs.append(
            {
                "id": run.run_id,
                "job": run.job_name,
                "status": run.status.value,
                "start": record.start_time,
                "end": record.end_time,
                "parent": run.parent_run_id,
                "tags": dict(run.tags),
                "events": events,
            }
        )
    ticks = [
        {
            "id": str(tick.tick_id),
            "name": tick.instigator_name,
            "status": tick.status.name,
            "start": tick.timestamp,
            "end": tick.tick_data.end_timestamp,
            "runs": list(tick.run_ids),
        }
        for state in instance.all_instigator_state()
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
    ]
    json.dump({"runs": runs, "ticks": ticks}, sys.stdout)
