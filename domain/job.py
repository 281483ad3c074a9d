"""The job: folded from its events by `evolve`, and asked for more of them by `decide` and `judge`.

A command is granted or refused; a report is kept as it is, or as `Contradicted`.
The fold believes history and never refuses.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never

from pydantic import BaseModel, ConfigDict

from jobledger.domain import events as e
from jobledger.domain.canonical import JsonObject
from jobledger.domain.commands import (
    CancelJob,
    ChangeLabels,
    CreateJob,
    DeleteJob,
    JobCommand,
    PauseJob,
    ResumeJob,
    RetryJob,
    UpdateJob,
)
from jobledger.domain.errors import IllegalTransitionError, JobExistsError, JobNotFoundError
from jobledger.domain.names import kind_of, project_of
from jobledger.domain.states import (
    GONE,
    NOTHING,
    TERMINAL,
    JobState,
    Outside,
    Standing,
    allowed,
    state_after,
)

S = JobState


class Job(BaseModel):
    """A job as its events make it; satisfies eventsourcing's ImmutableAggregateProtocol.

    Times are UTC and those at which things occurred. `start_time` is the first
    entry into RUNNING and never rewritten; `end_time` the entry into the terminal
    state it is in; `update_time` the latest time any of its events occurred.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = 0
    state: JobState | None = None
    attempt: int = 1
    create_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    update_time: datetime | None = None
    delete_time: datetime | None = None
    error: JsonObject | None = None
    error_message: str | None = None
    labels: dict[str, str] = {}
    spec: JsonObject = {}
    output: JsonObject | None = None

    @property
    def id(self) -> str:
        """The job's name, as eventsourcing calls it."""
        return self.name

    @property
    def project(self) -> str:
        """`p`, of `projects/p/jobs/train_1`."""
        return project_of(self.name)

    @property
    def kind(self) -> str:
        """The collection the job is in, such as `jobs` or `customJobs`."""
        return kind_of(self.name)

    @property
    def etag(self) -> str:
        """Changes with every event (AIP-154); base64 with padding, to be compared as bytes."""
        digest = hashlib.sha256(f"{self.name}@{self.version}".encode()).digest()
        return base64.b64encode(digest[:8]).decode()

    @property
    def standing(self) -> Standing:
        """What the next event meets: the state, nothing yet, or a deleted job."""
        if self.delete_time is not None:
            return GONE
        return NOTHING if self.state is None else self.state


def evolve(job: Job, event: e.Event) -> Job:
    """The job after one more recorded event, whatever it is: history is believed, never judged."""
    data, at = event.data, event.occurred_time
    after = job.model_copy()
    # A copy nobody else has seen yet: its fields may still be set.
    fields = after.__dict__
    fields["version"] = event.version
    if job.update_time is None or at > job.update_time:
        fields["update_time"] = at
    to = state_after(type(data).__name__)
    if to is not None:
        _enter(fields, to, data, at)
    _tell(fields, data, at)
    return after


def _enter(fields: dict[str, Any], to: JobState, data: e.Data, at: datetime) -> None:
    """What changes because a state is entered."""
    message, error = None, None
    match data:
        case e.Failed(error=None):
            message, error = "", {"code": e.UNKNOWN, "message": ""}
        case e.Failed(error=e.Status() as status):
            message, error = status.message, status.model_dump()
        case e.Cancelled(reason=reason):
            message = fields["error_message"] if reason is None else reason
            error = {"code": e.CANCELLED, "message": message or ""}
        case e.Cancelling(reason=reason) | e.Expired(reason=reason):
            message = reason
    fields["state"] = to
    fields["error"] = error
    fields["error_message"] = message
    fields["end_time"] = at if to in TERMINAL else None
    if to is S.RUNNING and fields["start_time"] is None:
        fields["start_time"] = at


def _tell(fields: dict[str, Any], data: e.Data, at: datetime) -> None:
    """What changes because the event says so."""
    match data:
        case e.Started():
            pass
        case e.Created(labels=labels, spec=spec):
            fields["labels"], fields["spec"] = labels, spec
            fields["create_time"] = fields["create_time"] or at
        case e.LabelsChanged(labels=labels):
            fields["labels"] = labels
        case e.Updated(spec=dict() as spec):
            fields["spec"] = spec
        case (
            e.Succeeded(output=dict() as output)
            | e.PartiallySucceeded(output=dict() as output)
            | e.ProgressReported(output=dict() as output)
        ):
            fields["output"] = output
        case e.Retried():
            fields["attempt"] += 1
            fields["output"] = None
        case e.Deleted():
            fields["delete_time"] = at


def replay(job: Job | None, events: Iterable[e.Event]) -> Job | None:
    """The job after `events`, in their order; None if there are none to begin it with.

    It is a projector function for eventsourcing's `Repository.get`.
    """
    for event in events:
        job = evolve(Job(name=event.name) if job is None else job, event)
    return job


def decide(command: JobCommand, job: Job) -> tuple[e.Data, ...]:
    """What happens because of `command`; nothing, if it holds already.

    Raises JobExistsError, JobNotFoundError or IllegalTransitionError.
    """
    standing = job.standing
    if isinstance(command, CreateJob):
        if standing is not NOTHING:
            raise JobExistsError(job.name)
    elif isinstance(standing, Outside):
        raise JobNotFoundError(job.name, deleted=standing is GONE)
    facts = _facts(command, job)
    for fact in facts:
        event = type(fact).__name__
        if not allowed(event, standing):
            raise IllegalTransitionError(job.name, standing.name, event)
        standing = state_after(event) or standing
    return facts


def _facts(command: JobCommand, job: Job) -> tuple[e.Data, ...]:
    """What the command would make happen; the table alone says whether it may."""
    match command:
        case CreateJob(labels=labels, spec=spec):
            return (e.Created(labels=labels, spec=spec),)
        case CancelJob() if job.state is S.CANCELLING:
            return ()
        case CancelJob(reason=reason) if job.state in {S.QUEUED, S.PAUSED}:
            # Nobody runs it, so there is nobody to wait for.
            return (e.Cancelling(reason=reason), e.Cancelled(reason=reason))
        case CancelJob(reason=reason):
            return (e.Cancelling(reason=reason),)
        case PauseJob() if job.state is S.PAUSED:
            return ()
        case PauseJob(reason=reason):
            return (e.Paused(reason=reason),)
        case ResumeJob():
            return (e.Resumed(),)
        case UpdateJob(spec=spec):
            return (e.Updating(spec=spec),)
        case RetryJob(reason=reason):
            return (e.Retried(reason=reason),)
        case ChangeLabels(labels=labels) if labels == job.labels:
            return ()
        case ChangeLabels(labels=labels):
            return (e.LabelsChanged(labels=labels),)
        case DeleteJob():
            return (e.Deleted(),)
        case _:
            assert_never(command)


def judge(report: e.Data, job: Job) -> e.Data:
    """What is recorded of a report: itself, or that it contradicts what is known.

    Raises JobNotFoundError for a report on a job that nobody created.
    """
    event, standing = type(report).__name__, job.standing
    if allowed(event, standing):
        return report
    if standing is NOTHING:
        raise JobNotFoundError(job.name)
    state = "DELETED" if standing is GONE else standing.name
    said = report.model_dump(by_alias=True, exclude_defaults=True)
    return e.Contradicted(report=event, state=state, data=said)
