"""Reads events in order: one job's history, and the live feed of the whole ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import add, itemgetter
from threading import Event as Signal
from typing import Any, Final, NoReturn

from jobledger.domain.data import PLACED
from jobledger.domain.errors import BeyondEndError
from jobledger.domain.states import EVALUATION, JobState, state_after
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.commit.appender import READ_HISTORY
from jobledger.infra.eventstore.stored_event import RecordedEvent, entered_state
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Pool, reading_again, translated

READ_EVENTS: Final = sql.load(__package__, "read_events")
READ_EVENTS_PAGE: Final = sql.load(__package__, "read_events_page")
READ_HISTORY_PAGE: Final = sql.load(__package__, "read_history_page")
READ_STATES: Final = sql.load(__package__, "read_states")
READ_PRUNED: Final = sql.load(__package__, "read_pruned")
READ_SIZE: Final = sql.load(__package__, "read_size")

PAGE_EVENTS: Final = 1_000
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""The most bytes of event data in one answer."""
MAX_POSITION: Final = 2**63 - 1
"""The largest bigint of PostgreSQL."""
Ranges = list[tuple[int, int]]
"""Ranges of positions: the first and the last position of each."""
EventRow = tuple[Any, ...]
EventRows = list[EventRow]
"""Rows of `events`: the fields of RecordedEvent up to `stored`."""
# The pauses between polls for new events: short after events came, then longer.
MIN_PAUSE_SECONDS: Final = 0.002
MAX_PAUSE_SECONDS: Final = 0.05
MAX_STATES: Final = 100_000
LAST_VERSION: Final = 2**31 - 1

ENTERED: Final = {event: state_after(event) for event in EVALUATION if state_after(event)}
"""The state that each event leads to; events that keep the state are left out."""


class Feed:
    """Reads events through a pool; any number of threads may use it."""

    def __init__(self, pool: Pool, closed: Signal) -> None:
        self._pool = pool
        self._closed = closed

    @reading_again
    def size(self) -> int:
        """Returns how many events there are, which is the last position."""
        with translated(), self._pool.connection() as connection:
            row = connection.execute(READ_SIZE).fetchone()
        return 0 if row is None else int(row[0])

    def check_reached(self, position: int, field: str = "after") -> None:
        """Raises BeyondEndError for a position after the last one."""
        if position > (size := self.size()):
            raise BeyondEndError(field, position, size)

    @reading_again
    def pruned(self, after: int, until: int) -> Ranges:
        """Returns the ranges of pruned positions between two positions, 1,000 at most."""
        place = {"after": after, "until": until, "limit": PAGE_EVENTS}
        with translated(), self._pool.connection() as connection:
            return connection.execute(READ_PRUNED, place).fetchall()

    @reading_again
    def history(self, name: str, after: int = 0, until: int = LAST_VERSION) -> list[RecordedEvent]:
        """Returns one job's events after a version, up to another, oldest first; none for an unknown job."""
        place = {"name": name, "after": after, "until": until}
        with translated(), self._pool.connection() as connection:
            rows = connection.execute(READ_HISTORY, place, binary=True).fetchall()
        return self.with_states(rows)

    @reading_again
    def history_page(self, name: str, after: int, limit: int) -> tuple[list[RecordedEvent], bool]:
        """Returns some events of one job after a version, up to MAX_PAGE_BYTES but at least one, and whether more follow."""
        asked = {"name": name, "after": after, "limit": limit, "bytes": MAX_PAGE_BYTES}
        with translated(), self._pool.connection() as connection:
            found = connection.execute(READ_HISTORY_PAGE, asked, binary=True).fetchall()
        rows = [row[:-1] for row in found]
        more = bool(found) and found[-1][-1] > found[-1][2]
        return self.with_states(rows), more

    def events_page(
        self, after: int, limit: int, *, is_reached: bool = False
    ) -> list[RecordedEvent]:
        """Returns some events after a position, in commit order, up to MAX_PAGE_BYTES but at least one.

        Args:
            after: The position; 0 for the first event.
            limit: How many events at most.
            is_reached: Whether the ledger is known to have reached the position.

        Returns:
            The events; none if there are none yet.

        Raises:
            BeyondEndError: The position is after the last event.
        """
        _, rows = self.read(READ_EVENTS_PAGE, after, limit)
        if not rows and after and not is_reached:
            self.check_reached(after)
        return self.with_states(rows)

    @reading_again
    def read(self, statement: bytes, after: int, limit: int) -> tuple[EventRow | None, EventRows]:
        """Returns the row of the event at a position, without its data, and those of the events after it.

        Args:
            statement: READ_EVENTS, or READ_EVENTS_PAGE, which limits their bytes.
            after: The position.
            limit: How many events at most.

        Returns:
            The row, or None if there is no such event, and the rows in commit order.

        Raises:
            BeyondEndError: The position is larger than any.
        """
        if after > MAX_POSITION:
            self.check_reached(after)
        asked = {"after": after, "limit": limit, "bytes": MAX_PAGE_BYTES}
        with translated(), self._pool.connection() as connection:
            rows = connection.execute(statement, asked, binary=True).fetchall()
        return (rows[0], rows[1:]) if rows and rows[0][0] == after else (None, rows)

    @reading_again
    def is_replaying(self) -> bool:
        """Whether the server is a hot standby, which may not have all events yet."""
        with translated(), self._pool.connection() as connection:
            return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)

    def events(self, after: int, *, follow: bool) -> Iterator[RecordedEvent]:
        """Iterates over the events after a position, in commit order.

        Args:
            after: The position; 0 for the first event.
            follow: Wait for more, until the ledger is closed.

        Returns:
            An iterator of the events.

        Raises:
            BeyondEndError: The position is after the last event, or the ledger lost the last event that was read.
            LedgerUnavailableError: The server cannot be reached.
        """
        # Not a generator: each event would pass through it.
        return chain.from_iterable(self._pages(after, follow=follow))

    def _pages(self, after: int, *, follow: bool) -> Iterator[Iterator[RecordedEvent]]:
        """Yields the same, page by page."""
        states: dict[str, JobState | None] = {}
        cursor, pause = Cursor(self, after), MIN_PAUSE_SECONDS
        while not self._closed.is_set():
            try:
                rows = cursor.rows()
            except LedgerUnavailableError:
                if self._closed.is_set():
                    return
                raise
            if rows:
                if len(states) > MAX_STATES:
                    states.clear()
                yield self._with_states(rows, states)
                pause = MIN_PAUSE_SECONDS
            elif not follow:
                return
            else:
                self._closed.wait(pause)
                pause = min(pause * 2, MAX_PAUSE_SECONDS)

    def with_states(self, rows: EventRows) -> list[RecordedEvent]:
        """Returns the rows as events with the state after each."""
        return list(self._with_states(rows, {}))

    def _with_states(
        self, rows: Sequence[tuple[Any, ...]], states: dict[str, JobState | None]
    ) -> Iterator[RecordedEvent]:
        """Returns the rows as events with the state after each; `states` has the states before them, and is updated."""
        # A call of a function for each event would take half as long again.
        entered = [
            ENTERED.get(row[3]) if row[4] <= PLACED else entered_state(row[3], row[4], row[10])
            for row in rows
        ]
        if None in entered:
            states.update(self._states(rows, entered, states))
            for place, (row, state) in enumerate(zip(rows, entered, strict=True)):
                entered[place] = states[row[1]] = state or states.get(row[1])
        else:
            states.update(zip(map(_NAME, rows), entered, strict=True))
        # Only functions in C are called for each event; RecordedEvent._make would take twice as long.
        values = map(add, rows, zip(entered, repeat(None)))
        return map(tuple.__new__, repeat(RecordedEvent), values)

    @reading_again
    def _states(
        self,
        rows: Iterable[tuple[Any, ...]],
        entered: Iterable[JobState | None],
        known: Mapping[str, JobState | None],
    ) -> dict[str, JobState | None]:
        """Returns the states before `rows` of the jobs whose first row does not determine the state."""
        wanted: dict[str, int] = {}
        seen: set[str] = set()
        for row, state in zip(rows, entered, strict=True):
            if state is not None:
                seen.add(row[1])
            elif row[4] and row[1] not in seen and row[1] not in known:
                wanted.setdefault(row[1], row[2])
        if not wanted:
            return {}
        places = list(wanted), list(wanted.values())
        with translated(), self._pool.connection() as connection:
            found = connection.execute(READ_STATES, places).fetchall()
        return {name: JobState[state] if state else None for name, state in found}


