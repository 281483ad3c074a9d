"""What a decided event must satisfy, and the events that follow from it."""

from collections.abc import Sequence

from jobledger.domain import events as e
from jobledger.domain import run_events as r
from jobledger.domain.attempts import named_attempt, remembered
from jobledger.domain.data import Data
from jobledger.domain.errors import PastNeededError
from jobledger.domain.job.job import Job
from jobledger.domain.order import in_effect
from jobledger.domain.runs import closes_last, open_runs, run_accepts
from jobledger.domain.states import (
    EVALUATION_JOBS,
    TERMINAL,
    JobState,
    Stage,
    allowed,
    state_after,
)

Past = Sequence[e.Event]


def accepts(job: Job, stage: Stage, fact: Data) -> bool:
    """Whether the lifecycle table allows the event in that state."""
    event = type(fact).__name__
    return allowed(event, stage, job.kind) and run_accepts(fact, job.output)


def followed(facts: tuple[Data, ...], job: Job, past: Past | None = None) -> tuple[Data, ...]:
    """Adds the events that follow from the given ones.

    An evaluation job is RUNNING while any of its runs is open; the labels of an update apply once
    it has succeeded.

    Args:
        facts: The decided events.
        job: The job before them.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The events, with those that follow.
    """
    match facts:
        case (e.Updated(error=None),) if job.state is JobState.UPDATING:
            return (*facts, *new_labels(_asked_labels(job, past), job))
        case (e.Resumed(),) if job.kind == EVALUATION_JOBS and open_runs(job.output):
            return (*facts, e.Started())
        case (first, *_) if job.state is JobState.RUNNING and closes_last(first, job.output):
            return (*facts, r.Scheduled())
    return facts


def last_entry(job: Job, past: Past | None) -> Data:
    """Returns the data of the event by which the job entered its state; raises PastNeededError."""
    if not past or past[-1].version != job.version:
        raise PastNeededError(job.name)
    return [event.data for event in in_effect(past) if state_after(event.type) is not None][-1]


def with_ended_run(report: Data, job: Job, past: Past | None) -> Job:
    """Returns the job with the run that ended it, if no start named that run and the report does.

    An end does not name the attempt in the job's row. A report that begins a retry of that run is
    on another attempt.

    Args:
        report: The data of the report.
        job: The job before it.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The job.

    Raises:
        PastNeededError: `past` is needed, and is None or not complete.
    """
    if job.state not in TERMINAL or job.run_ids[-1:] not in ((), (None,)):
        return job
    number, run_id = named_attempt(report)
    if number is not None or run_id is None or isinstance(report, e.Retried):
        return job
    if named_attempt(last_entry(job, past)).run_id != run_id:
        return job
    return job.model_copy(update={"run_ids": remembered(job.run_ids, run_id, 0)})


def new_labels(labels: dict[str, str] | None, job: Job) -> tuple[Data, ...]:
    """Returns the event that gives the job these labels; empty if it has them, or for None."""
    return () if labels is None or labels == job.labels else (e.LabelsChanged(labels=labels),)


def _asked_labels(job: Job, past: Past | None) -> dict[str, str] | None:
    """Returns the labels that the update under way asked for; None if it asked for none."""
    update = last_entry(job, past)
    return update.labels if isinstance(update, e.Updating) else None
