"""Decides commands: which events a command causes, or why it is refused."""

from datetime import datetime
from typing import assert_never

from jobledger.domain import events as e
from jobledger.domain import run_events as r
from jobledger.domain.commands import (
    CancelJob,
    ChangeConfig,
    ChangeLabels,
    ChangePolicy,
    CreateJob,
    DeleteJob,
    JobCommand,
    PauseJob,
    ResumeJob,
    RetryJob,
    StepRun,
    UpdateJob,
)
from jobledger.domain.data import Data
from jobledger.domain.errors import (
    EtagMismatchError,
    IllegalTransitionError,
    JobExistsError,
    JobNotFoundError,
)
from jobledger.domain.job.following import Past, accepts, followed, new_labels
from jobledger.domain.job.job import Job
from jobledger.domain.placing import SETTERS, find_date, late
from jobledger.domain.states import (
    ABSENT,
    ACTIVE,
    DELETED,
    EVALUATION_JOBS,
    LIVE,
    TERMINAL,
    JobState,
    Outside,
    state_after,
    states_allowing,
)


def decide(
    command: JobCommand, job: Job, *, at: datetime | None = None, past: Past | None = None
) -> tuple[Data, ...]:
    """Decides a command: returns the events that it causes, or refuses it.

    Args:
        command: The command.
        job: The job before it.
        at: When it occurred (UTC); None is now. Labels, configurations and policies are dated back
            to that time if nothing changed them since.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events; empty if the job is as asked for already.

    Raises:
        JobExistsError: `CreateJob` names a job that exists.
        JobNotFoundError: There is no such job, or it was deleted.
        EtagMismatchError: The job's etag is not the command's.
        IllegalTransitionError: The lifecycle table does not allow the command.
        PastNeededError: `past` is needed, and is None or not complete.
    """
    facts = _decided(command, job)
    return tuple(_dated(fact, job, at, past) for fact in facts) if len(facts) == 1 else facts


def _dated(fact: Data, job: Job, at: datetime | None, past: Past | None) -> Data:
    """Dates the change of a command back to the time at which it occurred, if that is possible."""
    found = late(fact, job, at, is_allowed=True)
    if found is None or found.event not in SETTERS:
        return fact
    placement = find_date(found, job, past)
    return fact if placement is None else e.place(fact, placement)


def _decided(command: JobCommand, job: Job) -> tuple[Data, ...]:
    """Decides a command, without dating anything back."""
    stage = job.stage
    if isinstance(command, CreateJob):
        if stage is not ABSENT:
            raise JobExistsError(job.name, deleted=stage is DELETED)
    elif isinstance(stage, Outside):
        raise JobNotFoundError(job.name, deleted=stage is DELETED)
    if command.etag is not None and command.etag != job.etag:
        raise EtagMismatchError(job.name)
    facts = followed(_facts(command, job), job)
    for fact in facts:
        event = type(fact).__name__
        if not accepts(job, stage, fact):
            allowed_in = [state.name for state in states_allowing(event, job.kind)]
            raise IllegalTransitionError(job.name, stage.name, event, allowed_in)
        stage = state_after(event) or stage
    return facts


def _facts(command: JobCommand, job: Job) -> tuple[Data, ...]:
    """Returns the events that the command would cause; the lifecycle table then judges them."""
    match command:
        case CreateJob(labels=labels, spec=spec, preparing=preparing):
            created = e.Created.of_valid(labels=labels, spec=spec)
            return (created, e.Preparing()) if preparing else (created,)
        case CancelJob() if job.state is JobState.CANCELLING:
            return ()
        case CancelJob(unless_ended=True) if job.state in TERMINAL:
            return ()
        case CancelJob(reason=reason) if job.state in {JobState.QUEUED, JobState.PAUSED}:
            # It does not run, so it ends at once.
            return (e.Cancelling(reason=reason), e.Cancelled(reason=reason))
        case CancelJob(reason=reason):
            return (e.Cancelling(reason=reason),)
        case PauseJob() if job.state is JobState.PAUSED:
            return ()
        case PauseJob(reason=reason):
            return (e.Paused(reason=reason),)
        case ResumeJob() if job.kind == EVALUATION_JOBS and job.state in ACTIVE:
            return ()
        case ResumeJob(running=running):
            return (e.Resumed(), e.Started()) if running else (e.Resumed(),)
        case UpdateJob(spec=spec, labels=labels):
            return (e.Updating(spec=spec, labels=None if labels == job.labels else labels),)
        case ChangeConfig(spec=spec):
            return () if spec == job.spec else (e.ConfigChanged(spec=spec),)
        case RetryJob(reason=reason):
            return (e.Retried(reason=reason),)
        case ChangeLabels(labels=labels):
            return new_labels(labels, job)
        case ChangePolicy(policy=policy):
            return (e.PolicyChanged(policy=policy),)
        case StepRun(facts=facts):
            return facts
        case DeleteJob(stop=True) if job.state in LIVE:
            stopped = r.Stopped() if job.kind == EVALUATION_JOBS else e.Cancelled()
            return (stopped, e.Deleted())
        case DeleteJob():
            return (e.Deleted(),)
        case _:
            assert_never(command)
