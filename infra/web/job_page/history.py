"""Reads a job's history for its page: an outline of all events, and windows of steps with their data.

A window is a job before some steps, and of each step its event and what that changed: so a page
shows the job at any step of it, and needs no more than the windows somebody looks at. Personal
parts are as they are stored; who shows them opens them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.order import effects
from jobledger.domain.states import state_after
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import AtTime, AtVersion, Clock, Moment, parse_as_of
from jobledger.infra.eventstore.json_view import event_json, time_text
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.blame import since
from jobledger.infra.history.diff import ABSENT, Change, diff_jobs, fields_of
from jobledger.infra.history.timeline import Step, steps_of
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.read.reader import Reader

READ_OUTLINE: Final = sql.load(__package__, "read_outline")
WINDOW: Final = 200
"""The number of steps in a window."""
FAILURES: Final = frozenset({"Failed", "Expired", "RunFailed", "Contradicted"})
"""Events of failures and contradictions."""


class Happened(NamedTuple):
    """One event, without its data."""

    version: int
    position: int
    type: str
    occurred_time: datetime
    recorded_time: datetime
    actor: str | None
    attempts_begun: int = 0
    placed_after: int | None = None
    """The version after which a late report was placed."""

    @property
    def bounded_time(self) -> datetime:
        """The time when it occurred or was recorded, whichever was earlier."""
        return min(self.occurred_time, self.recorded_time)


def happened(event: RecordedEvent) -> Happened:
    """Returns the event without its data."""
    return Happened(
        event.version,
        event.position,
        event.type,
        event.occurred_time,
        event.recorded_time,
        event.actor,
        event.attempts_begun,
        event.placed_after,
    )


class Outline:
    """All events of a job up to position `until`, in the order of a clock."""

    def __init__(self, name: str, clock: Clock, until: int, rows: Iterable[Happened]) -> None:
        self.name = name
        self.clock = clock
        self.until = until
        self.recorded = sorted(rows, key=lambda row: row.version)
        """The events in order of version."""
        taken = effects(self.recorded)
        self.occurred = [row for _, row in taken]
        """The events in the order in which they took effect."""
        self.effective = {row.version: time for time, row in taken}
        """The time at which each version took effect."""
        self.rows = self.occurred if clock is Clock.OCCURRED else self.recorded

    @property
    def last_window(self) -> int:
        """The number of the last window, from 0."""
        return max(0, len(self.rows) - 1) // WINDOW

    @property
    def in_order(self) -> bool:
        """Whether the events took effect in order of version."""
        return self.occurred == self.recorded

    @cached_property
    def steps(self) -> dict[int, int]:
        """The number of each version's step, from 1."""
        return {row.version: step for step, row in enumerate(self.rows, 1)}

    def step_at(self, moment: Moment) -> int:
        """The number of steps up to a moment."""
        if self.clock is Clock.RECORDED:
            return sum(row.position <= moment.position for row in self.rows)
        return self.step_by(moment.time)

    def step_by(self, time: datetime) -> int:
        """The number of steps up to a time on this clock."""
        if self.clock is Clock.RECORDED:
            return sum(row.recorded_time <= time for row in self.rows)
        return sum(effective <= time for effective in self.effective.values())

    def find(self, types: Sequence[str], actors: Sequence[str], *, failed: bool) -> list[int]:
        """Returns the steps of these types and by these actors, or only failures; without types, of any type."""
        return [
            step
            for step, row in enumerate(self.rows, 1)
            if (not types or row.type in types)
            and (not actors or (row.actor or "") in actors)
            and (not failed or row.type in FAILURES)
        ]


def read_outline(reader: Reader, name: str, clock: Clock, until: int | None) -> Outline:
    """Reads the outline; raises JobNotFoundError if the job had no events then, and InvalidFieldError for a position in the future."""
    size = reader.size()
    if until is not None and until > size:
        raise InvalidFieldError(
            "until", f"there is no position {until} yet: the ledger ends at {size}"
        )
    known = size if until is None else until
    with translated(), reader.connection() as connection:
        asked = {"name": name, "until": known}
        rows = connection.execute(READ_OUTLINE, asked, binary=True).fetchall()
    if not rows:
        raise reader.missing(name)
    return Outline(name, clock, known, (Happened(*row) for row in rows))