class Cursor:
    """A place in the feed. The event before it is read again with each page, to see whether the ledger lost it.

    A server that was restored from a backup, or a replica that took over, may have lost its last
    events, and have others at their positions.
    """

    def __init__(self, feed: Feed, after: int) -> None:
        """`after` is the position of the event before the first one."""
        self.position = after
        self._feed = feed
        self._last: EventRow | None = None
        """That event, without its data; None if it was not read, or pruned."""

    def rows(self, limit: int = PAGE_EVENTS, statement: bytes = READ_EVENTS) -> EventRows:
        """Returns the rows of the next events, and goes on behind them; raises BeyondEndError."""
        before, rows = self._feed.read(statement, self.position, limit)
        self._check(before, rows)
        if rows:
            self.position, self._last = rows[-1][0], _without_data(rows[-1])
        return rows

    def events(self, limit: int) -> list[RecordedEvent]:
        """Returns the next events, up to MAX_PAGE_BYTES but at least one; raises BeyondEndError."""
        return self._feed.with_states(self.rows(limit, READ_EVENTS_PAGE))

    def _check(self, before: EventRow | None, rows: EventRows) -> None:
        """Raises BeyondEndError unless the event before the place is the one that was read."""
        if before is not None:
            if self._last not in (None, before):
                self._refuse()
            self._last = before
        elif self._last is not None:
            self._check_missing()
        elif self.position and not rows:
            self._feed.check_reached(self.position)

    def _check_missing(self) -> None:
        if self._feed.pruned(self.position - 1, self.position):
            self._last = None
        elif not self._feed.is_replaying():
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise BeyondEndError("after", self.position, self._feed.size())


def _without_data(row: EventRow) -> EventRow:
    return (*row[:-1], None)


_NAME: Final = itemgetter(1)
