"""The job: `evolve` folds its events; `decide` and `judge` turn commands and reports into events.

A command is granted or refused. A report is recorded as it is, or as `Contradicted`. The fold
accepts any history and refuses nothing. It takes events in the order in which they take effect (see
order.py).
"""

from __future__ import annotations

import binascii
import hashlib
import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, assert_never

from jobledger.domain import events as e
from jobledger.domain import run_events as r
from jobledger.domain.attempts import (
    BEGINNINGS,
    EARLIER,
    Beginning,
    RunIds,
    attempts_ahead,
    named_attempt,
    remembered,
    repeats_retry,
    sends_back,
    settled,
)
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
from jobledger.domain.data import CANCELLED, UNKNOWN, Data, Status
from jobledger.domain.errors import (
    EtagMismatchError,
    IllegalTransitionError,
    JobExistsError,
    JobNotFoundError,
    PastNeededError,
)
from jobledger.domain.order import CONTRADICTED, in_effect
from jobledger.domain.placing import SETTERS, find_date, find_place, late
from jobledger.domain.runs import (
    check_reported,
    closes_last,
    fold_run,
    kept,
    open_runs,
    run_accepts,
)
from jobledger.domain.states import (
    ABSENT,
    ACTIVE,
    DELETED,
    ENDINGS,
    EVALUATION_JOBS,
    LIVE,
    TERMINAL,
    JobState,
    Outside,
    Stage,
    allowed,
    begins_attempt,
    ends_lost,
    state_after,
    states_allowing,
)
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import kind_of, project_of
from pydantic import BaseModel, ConfigDict, Field

S = JobState
Past = Sequence[e.Event]
_set = object.__setattr__
TIMES: Final = (
    "create_time",
    "start_time",
    "end_time",
    "update_time",
    "effective_time",
    "delete_time",
)


class Job(BaseModel):
    """A job, as its events make it; satisfies eventsourcing's ImmutableAggregateProtocol.

    Times are UTC: when an event occurred, or when it was recorded if that was earlier. The states
    and times are those of Vertex AI's jobs (google.cloud.aiplatform.v1.CustomJob).

    Attributes:
        name: The resource name (AIP-122).
        version: The number of its events.
        state: The state; None before the job was created.
        attempt: The number of the current attempt, from 1.
        create_time: When it was created.
        start_time: When it first entered RUNNING.
        end_time: When it entered the terminal state that it is in; None in any other state.
        update_time: The latest time of any of its events.
        effective_time: When its last event took effect, if that is not `update_time`; else None.
        delete_time: When it was deleted.
        error: The error of a failed or cancelled job, a google.rpc.Status as JSON.
        error_message: The error's message, or the reason of the present state.
        labels: The labels.
        spec: The configuration, a JSON object.
        output: What it produced, a JSON object.
        run_ids: The reporters' ids of its attempts; the last is the current attempt's, or None.

    Examples:
        >>> job = ledger.create("projects/demo/jobs/a", {"team": "vision"})
        >>> job.state.name, job.version, job.project, job.kind
        ('QUEUED', 1, 'demo', 'jobs')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    version: int = 0
    state: JobState | None = None
    attempt: int = 1
    create_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    update_time: datetime | None = None
    effective_time: datetime | None = None
    delete_time: datetime | None = None
    error: JsonObject | None = None
    error_message: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    spec: JsonObject = Field(default_factory=dict)
    output: JsonObject | None = None
    run_ids: RunIds = ()

    @property
    def id(self) -> str:
        """The job's name, under eventsourcing's name for it."""
        return self.name

    @property
    def project(self) -> str:
        """The project's id: `p` in `projects/p/jobs/train_1`."""
        return project_of(self.name)

    @property
    def kind(self) -> str:
        """The collection of the job, such as `jobs` or `customJobs`."""
        return kind_of(self.name)

    @property
    def etag(self) -> str:
        """The etag (AIP-154), which changes with every event: base64 with padding."""
        digest = hashlib.sha256(f"{self.name}@{self.version}".encode()).digest()
        return binascii.b2a_base64(digest[:8], newline=False).decode()

    @property
    def last_effect(self) -> datetime | None:
        """When the last event took effect (UTC); later events take effect no earlier."""
        return self.effective_time or self.update_time

    def known_at(self, recorded_time: datetime) -> Job:
        """Returns the job with its times limited to a recorded time.

        Args:
            recorded_time: When the last events were recorded (UTC): they took effect no later.

        Returns:
            The job; itself if none of its times is later.
        """
        if self.update_time is None or self.update_time <= recorded_time:
            return self
        values = ((field, getattr(self, field)) for field in TIMES)
        times = {field: min(time, recorded_time) for field, time in values if time is not None}
        if times.get("effective_time") == recorded_time:
            times["effective_time"] = None
        return self.model_copy(update=times)

    @property
    def stage(self) -> Stage:
        """The state; ABSENT before the job was created, and DELETED after it was deleted."""
        if self.delete_time is not None:
            return DELETED
        return ABSENT if self.state is None else self.state

    @property
    def standing(self) -> Stage:
        """Deprecated: the former name of `stage`."""
        warnings.warn("Job.standing is now Job.stage", DeprecationWarning, stacklevel=2)
        return self.stage


