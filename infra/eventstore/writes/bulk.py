"""Writes thousands of decided events at once by COPY; the next ones are prepared while the server folds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError, LedgerError, shown
from jobledger.domain.events import Event, read_data
from jobledger.domain.job import Job
from jobledger.domain.values.names import parse_name, parse_text, parse_time, parse_trace_parent
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.eventstore.stored_event import Placed, Row, row_of
from jobledger.infra.eventstore.writes.decided_write import fold_all, placed_names
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.eventstore.writes.weight import weight_of_data
from jobledger.infra.postgres import sql
from jobledger.infra.privacy.envelope import MARKER, Key

COPY_EVENTS: Final = sql.load(__package__, "copy_events")
KEEP_TO_INDEXES: Final = sql.load(__package__, "keep_to_indexes")
FOLD_JOBS: Final = sql.load(__package__, "fold_jobs")
BATCH_EVENTS: Final = 5_000
"""The number of events in one transaction, if they are not too large."""
BATCH_BYTES: Final = 16 * 1024 * 1024
"""The approximate size of the events in one transaction; a larger event has its own."""
TYPES: Final = ("int8", "int8", "int8", "int4", "int2", *("text",) * 2, "bytea", *("text",) * 3)
"""The types that COPY is sent. A timestamptz is an int8 on the wire, and is faster to make as one."""
VERSION, NAME, DATA = 1, 4, 5
"""Indexes in the copied values of an event."""
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Encrypt = Callable[[Event, dict[str, Key]], Event]
Values = tuple[Any, ...]
"""The copied values of an event, without its position and recorded time."""


class BulkWrite(Pending):
    """Decided events of any number of jobs; the events of each job are in the order of versions.

    Call `prepare` before it is written.
    """

    alone = True

    def __init__(self, events: list[Event], encrypt: Encrypt) -> None:
        super().__init__()
        self.following: BulkWrite | None = None
        """What will be written next."""
        self.events = events
        self.encrypt = encrypt
        self._first: dict[str, int] = {}
        self._values: list[Values] = []

    def while_folding(self) -> None:
        """Prepares the next write. If that fails, the error is raised when that write is written."""
        if self.following is not None:
            with suppress(LedgerError):
                self.following.prepare()

    def __len__(self) -> int:
        return len(self.events)

    def prepare(self) -> None:
        """Checks and encodes the events, unless that was done already.

        Raises InvalidFieldError for an event that no report could have made.
        """
        if not self._values:
            self._first = _first_versions(self.events)
            self.touches = list(self._first)
            self._values = [values_of(event, event.data.encode()) for event in self.events]
            self._encrypt_personal()

    def keep(self, events: list[Event]) -> None:
        """Keeps only these events of the write."""
        self.events, self._values = events, []
        self.__dict__.pop("rows", None)
        self.prepare()

    def _encrypt_personal(self) -> None:
        made: dict[str, Key] = {}
        for n, values in enumerate(self._values):
            if MARKER in values[DATA]:
                self.events[n] = self.encrypt(self.events[n], made)
                event = self.events[n]
                self._values[n] = values_of(event, event.data.encode())

    @cached_property
    def rows(self) -> Sequence[Row]:  # type: ignore[override]
        """The rows, for when COPY cannot be used, and to check whether they were written."""
        return [row_of(event, event.data.encode()) for event in self.events]

    def decide(self, jobs: dict[str, Job]) -> None:
        """Folds the events without deciding: they were decided before."""
        fold_all(self.events, jobs, self.pasts)

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Writes by COPY and the fold in SQL if this role may do so, otherwise through `append`."""
        if not appender.may_copy:
            jobs.update(appender.load(self.touches))
            self.past_names = placed_names(self.events)
            return super().write(appender, jobs)
        # If a job that begins here exists already, the unique index reports it.
        appender.check_versions({name: first for name, first in self._first.items() if first > 1})
        placed = appender.advance(len(self._values))
        connection = appender.connection
        recorded = microseconds(placed.recorded_time)
        with connection.cursor() as cursor, cursor.copy(COPY_EVENTS) as copy:
            copy.set_types(TYPES)
            for position, values in enumerate(self._values, placed.first_position):
                copy.write_row((position, recorded, *values))
        connection.execute(KEEP_TO_INDEXES)
        last = placed.first_position + len(self._values) - 1
        with connection.pipeline():
            connection.execute(FOLD_JOBS, (placed.first_position, last))
            # The server is folding meanwhile.
            self.while_folding()
        return placed


def bulk_writes(events: Iterable[Event], encrypt: Encrypt) -> Iterator[BulkWrite]:
    """Divides events into writes of up to BATCH_EVENTS or BATCH_BYTES each; each is prepared while the previous one is written.

    Args:
        events: The events, in their order.
        encrypt: Called with events that have personal values, and with the keys used for the write.

    Yields:
        The writes.
    """
    source = iter(events)
    write: BulkWrite | None = None
    while True:
        try:
            chunk = _next_events(source)
        except Exception:
            if write is not None:
                write.prepare()
                yield write
            raise
        following = BulkWrite(chunk, encrypt) if chunk else None
        if write is not None:
            write.following = following
            write.prepare()
            yield write
        if following is None:
            return
        write = following


def _next_events(source: Iterator[Event]) -> list[Event]:
    """Returns the events of the next transaction; an empty list at the end."""
    events: list[Event] = []
    weight = 0
    for event in source:
        if not isinstance(event, Event):
            raise InvalidFieldError("events", f"{shown(event)} is not an Event")
        events.append(event)
        weight += weight_of_data(event.data)
        if weight >= BATCH_BYTES or len(events) == BATCH_EVENTS:
            break
    return events


def values_of(event: Event, encoded: bytes) -> Values:
    """Returns the values to copy for an event; `encoded` is its data."""
    name, version, data, occurred, actor, request_id, trace_parent, _ = event
    return (
        _known_microseconds(occurred),
        version,
        data.schema_number,
        type(data).__name__,
        name,
        encoded,
        actor,
        request_id,
        trace_parent,
    )


def _first_versions(events: Sequence[Event]) -> dict[str, int]:
    """Returns each job's first version in this write; raises InvalidFieldError as a report would."""
    now = datetime.now(UTC)
    first: dict[str, int] = {}
    for event in events:
        if event.name not in first:
            first[parse_name(event.name)] = event.version
        parse_time(event.occurred_time, now)
        if event.actor or event.request_id or event.trace_parent:
            parse_text("actor", event.actor)
            parse_text("request_id", event.request_id)
            parse_trace_parent(event.trace_parent)
    return first


def event_of(values: Values) -> Event:
    """Returns the event that these values were copied from."""
    occurred, version, schema, type_, name, encoded, *about = values
    time = _EPOCH + occurred * _MICROSECOND
    return Event(name, version, read_data(type_, schema, encoded), time, *about)


def microseconds(time: datetime) -> int:
    """Returns a time as PostgreSQL stores it: microseconds since 2000."""
    return (time - _EPOCH) // _MICROSECOND


def time_of(microseconds: int) -> datetime:
    """Returns the time (UTC) that PostgreSQL stores as that many microseconds since 2000."""
    return _EPOCH + timedelta(microseconds=microseconds)


_known_microseconds: Final = lru_cache(maxsize=1024)(microseconds)
"""A cache, because many events have the same time."""
