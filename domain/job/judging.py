"""Decides reports: a report is recorded as it is, with a placement, or as `Contradicted`; never refused."""

from datetime import datetime

from jobledger.domain import events as e
from jobledger.domain.attempts import (
    BEGINNINGS,
    EARLIER,
    attempts_ahead,
    named_attempt,
    repeats_retry,
    sends_back,
    settled,
)
from jobledger.domain.data import Data
from jobledger.domain.errors import JobNotFoundError
from jobledger.domain.job.following import Past, accepts, followed, last_entry, with_ended_run
from jobledger.domain.job.job import Job
from jobledger.domain.placing import find_place, late
from jobledger.domain.runs import check_reported
from jobledger.domain.states import (
    ABSENT,
    EVALUATION_JOBS,
    JobState,
    allowed,
    begins_attempt,
    ends_lost,
)


def judge(
    report: Data, job: Job, at: datetime | None = None, past: Past | None = None
) -> tuple[Data, ...]:
    """Decides a report: records it, with events that follow from it, or as `Contradicted`.

    A report on an attempt that has not begun is preceded by an inferred beginning of that attempt.
    A late report that fits where it happened is recorded with a placement (see placing.py). The
    reported end of a job whose heartbeats had stopped is recorded as it is.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC); None is now.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events.

    Raises:
        JobNotFoundError: The job was never created.
        PastNeededError: `past` is needed, and is None or not complete.
        InvalidFieldError: The report sets a field that only an evaluation job's runs set.
    """
    if job.kind == EVALUATION_JOBS:
        check_reported(report)
    else:
        job = with_ended_run(report, job, past)
    facts = _judged(report, job, at, past)
    is_allowed = not isinstance(facts[0], e.Contradicted)
    found = late(report, job, at, is_allowed=is_allowed) if len(facts) == 1 else None
    placement = None if found is None else find_place(found, job, past)
    if placement is None:
        return facts
    return (e.place(report if not is_allowed else facts[0], placement),)


def _judged(report: Data, job: Job, at: datetime | None, past: Past | None) -> tuple[Data, ...]:
    """Decides a report, without placing it."""
    event, stage = type(report).__name__, job.stage
    ahead = attempts_ahead(report, job, at)
    begun = _attempts_begun(report, job, ahead, at)
    if begun is not None:
        return followed((settled(report, job, begun),), job, past)
    if ahead > 0 and (inferred := _inferred(report, job, ahead)):
        return inferred
    if stage is ABSENT:
        raise JobNotFoundError(job.name, reported=True)
    if ahead == 0 and ends_lost(event, stage, job.kind) and _was_lost(job, past):
        return (report,)
    return (e.Contradicted(report=event, state=stage.name, data=report.json_object()),)


def _was_lost(job: Job, past: Past | None) -> bool:
    """Whether the job is in its state only because its heartbeats stopped."""
    expired = last_entry(job, past)
    return isinstance(expired, e.Expired) and expired.lost


def _attempts_begun(report: Data, job: Job, ahead: int, at: datetime | None) -> int | None:
    """Returns how many attempts the report begins; None if the state does not allow the report."""
    event, stage = type(report).__name__, job.stage
    if ahead == EARLIER or repeats_retry(report, job):
        return None
    if ahead > 0:
        begins = begins_attempt(event, stage, job.kind, named=True)
        return ahead if begins and isinstance(report, BEGINNINGS) else None
    if accepts(job, stage, report):
        return 1 if isinstance(report, e.Retried) else 0
    return 1 if sends_back(report, job, at) else None


def _inferred(report: Data, job: Job, ahead: int) -> tuple[Data, ...]:
    """Returns the inferred beginning of a later attempt and the report; empty if it cannot begin."""
    if isinstance(report, BEGINNINGS) or not allowed(
        type(report).__name__, JobState.RUNNING, job.kind
    ):
        return ()
    if not begins_attempt("Started", job.stage, job.kind, named=True):
        return ()
    run_id = named_attempt(report).run_id
    started = e.Started(attempts_begun=ahead, run_id=run_id, inferred=True)
    return (settled(started, job, ahead), report)
