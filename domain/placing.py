"""Places late reports: where they happened, if they fit there.

A report is late if it occurred before events that are recorded already took effect. It fits where
it happened if the lifecycle table allows it after the events before that place, and allows the
recorded events after it. A report that names its attempt fits within that attempt only. A report
that enters a state, and is allowed in the order in which it was recorded, keeps that order: the
times of two reporters do not determine which of their events came first. Such a report is placed only
before events that leave the state as it is.

What a command changes is there at once, so it is dated back only before events that change other
fields. A report without a time happened now and is never late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from jobledger.domain.attempts import (
    BEGINNINGS,
    Attempted,
    RunIds,
    attempts_ahead,
    remembered,
)
from jobledger.domain.data import Data
from jobledger.domain.errors import PastNeededError
from jobledger.domain.events import Event, Placement, Started
from jobledger.domain.order import CONTRADICTED, Effect, effects
from jobledger.domain.run_events import RUN_EVENTS
from jobledger.domain.states import (
    ABSENT,
    DELETED,
    EVALUATION,
    EVALUATION_JOBS,
    JobState,
    Stage,
    allowed,
    begins_attempt,
    leads_to,
)

UNPLACED: Final = frozenset({"Created", CONTRADICTED, *(cls.__name__ for cls in RUN_EVENTS)})
"""Events that are never put before others: they begin a job, change nothing, or count its runs."""
SETTERS: Final = {
    "LabelsChanged": frozenset({"Created", "LabelsChanged"}),
    "ConfigChanged": frozenset({"Created", "ConfigChanged", "Updated"}),
    "PolicyChanged": frozenset({"PolicyChanged"}),
}
"""The events of commands that can be dated back, and those that set the same field."""


class Placing(Attempted, Protocol):
    """The fields of a Job that a report is placed by."""

    @property
    def name(self) -> str:
        """The job's resource name."""

    @property
    def version(self) -> int:
        """The number of its events."""

    @property
    def create_time(self) -> datetime | None:
        """When it was created (UTC)."""

    @property
    def start_time(self) -> datetime | None:
        """When it first entered RUNNING (UTC)."""

    @property
    def end_time(self) -> datetime | None:
        """When it entered its terminal state (UTC)."""

    @property
    def last_effect(self) -> datetime | None:
        """When its last event took effect (UTC)."""


class Late(NamedTuple):
    """A late report, and whether the lifecycle table allows it in the order in which it was recorded."""

    report: Data
    at: datetime
    is_allowed: bool

    @property
    def event(self) -> str:
        """The type of the reported event."""
        return type(self.report).__name__


def late(report: Data, job: Placing, at: datetime | None, *, is_allowed: bool) -> Late | None:
    """Returns the late report if the job's events are needed to place it; else None."""
    found = None if at is None else Late(report, at, is_allowed)
    return found if found is not None and _may_be_placed(found, job) else None


def _may_be_placed(found: Late, job: Placing) -> bool:
    """Whether the report may have happened before a recorded event, after the job was created."""
    event, at, last = found.event, found.at, job.last_effect
    if event not in EVALUATION:  # An unknown event.
        return False
    enters = leads_to(event) is not None
    if last is None or job.create_time is None or not job.create_time <= at <= last:
        return False
    if event in UNPLACED or (enters and job.kind == EVALUATION_JOBS):
        return False
    if not found.is_allowed:
        return True
    entered = job.start_time if job.state is JobState.RUNNING and job.attempt == 1 else job.end_time
    return at < last and not (enters and entered is not None and at < entered)


def find_place(found: Late, job: Placing, past: Sequence[Event] | None) -> Placement | None:
    """Finds where a late report takes effect.

    Args:
        found: The late report.
        job: The job before it.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The placement; None if the report takes effect after all other events.

    Raises:
        PastNeededError: `past` is None or not complete.
    """
    taken = _taken(job, past)
    for index in _indexes(taken, found.at, job.version + 1):
        then = _then(taken[:index], job.kind)
        if _accepts(found, then) and _lets_follow(found, taken[index:], job.kind):
            after = _after(taken[index - 1].event)
            latest = leads_to(found.event) is not None and not _enters(taken[index:])
            return (
                None if latest and not found.is_allowed else Placement(after=after, latest=latest)
            )
    return None


