"""Decides on reports of Kubernetes objects, which repeat what is known, and say nothing of what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobledger.domain import events as e
from jobledger.domain.attempts import attempts_ahead, is_late
from jobledger.domain.data import Data
from jobledger.domain.job import Job, judge
from jobledger.domain.observing import as_comment, catch_up, catch_up_in_order, introduce
from jobledger.domain.reports import parse_report
from jobledger.domain.states import JobState

ENDS_PODS = (JobState.PAUSED, JobState.CANCELLED)
"""The states of a Job whose Pods Kubernetes deletes."""


def introduce_object(
    created: Data, job: Job, at: datetime | None = None, past: Sequence[e.Event] | None = None
) -> tuple[Data, ...]:
    """Makes the job; an object that was deleted and made again begins its next attempt.

    Args:
        created: The data of the report.
        job: The job before it.
        at: When the object was made (UTC).
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events; none if the object is known.
    """
    if not isinstance(created, e.Created) or not _is_another(created, job) or is_late(job, at):
        return introduce(created, job)
    again = {"attempt": job.attempt + 1, "reason": "its object was made again in Kubernetes"}
    facts = judge(parse_report("Queued", again), job, at, past)
    if isinstance(facts[0], e.Contradicted):
        return ()
    return (*facts, e.ConfigChanged(spec=created.spec))


def _is_another(created: e.Created, job: Job) -> bool:
    """Whether an object has another uid than the one that the job was made of."""
    uids = {(job.spec or {}).get("uid"), created.spec.get("uid")}
    return len(uids - {None}) > 1


def catch_up_job(
    report: Data, job: Job, at: datetime | None = None, past: Sequence[e.Event] | None = None
) -> tuple[Data, ...]:
    """Decides on the state of a Job: one that is suspended can be completed by the Pods that it had.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC).
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events; none if the history says so already.
    """
    decide = catch_up_in_order if job.state is JobState.PAUSED else catch_up
    return decide(report, job, at, past)


def catch_up_pod(
    report: Data, job: Job, at: datetime | None = None, past: Sequence[e.Event] | None = None
) -> tuple[Data, ...]:
    """Decides on the state of a Pod: that of a suspended or deleted Job fails because of that.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC).
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events; none if the history says so already.
    """
    is_current = isinstance(report, e.Failed) and attempts_ahead(report, job, at) == 0
    if not is_current or job.state not in ENDS_PODS:
        return catch_up(report, job, at, past)
    return (as_comment(report, f"of its Pod, which ended while the Job was {job.state.name}"),)
