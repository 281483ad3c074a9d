"""Dagster's runs as jobs, by sensors on their states: where its storage cannot be followed.

In the code location:

    from jobledger.infra.plugins.dagster import run_sensors

    defs = Definitions(jobs=[...], sensors=[*run_sensors(project="shop")])
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    RunStatusSensorContext,
    SensorDefinition,
    run_status_sensor,
)
from jobledger.infra.plugins.recorder import Recorder

EVENTS: Final = {
    DagsterRunStatus.QUEUED: "Queued",
    DagsterRunStatus.STARTING: "Preparing",
    DagsterRunStatus.STARTED: "Started",
    DagsterRunStatus.SUCCESS: "Succeeded",
    DagsterRunStatus.FAILURE: "Failed",
    DagsterRunStatus.CANCELING: "Cancelling",
    DagsterRunStatus.CANCELED: "Cancelled",
}
INTERVAL_SECONDS: Final = 5
TRIGGERS: Final = (
    "dagster/schedule_name",
    "dagster/sensor_name",
    "dagster/backfill",
    "user",
)
"""Tags that say what began a run."""


def run_sensors(
    project: str = "default", recorder: Recorder | None = None
) -> list[SensorDefinition]:
    """Returns a sensor for each state of a run.

    Args:
        project: The project of the jobs.
        recorder: What records them; by default, the ledger that JOBLEDGER_DSN and JOBLEDGER_LEDGER name.

    Returns:
        The sensors, which run from the start.
    """
    runs = DagsterRuns(recorder or Recorder("dagster", project))
    return [runs.sensor(status) for status in EVENTS]


class DagsterRuns:
    """Reports runs when a sensor sees them."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def sensor(self, status: DagsterRunStatus) -> SensorDefinition:
        """The sensor of a state."""

        @run_status_sensor(
            run_status=status,
            name=f"jobledger_{status.value.lower()}",
            monitor_all_code_locations=True,
            default_status=DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=INTERVAL_SECONDS,
        )
        def report(context: RunStatusSensorContext) -> None:
            self.report(context, EVENTS[status])

        return report

    def report(self, context: RunStatusSensorContext, type_: str) -> None:
        """Reports a run that reached a state, and waits until it is recorded, as a sensor is not called again."""
        run, record = (
            context.dagster_run,
            context.instance.get_run_record_by_id(context.dagster_run.run_id),
        )
        time = _time_of(context)
        parent, root = run.parent_run_id, run.root_run_id
        self.recorder.created(
            run.run_id,
            record.create_timestamp if record else time,
            labels={"job": run.job_name},
            spec={"displayName": run.job_name, "job": run.job_name},
            parents=[parent] if parent else [],
            root=root,
            triggered_by=next((run.tags[tag] for tag in TRIGGERS if tag in run.tags), None),
        )
        data: dict[str, Any] = {}
        if type_ == "Failed":
            data["error"] = context.dagster_event.message or "the run failed"
        self.recorder.report(run.run_id, type_, time, run_id=run.run_id, **data)
        if not self.recorder.flush():
            raise TimeoutError("the ledger cannot be reached")


def _time_of(context: RunStatusSensorContext) -> datetime:
    """When the state was reached, by the log of the run."""
    kind = context.dagster_event.event_type
    found = context.instance.all_logs(context.dagster_run.run_id, of_type=kind)
    return datetime.fromtimestamp(found[-1].timestamp, UTC) if found else datetime.now(UTC)