def step_meant(reader: Reader, outline: Outline, at: str) -> int:
    """Returns the number of the step at a moment, 0 before the first one; by default the last step."""
    if not at:
        return len(outline.rows)
    now = reader.moment(None)
    meant = parse_as_of(at, outline.clock if "@" not in at else None, now.time)
    if isinstance(meant, AtVersion):
        if meant.version == 0:
            return 0
        if meant.version not in outline.steps:
            last = outline.recorded[-1].version
            why = f"there is no version {meant.version}: {outline.name} is at v{last}"
            raise InvalidFieldError("at", why)
        return outline.steps[meant.version]
    if isinstance(meant, AtTime) and meant.clock is Clock.RECORDED:
        return outline.step_by(meant.time)
    return outline.step_at(reader.moment(meant))


def read_window(reader: Reader, outline: Outline, number: int) -> JsonObject:
    """Reads the steps from `number * WINDOW` on: the job before them, and what each of them changed."""
    first = number * WINDOW
    if not 0 <= number <= outline.last_window:
        raise InvalidFieldError(
            "window", f"there is no window {number}; the last is {outline.last_window}"
        )
    return window_of(_steps(reader, outline, first, first + WINDOW), first)


def window_of(steps: Sequence[Step], first: int) -> JsonObject:
    """Returns these steps as a window; `first` is the number of steps before them."""
    before = fields_of(steps[0].before) if steps else {}
    return {"first": first + 1, "job": before, "steps": [_step(step) for step in steps]}


def read_blame(reader: Reader, outline: Outline, number: int) -> dict[str, int]:
    """Reads which step set each field to its value before the window's first step."""
    first = number * WINDOW
    return since(_steps(reader, outline, 0, first)) if first else {}


def read_steps(reader: Reader, outline: Outline, steps: Sequence[int]) -> list[JsonObject]:
    """Reads these events, each with the number of its step."""
    versions = [outline.rows[step - 1].version for step in steps]
    if not versions:
        return []
    events = {
        event.version: event
        for event in reader.history(outline.name, min(versions) - 1, max(versions))
    }
    pairs = zip(steps, versions, strict=True)
    return [
        {"step": step} | event_data(events[version], outline.effective[version])
        for step, version in pairs
    ]


def event_data(event: RecordedEvent, effective: datetime) -> JsonObject:
    """Returns an event as JSON.

    Args:
        event: The event.
        effective: When it took effect (valid time).

    Returns:
        The event, whether it is a failure or a contradiction, when it took effect if that is not
        when it occurred, and the stored text of its data if parts are encrypted.
    """
    shown = event_json(event) | {"schema": event.schema, "failed": event.type in FAILURES}
    if effective != event.occurred_time:
        shown["effectiveTime"] = time_text(effective)
    return shown | {"stored": event.stored.decode()} if MARKER in event.stored else shown


def _steps(reader: Reader, outline: Outline, first: int, last: int) -> list[Step]:
    """Returns the steps after `first` up to `last`."""
    if not outline.in_order:
        events = {event.version: event for event in _known(reader, outline, 0)}
        ordered = [events[row.version] for row in outline.rows[:last]]
        return list(steps_of(Job(name=outline.name), ordered, outline.clock))[first:]
    after = outline.recorded[first - 1].version if first else 0
    before = Job(name=outline.name)
    if first:
        before = _job_at(reader, outline, outline.recorded[first - 1].position)
    return list(steps_of(before, _known(reader, outline, after, last - first), outline.clock))


def _known(
    reader: Reader, outline: Outline, after: int, most: int | None = None
) -> list[RecordedEvent]:
    """Returns the events after a version, up to the outline's position."""
    rows = [row.version for row in outline.recorded if row.version > after][:most]
    return reader.history(outline.name, after, rows[-1]) if rows else []


def _job_at(reader: Reader, outline: Outline, position: int) -> Job:
    """Returns the job as of that position, deleted or not."""
    job = reader.read_at(outline.name, position)
    assert job is not None
    return job


def _step(step: Step) -> JsonObject:
    changes = [_change(change) for change in diff_jobs(step.before, step.after)]
    return {"event": event_data(step.event, step.effective_time), "changes": changes}


def _change(change: Change) -> JsonObject:
    shown: JsonObject = {"keys": list(change.keys)}
    if change.before is not ABSENT:
        shown["before"] = change.before
    if change.after is not ABSENT:
        shown["after"] = change.after
    return shown


@cache
def state_name(type_: str) -> str | None:
    """Returns the name of the state that an event of that type leads to."""
    state = state_after(type_)
    return "DELETED" if type_ == "Deleted" else None if state is None else state.name
