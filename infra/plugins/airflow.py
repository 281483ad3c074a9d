"""Airflow's dag runs and task instances as jobs, by its listeners: where its database cannot be followed.

A file in the folder `plugins` of Airflow needs one line:

    from jobledger.infra.plugins.airflow import JobLedgerPlugin

The names and attempts are those of `jobledger attach --as airflow`. Listeners are not notified of marks by
hand, clears, and tasks that are skipped before they start; `attach` is.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, Final

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin
from jobledger.domain.running import exception_message
from jobledger.infra.plugins.recorder import Recorder

FLUSH_SECONDS: Final = 3.0


class AirflowListener:
    """Implements Airflow's hooks."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        """`recorder`: by default, of the project JOBLEDGER_PROJECT in the ledger that the settings name."""
        self.recorder = recorder or Recorder(
            "airflow", os.environ.get("JOBLEDGER_PROJECT", "default")
        )

    @hookimpl
    def on_dag_run_running(self, dag_run: Any, msg: str) -> None:  # noqa: ARG002 - the hook's parameters
        """A dag run has begun."""
        self._run(dag_run, "Started", dag_run.start_date)

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:  # noqa: ARG002
        """A dag run has succeeded."""
        self._run(dag_run, "Succeeded", dag_run.end_date)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """A dag run has failed."""
        self._run(dag_run, "Failed", dag_run.end_date, error=msg or "the dag run failed")

    @hookimpl
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002
        """A try has begun."""
        worker = getattr(task_instance, "hostname", None) or None
        self._task(task_instance, "Started", task_instance.start_date, worker=worker)

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002
        """A try has succeeded."""
        self._task(task_instance, "Succeeded", task_instance.end_date)

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:  # noqa: ARG002
        """A try has failed, whether or not another follows."""
        text = exception_message(error) if isinstance(error, BaseException) else error
        message = text or f"try {task_instance.try_number} failed"
        self._task(task_instance, "Failed", task_instance.end_date, error=message)

    @hookimpl
    def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002
        """A task has skipped itself."""
        self._task(task_instance, "Cancelled", task_instance.end_date, reason="skipped")

    @hookimpl
    def before_stopping(self, component: Any) -> None:  # noqa: ARG002
        """A process of Airflow ends."""
        self.recorder.flush(FLUSH_SECONDS)

    def _run(self, run: Any, type_: str, time: datetime | None, **data: Any) -> None:
        id_, at = f"{run.dag_id}/{run.run_id}", time or datetime.now(UTC)
        trigger = getattr(run, "triggering_user_name", None)
        self.recorder.created(
            id_,
            getattr(run, "queued_at", None) or run.start_date or at,
            labels={"dag": run.dag_id, "run_type": str(getattr(run, "run_type", ""))},
            spec={
                "displayName": f"{run.dag_id} {run.run_id}",
                "dag": run.dag_id,
                "run": run.run_id,
            },
            triggered_by=trigger,
        )
        clear = f"clear-{getattr(run, 'clear_number', 0) or 0}"
        self.recorder.report(id_, type_, at, run_id=clear, actor=trigger, **data)

    def _task(self, task: Any, type_: str, time: datetime | None, **data: Any) -> None:
        run, at = f"{task.dag_id}/{task.run_id}", time or datetime.now(UTC)
        index = -1 if (given := getattr(task, "map_index", -1)) is None else given
        id_ = f"{run}/{task.task_id}/{index}"
        self.recorder.created(
            id_,
            task.start_date or at,
            labels={"dag": task.dag_id, "task": task.task_id},
            spec={
                "displayName": f"{task.dag_id}.{task.task_id}",
                "dag": task.dag_id,
                "run": task.run_id,
                "task": task.task_id,
                "mapIndex": index,
            },
            parents=[run],
            root=run,
        )
        self.recorder.report(id_, type_, at, run_id=f"try-{task.try_number}", **data)


class JobLedgerPlugin(AirflowPlugin):
    """The plugin that Airflow finds in its folder of plugins."""

    name = "jobledger"
    listeners = [AirflowListener()]
