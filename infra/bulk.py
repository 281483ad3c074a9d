"""Writing thousands of decided events at once: by COPY, made line by line while the server takes them in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from itertools import islice
from typing import Final

from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.domain.names import parse_name, parse_text, parse_time, parse_trace_parent
from jobledger.infra.appending import Appender
from jobledger.infra.postgres import sql
from jobledger.infra.rows import Placed, Row, row_of
from jobledger.infra.writes import DecidedWrite, Write

_SQL: Final = "jobledger.infra.postgres"
COPY_EVENTS: Final = sql.load(_SQL, "copy_events")
KEEP_TO_INDEXES: Final = sql.load(_SQL, "keep_to_indexes")
FOLD_JOBS: Final = sql.load(_SQL, "fold_jobs")
LINES: Final = 500
"""How many lines are sent at a time."""


class BulkWrite(Write):
    """Decided events of any number of jobs, each job's in the order of its versions.

    Raises InvalidFieldError for an event that no report could have made.
    """

    alone = True

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__()
        self._events = events
        self._first = _first_versions(events)
        self.touches = list(self._first)

    @cached_property
    def rows(self) -> Sequence[Row]:  # type: ignore[override]
        """Made only where COPY does not serve, or to find out whether they were written."""
        return [row_of(event, event.data.encode()) for event in self._events]

    def fold(self, jobs: dict[str, Job]) -> None:
        """History is believed: the events are folded, not judged."""
        DecidedWrite(self.rows, self._events).fold(jobs)

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """By COPY and the fold in SQL, if this role may; through `append` otherwise."""
        if not appender.may_copy:
            jobs.update(appender.load(self.touches))
            return super().write(appender, jobs)
        # Those that begin here meet the unique index if they were there already.
        appender.check_versions({name: first for name, first in self._first.items() if first > 1})
        placed = appender.advance(len(self._events))
        connection = appender.connection
        with connection.cursor() as cursor, cursor.copy(COPY_EVENTS) as copy:
            lines = self._lines(placed)
            while block := "".join(islice(lines, LINES)):
                copy.write(block.encode())
        connection.execute(KEEP_TO_INDEXES)
        last = placed.first_position + len(self._events) - 1
        connection.execute(FOLD_JOBS, (placed.first_position, last))
        return placed

    def _lines(self, placed: Placed) -> Iterator[str]:
        """The events in COPY's text format."""
        recorded = placed.recorded_time.isoformat()
        for position, event in enumerate(self._events, placed.first_position):
            name, version, data, occurred, actor, request_id, trace_parent = event
            yield (
                f"{position}\t{recorded}\t{_time(occurred)}\t{version}\t{data.schema_number}"
                f"\t{type(data).__name__}\t{name}\t\\\\x{data.encode().hex()}"
                f"\t{_text(actor)}\t{_text(request_id)}\t{_text(trace_parent)}\n"
            )


def _first_versions(events: Sequence[Event]) -> dict[str, int]:
    """The version each job begins with here; raises InvalidFieldError as a report would."""
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


@lru_cache(maxsize=1024)
def _time(value: datetime) -> str:
    return value.isoformat()


def _text(value: str | None) -> str:
    """Printable text, as it was checked; only a backslash means something else to COPY."""
    return "\\N" if value is None else value.replace("\\", "\\\\")