_ABSENT: Final = Job.model_construct(name="")


def evolve(job: Job, event: e.Event) -> Job:
    """Applies the event that takes effect next; any event is accepted.

    Args:
        job: The job before the event.
        event: The event.

    Returns:
        The job after the event.

    Examples:
        >>> from jobledger.domain.job import Job, evolve
        >>> event = ledger.create("projects/demo/jobs/a") and ledger.history("projects/demo/jobs/a")[0]
        >>> evolve(Job(name=event.name), event.event).state.name
        'QUEUED'
    """
    after = _copied(job)
    _apply(after.__dict__, event)
    return after


def replay(job: Job, events: Iterable[e.Event]) -> Job:
    """Applies events in the given order, which is the order in which they take effect."""
    after = _copied(job)
    # It is not shared yet, so its fields may still be set.
    fields = after.__dict__
    for event in events:
        _apply(fields, event)
    return after


def _copied(job: Job) -> Job:
    """Copies a job as model_copy() does, in half the time: each event of each job needs it."""
    after = Job.__new__(Job)
    _set(after, "__dict__", job.__dict__.copy())
    _set(after, "__pydantic_fields_set__", job.__pydantic_fields_set__)
    _set(after, "__pydantic_extra__", None)
    _set(after, "__pydantic_private__", None)
    return after


def job_with(fields: dict[str, Any]) -> Job:
    """Makes the job that has these values of all fields, as model_construct() does, in a tenth of the time.

    Args:
        fields: A value for each field of a job, which nothing else will change; they are not validated.

    Returns:
        The job.
    """
    job = _copied(_ABSENT)
    _set(job, "__dict__", fields)
    return job


def absent(name: str) -> Job:
    """Returns a job that has no events yet, as Job(name=name) does, in half the time."""
    job = _copied(_ABSENT)
    job.__dict__.update(name=name, labels={}, spec={})
    return job


def fold(job: Job, events: Iterable[e.Event]) -> Job:
    """Applies events that are given in any order, without gaps.

    Args:
        job: The job before the events.
        events: The events that follow.

    Returns:
        The job after all events.

    Raises:
        PastNeededError: An event takes effect before events that `job` contains already.
    """
    following = sorted(events, key=attrgetter("version"))
    if all(event.placed_after is None for event in following):
        return replay(job, following)
    if job.version:
        raise PastNeededError(job.name)
    return replay(job, in_effect(following))


def recorded(job: Job, event: e.Event, past: Past | None = None) -> Job:
    """Applies an event that is recorded next, and may take effect earlier.

    Args:
        job: The job before the event.
        event: The event.
        past: All events before it, in the order of versions; None if they were not read.

    Returns:
        The job after the event.

    Raises:
        PastNeededError: The event takes effect before others, and `past` is None or not complete.
    """
    if event.placed_after is None:
        return evolve(job, event)
    if past is None or not past or past[-1].version != job.version:
        raise PastNeededError(job.name)
    return fold(Job(name=job.name), [*past, event])


