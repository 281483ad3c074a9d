"""Stored events: encoded as JSON for the append, and read back from rows."""

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from jobledger.domain.attempts import BEGINNINGS
from jobledger.domain.data import PLACED, PLACED_KEY, Data
from jobledger.domain.events import Event, read_data
from jobledger.domain.order import effects
from jobledger.domain.states import EVALUATION, JobState, state_after
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment

_BEGINNINGS: Final = frozenset(cls.__name__ for cls in BEGINNINGS)


class Row(NamedTuple):
    """An event as `append` takes it."""

    name: str
    version: int
    json: bytes
    """A JSON object without its closing brace: the index in the batch is added later."""


class Placed(NamedTuple):
    """Where events were written: the position of the first one, and the transaction time of all (UTC)."""

    first_position: int
    recorded_time: datetime


class RecordedEvent(NamedTuple):
    """An event as it is stored; times are UTC.

    Attributes:
        position: Its place in the ledger, from 1.
        name: The job's resource name, or the stream of another aggregate.
        version: Its place in the job, from 1.
        type: The event type, such as "Started".
        schema: The schema number of its data; 0 for an event of another aggregate than a job,
            which has no occurred time.
        occurred_time: When it happened, by the reporter's clock (valid time).
        recorded_time: When the ledger recorded it (transaction time).
        actor: Who reported or requested it; None if not given.
        request_id: The caller's id of the write (AIP-155); None if not given.
        trace_parent: The W3C Trace Context of the call; None if not given.
        stored: Its data, as canonical JSON.
        state: The job's state after it; None if that is not known.
        effective_time: When it took effect in valid time, if that was requested; else None.
    """

    position: int
    name: str
    version: int
    type: str
    schema: int
    occurred_time: datetime
    recorded_time: datetime
    actor: str | None
    request_id: str | None
    trace_parent: str | None
    stored: bytes
    state: JobState | None = None
    effective_time: datetime | None = None

    @property
    def bounded_time(self) -> datetime:
        """When it occurred, or when it was recorded if that was earlier."""
        return min(self.occurred_time, self.recorded_time)

    @property
    def taken_time(self) -> datetime:
        """When it took effect, if `effective_time` is known, else when it occurred."""
        return self.effective_time or self.occurred_time

    @property
    def placed_after(self) -> int | None:
        """The version after which a late report was placed in valid time; None for all other events."""
        return self.json[PLACED_KEY]["after"] if self.schema > PLACED else None

    @property
    def json(self) -> JsonObject:
        """The data, as it was written."""
        return canonical.decode(self.stored)

    @property
    def data(self) -> Data:
        """The data, upcast to the current class of its type."""
        return read_data(self.type, self.schema, self.stored)

    @property
    def attempts_begun(self) -> int:
        """How many attempts begin with it."""
        if self.type not in _BEGINNINGS or not self.schema:
            return 0
        if self.schema == 1 or b'"attemptsBegun":' not in self.stored:
            return int(self.type == "Retried")
        return int(getattr(self.data, "attempts_begun", 0))

    @property
    def event(self) -> Event:
        """The domain's event, for folding."""
        return self.event_with(self.data)

    def event_with(self, data: Data) -> Event:
        """Returns the same with data that was parsed already."""
        about = self.actor, self.request_id, self.trace_parent
        bound = self.recorded_time if self.recorded_time < self.occurred_time else None
        return Event(self.name, self.version, data, self.occurred_time, *about, bound)


def up_to(events: Iterable[RecordedEvent], moment: Moment) -> list[RecordedEvent]:
    """Returns those of a job's events that count at a moment, in the order of its clock.

    Args:
        events: The job's events, in the order of versions.
        moment: The moment.

    Returns:
        The events: in transaction time in the order of versions, in valid time in the order in which
        they took effect.
    """
    known = [event for event in events if event.position <= moment.position]
    if moment.clock is Clock.RECORDED:
        return known
    return [event for time, event in effects(known) if time <= moment.time]


def entered_state(type_: str, schema: int, stored: bytes) -> JobState | None:
    """Returns the state that an event leads to; None if it keeps the state."""
    if type_ not in EVALUATION:
        return None
    if schema > PLACED and not canonical.decode(stored)[PLACED_KEY]["latest"]:
        return None
    return state_after(type_)


def row_of(event: Event, encoded: bytes) -> Row:
    """Returns the event as `append` takes it; `encoded` is the canonical JSON of its data."""
    name, version, data, occurred_time, actor, request_id, trace_parent, _ = event
    about = actor, request_id, trace_parent
    return encoded_row(
        name, version, data.schema_number, event.type, occurred_time, encoded, *about
    )


def encoded_row(
    name: str,
    version: int,
    schema: int,
    type_: str,
    occurred_time: datetime,
    encoded: bytes,
    actor: str | None,
    request_id: str | None,
    trace_parent: str | None = None,
) -> Row:
    """Does the same as `row_of` for an event that was encoded without its data's class."""
    row: JsonObject = {
        "name": name,
        "version": version,
        "schema": schema,
        "type": type_,
        "occurred_time": occurred_time,
        "data": encoded.decode(),
    }
    if actor is not None:
        row["actor"] = actor
    if request_id is not None:
        row["request_id"] = request_id
    if trace_parent is not None:
        row["trace_parent"] = trace_parent
    return Row(name, version, orjson.dumps(row)[:-1])


def foreign_row(name: str, version: int, type_: str, state: bytes, actor: str | None = None) -> Row:
    """Returns an event of another aggregate than a job, as `append` takes it; its state may be any bytes."""
    row: JsonObject = {
        "name": name,
        "version": version,
        "schema": 0,
        "type": type_,
        "bytes": base64.b64encode(state).decode(),
    }
    if actor is not None:
        row["actor"] = actor
    return Row(name, version, orjson.dumps(row)[:-1])
