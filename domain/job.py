"""The job: folded from its events by `evolve`, and asked for more of them by `decide` and `judge`.

A command is granted or refused; a report is kept as it is, or as `Contradicted`.
The fold believes history and never refuses. It takes events in the order in which they take
effect (see order.py).
"""

from __future__ import annotations

import binascii
import hashlib
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
from jobledger.domain.runs import check_reported, closes_last, kept, open_runs, run_accepts, tell
from jobledger.domain.states import (
    ACTIVE,
    ENDINGS,
    EVALUATION_JOBS,
    GONE,
    LIVE,
    NOTHING,
    TERMINAL,
    JobState,
    Outside,
    Standing,
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
    """A job as its events make it; satisfies eventsourcing's ImmutableAggregateProtocol.

    Times are UTC and those at which things occurred, or were recorded, if that was earlier.
    `start_time` is the first entry into RUNNING; `end_time` the entry into the terminal state
    it is in; `update_time` the latest time any of its events occurred. Where that is the time
    of a contradicted report, `effective_time` is when the last event before took effect; else None.
    `run_ids` are those that its attempts were named by, the current attempt's last (None if that
    has none).
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
        return binascii.b2a_base64(digest[:8], newline=False).decode()

    @property
    def last_effect(self) -> datetime | None:
        """The time before which nothing that follows takes effect; None for a job without events."""
        return self.effective_time or self.update_time

    def known_at(self, recorded_time: datetime) -> Job:
        """The job if its last events were recorded then, before which all of them happened."""
        if self.update_time is None or self.update_time <= recorded_time:
            return self
        values = ((field, getattr(self, field)) for field in TIMES)
        times = {field: min(time, recorded_time) for field, time in values if time is not None}
        if times.get("effective_time") == recorded_time:
            times["effective_time"] = None
        return self.model_copy(update=times)

    @property
    def standing(self) -> Standing:
        """What the next event meets: the state, nothing yet, or a deleted job."""
        if self.delete_time is not None:
            return GONE
        return NOTHING if self.state is None else self.state


def evolve(job: Job, event: e.Event) -> Job:
    """The job after the event that takes effect next: history is believed, never judged."""
    after = _copied(job)
    _apply(after.__dict__, event)
    return after


def replay(job: Job, events: Iterable[e.Event]) -> Job:
    """The job after `events`, in the order in which they are given, which is that of their effects."""
    after = _copied(job)
    # Nobody else has seen it yet: its fields may still be set.
    fields = after.__dict__
    for event in events:
        _apply(fields, event)
    return after


def _copied(job: Job) -> Job:
    """What model_copy() makes, in half the time: every event of every job comes through here."""
    after = Job.__new__(Job)
    _set(after, "__dict__", job.__dict__.copy())
    _set(after, "__pydantic_fields_set__", job.__pydantic_fields_set__)
    _set(after, "__pydantic_extra__", None)
    _set(after, "__pydantic_private__", None)
    return after


def fold(job: Job, events: Iterable[e.Event]) -> Job:
    """The job after `events` of any order, none of them missing.

    Raises PastNeededError if one of them takes effect before events that `job` holds already.
    """
    following = sorted(events, key=attrgetter("version"))
    if all(event.placed_after is None for event in following):
        return replay(job, following)
    if job.version:
        raise PastNeededError(job.name)
    return replay(job, in_effect(following))


def recorded(job: Job, event: e.Event, past: Past | None = None) -> Job:
    """The job after an event that is recorded next; `past` are all events before it.

    Raises PastNeededError if it takes effect before others, and `past` is None or out of date.
    """
    if event.placed_after is None:
        return evolve(job, event)
    if past is None or not past or past[-1].version != job.version:
        raise PastNeededError(job.name)
    return fold(Job(name=job.name), [*past, event])


def project_job(job: Job | None, events: Iterable[e.Event]) -> Job | None:
    """The same for eventsourcing's `Repository.get`, as its projector function."""
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
    _tell(fields, data, at)


def _take_effect(fields: dict[str, Any], type_: str, at: datetime) -> None:
    """Notes when an event took effect that occurred before another, or is a contradicted report."""
    update = fields["update_time"]
    last = fields["effective_time"] or update
    fields["update_time"] = latest = max(update, at)
    effective = last if type_ == CONTRADICTED else max(at, last)
    fields["effective_time"] = None if effective == latest else effective


def _error(data: Data, before: str | None) -> tuple[JsonObject | None, str | None]:
    """The error and its message in the state that is entered; `before` is the message so far."""
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


def _tell(fields: dict[str, Any], data: Data, at: datetime) -> None:
    """What changes because the event says so."""
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
            fields["output"] = tell(fields["output"], data)
        case e.Retried() | e.Started() | e.Queued() | e.Preparing():
            _begin(fields, data)
        case e.Deleted():
            fields["delete_time"] = at


def _begin(fields: dict[str, Any], data: Beginning) -> None:
    """The attempt that begins with the event, if one does, and what it is named by."""
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
    """What happens because of `command`; nothing, if it holds already.

    `at` is when it occurred, None for now; labels, configurations and policies are dated back to
    that time if nothing changed them since. `past` is as in `judge`. Raises JobExistsError,
    JobNotFoundError, EtagMismatchError, IllegalTransitionError, or PastNeededError.
    """
    facts = _decided(command, job)
    return tuple(_dated(fact, job, at, past) for fact in facts) if len(facts) == 1 else facts


def _dated(fact: Data, job: Job, at: datetime | None, past: Past | None) -> Data:
    """What a command made happen, as of the time that it is said to have occurred at."""
    found = late(fact, job, at, is_allowed=True)
    if found is None or found.event not in SETTERS:
        return fact
    placement = find_date(found, job, past)
    return fact if placement is None else e.place(fact, placement)


def _decided(command: JobCommand, job: Job) -> tuple[Data, ...]:
    """The same in the order in which it is recorded."""
    standing = job.standing
    if isinstance(command, CreateJob):
        if standing is not NOTHING:
            raise JobExistsError(job.name, deleted=standing is GONE)
    elif isinstance(standing, Outside):
        raise JobNotFoundError(job.name, deleted=standing is GONE)
    if command.etag is not None and command.etag != job.etag:
        raise EtagMismatchError(job.name)
    facts = _followed(_facts(command, job), job)
    for fact in facts:
        event = type(fact).__name__
        if not _accepts(job, standing, fact):
            allowed_in = [state.name for state in states_allowing(event, job.kind)]
            raise IllegalTransitionError(job.name, standing.name, event, allowed_in)
        standing = state_after(event) or standing
    return facts


def _accepts(job: Job, standing: Standing, fact: Data) -> bool:
    """Whether the lifecycle table lets this happen to a job in that state."""
    event = type(fact).__name__
    return allowed(event, standing, job.kind) and run_accepts(fact, job.output)


def _followed(facts: tuple[Data, ...], job: Job) -> tuple[Data, ...]:
    """The facts, and what follows from them: an evaluation job is RUNNING while any run is open."""
    match facts:
        case (e.Resumed(),) if job.kind == EVALUATION_JOBS and open_runs(job.output):
            return (*facts, e.Started())
        case (first, *_) if job.state is S.RUNNING and closes_last(first, job.output):
            return (*facts, r.Scheduled())
    return facts


def _facts(command: JobCommand, job: Job) -> tuple[Data, ...]:
    """What the command would make happen; the table alone says whether it may."""
    match command:
        case CreateJob(labels=labels, spec=spec, preparing=preparing):
            created = e.Created(labels=labels, spec=spec)
            return (created, e.Preparing()) if preparing else (created,)
        case CancelJob() if job.state is S.CANCELLING:
            return ()
        case CancelJob(unless_ended=True) if job.state in TERMINAL:
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
        case ResumeJob() if job.kind == EVALUATION_JOBS and job.state in ACTIVE:
            return ()
        case ResumeJob(running=running):
            return (e.Resumed(), e.Started()) if running else (e.Resumed(),)
        case UpdateJob(spec=spec, labels=labels):
            return (*_new_labels(labels, job), e.Updating(spec=spec))
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


def _new_labels(labels: dict[str, str] | None, job: Job) -> tuple[Data, ...]:
    return () if labels is None or labels == job.labels else (e.LabelsChanged(labels=labels),)


def judge(
    report: Data, job: Job, at: datetime | None = None, past: Past | None = None
) -> tuple[Data, ...]:
    """What is recorded of a report: itself with what follows from it, or that it contradicts what is known.

    `at` is when it occurred, None for now. A report on an attempt that nobody began is preceded by
    the beginning of that attempt, inferred. A late report that fits where it happened is recorded as
    placed there (see placing.py), and the end of a job whose heartbeats had stopped is recorded as it
    is; `past` are all events of the job, to find that out. Raises
    PastNeededError if they are needed and not given, and JobNotFoundError for a report on a job
    that nobody created.
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
    """The same in the order in which it is recorded."""
    event, standing = type(report).__name__, job.standing
    ahead = attempts_ahead(report, job, at)
    begun = _attempts_begun(report, job, ahead, at)
    if begun is not None:
        return _followed((settled(report, job, begun),), job)
    if ahead > 0 and (inferred := _inferred(report, job, ahead)):
        return inferred
    if standing is NOTHING:
        raise JobNotFoundError(job.name, reported=True)
    if ahead == 0 and ends_lost(event, standing, job.kind) and _was_lost(job, past):
        return (report,)
    state = "DELETED" if standing is GONE else standing.name
    return (e.Contradicted(report=event, state=state, data=report.json_object()),)


def _was_lost(job: Job, past: Past | None) -> bool:
    """Whether the job is in its state only because its heartbeats stopped."""
    if not past or past[-1].version != job.version:
        raise PastNeededError(job.name)
    entered = [event.data for event in in_effect(past) if state_after(event.type) is not None]
    return isinstance(entered[-1], e.Expired) and entered[-1].lost


def _attempts_begun(report: Data, job: Job, ahead: int, at: datetime | None) -> int | None:
    """How many attempts the report begins; None if it cannot be true."""
    event, standing = type(report).__name__, job.standing
    if ahead == EARLIER or repeats_retry(report, job):
        return None
    if ahead > 0:
        begins = begins_attempt(event, standing, job.kind, named=True)
        return ahead if begins and isinstance(report, BEGINNINGS) else None
    if _accepts(job, standing, report):
        return 1 if isinstance(report, e.Retried) else 0
    return 1 if sends_back(report, job, at) else None


def _inferred(report: Data, job: Job, ahead: int) -> tuple[Data, ...]:
    """A report on an attempt after the current one, behind that attempt's beginning; empty if there can be none."""
    if isinstance(report, BEGINNINGS) or not allowed(type(report).__name__, S.RUNNING, job.kind):
        return ()
    if not begins_attempt("Started", job.standing, job.kind, named=True):
        return ()
    run_id = named_attempt(report).run_id
    started = e.Started(attempts_begun=ahead, run_id=run_id, inferred=True)
    return (settled(started, job, ahead), report)