def find_date(found: Late, job: Placing, past: Sequence[Event] | None) -> Placement | None:
    """Finds where a command's change takes effect: after the last event that changed the same field."""
    taken = _taken(job, past)
    for index in _indexes(taken, found.at, job.version + 1):
        following = {effect.event.type for effect in taken[index:]}
        is_accepted = _accepts(found, _then(taken[:index], job.kind))
        if is_accepted and not SETTERS[found.event] & following:
            return Placement(after=_after(taken[index - 1].event))
    return None


def _taken(job: Placing, past: Sequence[Event] | None) -> list[Effect[Event]]:
    if not past or past[-1].version != job.version:
        raise PastNeededError(job.name)
    return effects(past)


def _indexes(taken: Sequence[Effect[Event]], at: datetime, version: int) -> Iterator[int]:
    """Finds how many events may come before one of that time and version.

    Events of the same time have several places; no place is before the job's first event.

    Args:
        taken: The events, in the order in which they take effect.
        at: The event's time (UTC).
        version: The event's version.

    Yields:
        The numbers of events, the greatest first.
    """
    for index in range(sum(effect.time <= at for effect in taken), 0, -1):
        before = taken[index - 1]
        after = _after(before.event)
        if index < len(taken) and (at, after, version) > _key(taken[index]):
            continue
        yield index
        if before.time < at:
            return


def _after(event: Event) -> int:
    """Returns the version after which an event takes effect; the event's own if it is not placed."""
    return event.version if event.placed_after is None else event.placed_after


def _key(effect: Effect[Event]) -> tuple[datetime, int, int]:
    return effect.time, _after(effect.event), effect.event.version


class Then(NamedTuple):
    """A job at a place among its events: the fields that decide whether a report fits there."""

    kind: str
    stage: Stage = ABSENT
    attempt: int = 1
    run_ids: RunIds = ()
    update_time: datetime | None = None

    @property
    def state(self) -> JobState | None:
        """The state; None before the job was created."""
        return self.stage if isinstance(self.stage, JobState) else None


def _then(taken: Sequence[Effect[Event]], kind: str) -> Then:
    """Returns the job after these events."""
    then = Then(kind)
    for time, event in taken:
        entered = leads_to(event.type)
        if entered is not None and then.stage is not DELETED:
            then = then._replace(stage=entered)
        if isinstance(event.data, BEGINNINGS) and kind != EVALUATION_JOBS:
            begun, run_id = event.data.attempts_begun, event.data.run_id
            run_ids = remembered(then.run_ids, run_id, begun)
            then = then._replace(attempt=then.attempt + begun, run_ids=run_ids)
        then = then._replace(update_time=time)
    return then


def _accepts(found: Late, then: Then) -> bool:
    """Whether the report fits there, in the attempt that it names."""
    is_current = attempts_ahead(found.report, then) == 0
    return is_current and allowed(found.event, then.stage, then.kind)


def _enters(following: Sequence[Effect[Event]]) -> bool:
    return any(leads_to(event.type) is not None for _, event in following)


def _lets_follow(found: Late, following: Sequence[Effect[Event]], kind: str) -> bool:
    """Whether the recorded events after the place may follow the report."""
    stage = leads_to(found.event)
    if stage is None:
        return True
    if found.is_allowed and _enters(following):
        return False
    for _, event in following:
        if not _may_follow(event, stage, kind):
            return False
        if leads_to(event.type) is not None:
            return True
    return True


def _may_follow(event: Event, stage: Stage, kind: str) -> bool:
    """Whether a recorded event may follow that state."""
    if isinstance(event.data, Started) and event.data.inferred and stage is JobState.RUNNING:
        return True  # The report is the start that was inferred.
    begins = isinstance(event.data, BEGINNINGS) and event.data.attempts_begun > 0
    if begins and begins_attempt(event.type, stage, kind, named=True):
        return True
    return event.type == CONTRADICTED or allowed(event.type, stage, kind)