def project_job(job: Job | None, events: Iterable[e.Event]) -> Job | None:
    """As `fold`, in the form of a projector function for eventsourcing's `Repository.get`."""
    following = list(events)
    if not following:
        return job
    return fold(Job(name=following[0].name) if job is None else job, following)


def _apply(fields: dict[str, Any], event: e.Event) -> None:
    data, at = event.data, event.bounded_time
    type_ = type(data).__name__
    update = fields["update_time"]
    if update is None or (at >= update and type_ != CONTRADICTED):
        fields["update_time"], fields["effective_time"] = at, None
    else:
        _take_effect(fields, type_, at)
    fields["version"] = max(fields["version"], event.version)
    to = state_after(type_)
    if to is not None:
        fields["state"] = to
        fields["end_time"] = at if type_ in ENDINGS else None
        if to is S.RUNNING and fields["start_time"] is None:
            fields["start_time"] = at
        fields["error"], fields["error_message"] = _error(data, fields["error_message"])
    _apply_data(fields, data, at)


def _take_effect(fields: dict[str, Any], type_: str, at: datetime) -> None:
    """Notes when an event takes effect that occurred before another, or is a contradicted report."""
    update = fields["update_time"]
    last = fields["effective_time"] or update
    fields["update_time"] = latest = max(update, at)
    effective = last if type_ == CONTRADICTED else max(at, last)
    fields["effective_time"] = None if effective == latest else effective


def _error(data: Data, before: str | None) -> tuple[JsonObject | None, str | None]:
    """Returns the error and its message in the state that is entered; `before` is the message so far."""
    match data:
        case e.Started() | e.Created() | e.Succeeded():  # Most of all that happens.
            return None, None
        case e.Failed(error=None):
            return {"code": UNKNOWN, "message": ""}, ""
        case e.Failed(error=Status() as status):
            return status.model_dump(), status.message
        case e.Cancelled(reason=reason):
            message = before if reason is None else reason
            return {"code": CANCELLED, "message": message or ""}, message
        case e.Cancelling(reason=reason) | e.Expired(reason=reason):
            return None, reason
    return None, None


def _apply_data(fields: dict[str, Any], data: Data, at: datetime) -> None:
    """Applies the fields of the event's data."""
    match data:
        case e.Started(attempts_begun=0, run_id=None):
            pass
        case e.Created(labels=labels, spec=spec):
            fields["labels"], fields["spec"] = labels, spec
            fields["create_time"] = fields["create_time"] or at
        case e.LabelsChanged(labels=labels):
            fields["labels"] = labels
        case e.Updated(spec=dict() as spec) | e.ConfigChanged(spec=spec):
            fields["spec"] = spec
        case (
            e.Succeeded(output=dict() as output)
            | e.PartiallySucceeded(output=dict() as output)
            | e.ProgressReported(output=dict() as output)
        ):
            fields["output"] = output | _runs_kept(fields)
        case r.RunStarted() | r.EvaluationCreated() | r.RunFailed() if _has_runs(fields):
            fields["output"] = fold_run(fields["output"], data)
        case e.Retried() | e.Started() | e.Queued() | e.Preparing():
            _begin(fields, data)
        case e.Deleted():
            fields["delete_time"] = at


def _begin(fields: dict[str, Any], data: Beginning) -> None:
    """Notes the attempts that begin with the event, and the run id of the current one."""
    if data.attempts_begun:
        fields["attempt"] += data.attempts_begun
        fields["output"] = _runs_kept(fields) or None
    fields["run_ids"] = remembered(fields["run_ids"], data.run_id, data.attempts_begun)


def _has_runs(fields: dict[str, Any]) -> bool:
    return kind_of(fields["name"]) == EVALUATION_JOBS


def _runs_kept(fields: dict[str, Any]) -> JsonObject:
    return kept(fields["output"]) if fields["output"] and _has_runs(fields) else {}


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
    facts = _followed(_facts(command, job), job)
    for fact in facts:
        event = type(fact).__name__
        if not _accepts(job, stage, fact):
            allowed_in = [state.name for state in states_allowing(event, job.kind)]
            raise IllegalTransitionError(job.name, stage.name, event, allowed_in)
        stage = state_after(event) or stage
    return facts


