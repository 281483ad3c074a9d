"""The fold: applies events to a job.

It accepts any history and refuses nothing. It takes events in the order in which they take effect
(see order.py).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from jobledger.domain import events as e
from jobledger.domain import run_events as r
from jobledger.domain.attempts import BEGINNINGS, Beginning, remembered
from jobledger.domain.data import CANCELLED, PLACED, UNKNOWN, Data, Status
from jobledger.domain.errors import PastNeededError
from jobledger.domain.job.job import Job, copied
from jobledger.domain.order import CONTRADICTED, in_effect
from jobledger.domain.runs import fold_run, kept
from jobledger.domain.states import ENDINGS, EVALUATION_JOBS, JobState, state_after
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import kind_of

RELATING: Final = frozenset({"Created", *(cls.__name__ for cls in BEGINNINGS)})
"""The events that may say which jobs their job belongs to."""


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
    after = copied(job)
    _apply(after.__dict__, event)
    return after


def replay(job: Job, events: Iterable[e.Event]) -> Job:
    """Applies events in the given order, which is the order in which they take effect."""
    after = copied(job)
    # It is not shared yet, so its fields may still be set.
    fields = after.__dict__
    for event in events:
        _apply(fields, event)
    return after


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


def recorded(job: Job, event: e.Event, past: Sequence[e.Event] | None = None) -> Job:
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
    if event.data.schema_number <= PLACED:
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
    data, at = event.data, event.recorded_time or event.occurred_time
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
        if to is JobState.RUNNING and fields["start_time"] is None:
            fields["start_time"] = at
        fields["error"], fields["error_message"] = _error(data, fields["error_message"])
    _apply_data(fields, data, at)
    if type_ in RELATING:
        _set_lineage(fields, data)


def _set_lineage(fields: dict[str, Any], data: Data) -> None:
    """Sets the parents, root and trigger that the event names."""
    values = data.__dict__
    if values["parents"] is values["root"] is values["triggered_by"] is None:
        return  # Most events contain none of them.
    changes = {
        key: value
        for name, key in zip(e.LINEAGE, e.LINEAGE_KEYS, strict=True)
        if (value := values[name]) is not None
    }
    fields["lineage"] = {**(fields["lineage"] or {}), **changes}


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
            _set_attempt(fields, data)
        case e.Deleted():
            fields["delete_time"] = at


def _set_attempt(fields: dict[str, Any], data: Beginning) -> None:
    """Counts the attempts that begin with the event, and stores the run id of the current one."""
    if data.attempts_begun:
        fields["attempt"] += data.attempts_begun
        fields["output"] = _runs_kept(fields) or None
    fields["run_ids"] = remembered(fields["run_ids"], data.run_id, data.attempts_begun)


def _has_runs(fields: dict[str, Any]) -> bool:
    return kind_of(fields["name"]) == EVALUATION_JOBS


def _runs_kept(fields: dict[str, Any]) -> JsonObject:
    return kept(fields["output"]) if fields["output"] and _has_runs(fields) else {}
