"""Callbacks that record Airflow's task instances as jobs, each try as an attempt.

In a DAG:

    default_args = {
        "on_execute_callback": airflow_callbacks.started,
        "on_success_callback": airflow_callbacks.succeeded,
        "on_failure_callback": airflow_callbacks.failed,
        "on_retry_callback": airflow_callbacks.failed,
    }

Run by itself, it calls the callbacks as Airflow does for a task that fails once and is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from jobledger import JobExistsError, Ledger
from jobledger.names import display_name, job_id

PROJECT = "airflow"


def started(context: Mapping[str, Any]) -> None:
    """A try of a task begins."""
    task = context["task_instance"]
    with Ledger.open() as ledger:
        name = job_of(task)
        try:
            spec = {"displayName": display_name(label_of(task))}
            ledger.create(name, {"dag": task.dag_id, "task": task.task_id}, spec, actor="airflow")
        except JobExistsError:
            pass  # Another try of it: a report that names a new run begins a new attempt.
        ledger.started(name, {"worker": task.hostname}, run_id=run_of(task), actor="airflow")


def succeeded(context: Mapping[str, Any]) -> None:
    """A try succeeded."""
    task = context["task_instance"]
    with Ledger.open() as ledger:
        ledger.succeeded(job_of(task), run_id=run_of(task), actor="airflow")


def failed(context: Mapping[str, Any]) -> None:
    """A try failed; Airflow may try again."""
    task = context["task_instance"]
    error = {"code": 2, "message": str(context.get("exception") or "the task failed")}
    with Ledger.open() as ledger:
        ledger.failed(job_of(task), error, run_id=run_of(task), actor="airflow")


def label_of(task: Any) -> str:
    """What Airflow calls the task instance: DAG, task and run, without the try."""
    return f"{task.dag_id}.{task.task_id}.{task.run_id}.{task.map_index}"


def job_of(task: Any) -> str:
    return f"projects/{PROJECT}/jobs/{job_id(label_of(task))}"


def run_of(task: Any) -> str:
    return f"try-{task.try_number}"


def main() -> None:
    task = SimpleNamespace(
        dag_id="nightly", task_id="load", run_id="scheduled__2026-06-03T00:00:00+00:00",
        map_index=-1, try_number=1, hostname="airflow-worker-1",
    )  # fmt: skip
    started({"task_instance": task})
    failed({"task_instance": task, "exception": ConnectionError("the warehouse is away")})
    task.try_number = 2
    started({"task_instance": task})
    succeeded({"task_instance": task})
    with Ledger.open() as ledger:
        job = ledger.get(job_of(task))
        print(job.state.name if job.state else None, "attempt", job.attempt)
        print(*(event.type for event in ledger.history(job.name)))


if __name__ == "__main__":
    main()