def _accepts(job: Job, stage: Stage, fact: Data) -> bool:
    """Whether the lifecycle table allows the event in that state."""
    event = type(fact).__name__
    return allowed(event, stage, job.kind) and run_accepts(fact, job.output)


def _followed(facts: tuple[Data, ...], job: Job, past: Past | None = None) -> tuple[Data, ...]:
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
        case (e.Updated(error=None),) if job.state is S.UPDATING:
            return (*facts, *_new_labels(_asked_labels(job, past), job))
        case (e.Resumed(),) if job.kind == EVALUATION_JOBS and open_runs(job.output):
            return (*facts, e.Started())
        case (first, *_) if job.state is S.RUNNING and closes_last(first, job.output):
            return (*facts, r.Scheduled())
    return facts


def _facts(command: JobCommand, job: Job) -> tuple[Data, ...]:
    """Returns the events that the command would cause; the lifecycle table then judges them."""
    match command:
        case CreateJob(labels=labels, spec=spec, preparing=preparing):
            created = e.Created(labels=labels, spec=spec)
            return (created, e.Preparing()) if preparing else (created,)
        case CancelJob() if job.state is S.CANCELLING:
            return ()
        case CancelJob(unless_ended=True) if job.state in TERMINAL:
            return ()
        case CancelJob(reason=reason) if job.state in {S.QUEUED, S.PAUSED}:
            # It does not run, so it ends at once.
            return (e.Cancelling(reason=reason), e.Cancelled(reason=reason))
        case CancelJob(reason=reason):
            return (e.Cancelling(reason=reason),)
        case PauseJob() if job.state is S.PAUSED:
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
            return _new_labels(labels, job)
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


def _asked_labels(job: Job, past: Past | None) -> dict[str, str] | None:
    """The labels that the update under way asked for; None if it asked for none."""
    if not past or past[-1].version != job.version:
        raise PastNeededError(job.name)
    entered = [event.data for event in in_effect(past) if state_after(event.type) is not None]
    return entered[-1].labels if isinstance(entered[-1], e.Updating) else None


def _new_labels(labels: dict[str, str] | None, job: Job) -> tuple[Data, ...]:
    return () if labels is None or labels == job.labels else (e.LabelsChanged(labels=labels),)


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
        return _followed((settled(report, job, begun),), job, past)
    if ahead > 0 and (inferred := _inferred(report, job, ahead)):
        return inferred
    if stage is ABSENT:
        raise JobNotFoundError(job.name, reported=True)
    if ahead == 0 and ends_lost(event, stage, job.kind) and _was_lost(job, past):
        return (report,)
    return (e.Contradicted(report=event, state=stage.name, data=report.json_object()),)


def _was_lost(job: Job, past: Past | None) -> bool:
    """Whether the job is in its state only because its heartbeats stopped."""
    if not past or past[-1].version != job.version:
        raise PastNeededError(job.name)
    entered = [event.data for event in in_effect(past) if state_after(event.type) is not None]
    return isinstance(entered[-1], e.Expired) and entered[-1].lost


def _attempts_begun(report: Data, job: Job, ahead: int, at: datetime | None) -> int | None:
    """Returns how many attempts the report begins; None if the state does not allow the report."""
    event, stage = type(report).__name__, job.stage
    if ahead == EARLIER or repeats_retry(report, job):
        return None
    if ahead > 0:
        begins = begins_attempt(event, stage, job.kind, named=True)
        return ahead if begins and isinstance(report, BEGINNINGS) else None
    if _accepts(job, stage, report):
        return 1 if isinstance(report, e.Retried) else 0
    return 1 if sends_back(report, job, at) else None


def _inferred(report: Data, job: Job, ahead: int) -> tuple[Data, ...]:
    """Returns the inferred beginning of a later attempt and the report; empty if it cannot begin."""
    if isinstance(report, BEGINNINGS) or not allowed(type(report).__name__, S.RUNNING, job.kind):
        return ()
    if not begins_attempt("Started", job.stage, job.kind, named=True):
        return ()
    run_id = named_attempt(report).run_id
    started = e.Started(attempts_begun=ahead, run_id=run_id, inferred=True)
    return (settled(started, job, ahead), report)
