"""Which events an export is of, streamed from the server with the state after each."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from jobledger.domain.states import JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.json_view import moment_json
from jobledger.infra.eventstore.stored_event import RecordedEvent, entered_state
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.reader import Reader
from psycopg.sql import SQL, Composed

EXPORT_EVENTS: Final = sql.template(__package__, "export_events")
PLAN_FOR_ALL: Final = sql.load(__package__, "plan_for_all")
STATES_BEFORE: Final = sql.load(__package__, "states_before")

BATCH: Final = 1_000
"""Events fetched at once."""
MAX_STATES: Final = 100_000
"""Of jobs whose state is remembered; those of more are looked up again."""


class Order(StrEnum):
    """The order events come in; the server sorts."""

    POSITION = "e.position"
    DAY = "(e.occurred_time AT TIME ZONE 'UTC')::date, e.position"
    JOB = "e.name, coalesce(moved.effective, e.occurred_time), coalesce(moved.place, e.version), e.version"
    """Of each job as they took effect."""


class Selection(NamedTuple):
    """The events up to a moment: of the job named, else of the jobs that matched then, else of all.

    Filters match no deleted job, as in lists; without one, deleted jobs are there too.
    """

    ledger: str
    moment: Moment
    name: str = ""
    filter: str = ""
    checkpoint: str = ""
    """A signed checkpoint of the log that covers them (C2SP tlog-checkpoint)."""
    receipts: Mapping[int, str] = {}
    """Of the named job's events, by version (C2SP tlog-proof)."""
    keys: Sequence[str] = ()
    """Verifier keys of the log that signed those."""

    def json(self) -> JsonObject:
        """What it is, for whoever reads the export."""
        of = {
            key: value for key in ("name", "filter", "checkpoint") if (value := getattr(self, key))
        }
        return {"ledger": self.ledger} | moment_json(self.moment) | of


def select(
    reader: Reader, wanted: Selection, order: Order = Order.POSITION
) -> Generator[RecordedEvent, None, None]:
    """The events one by one, without holding them all; raises InvalidFieldError for a bad filter.

    The state after each is that of its place in the job, also where events before it are not
    selected because they took effect after the moment.
    """
    # Which events took effect at another time than they occurred is known as far as that follows.
    reader.follow(wanted.moment.position)
    statement, parameters = _statement(reader, wanted, order)
    with (
        translated(),
        reader.connection() as connection,
        connection.transaction(),
        connection.cursor("export") as cursor,
    ):
        connection.execute(PLAN_FOR_ALL)
        cursor.execute(statement, parameters, binary=True)
        states = _States(connection)
        while rows := cursor.fetchmany(BATCH):
            yield from states.after(rows)


def _statement(reader: Reader, wanted: Selection, order: Order) -> tuple[Composed, dict[str, Any]]:
    which = ["true"]
    parameters: dict[str, Any] = {"position": wanted.moment.position}
    if wanted.moment.clock is Clock.OCCURRED:
        which.append("coalesce(moved.effective, e.occurred_time) <= %(time)s")
        parameters["time"] = wanted.moment.time
    if wanted.name:
        which.append("e.name = %(name)s")
        parameters["name"] = wanted.name
    elif wanted.filter.strip():
        # Their names are held meanwhile, their events are not.
        which.append("e.name IN (SELECT unnest(%(names)s::text[]))")
        jobs = reader.scan(wanted.filter, as_of=wanted.moment)
        parameters["names"] = [job.name for job in jobs]
    parts = {"which": SQL(" AND ".join(which)), "order": SQL(order.value)}
    return EXPORT_EVENTS.format(**parts), parameters


class _States:
    """Tells the state after each event: mostly from the one before it in its job, else the server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last: dict[str, tuple[int, JobState | None]] = {}

    def after(self, rows: list[tuple[Any, ...]]) -> Iterator[RecordedEvent]:
        """The rows as events."""
        if len(self._last) > MAX_STATES:
            self._last.clear()
        told = self._look_up(self._untold(rows))
        make = RecordedEvent._make
        for row in rows:
            _, name, version, *_ = row
            state = _entered(row)
            if state is None:
                last, before = self._last.get(name, (0, None))
                state = before if last == version - 1 else told[name, version]
            self._last[name] = version, state
            yield make((*row[:-1], state, row[-1]))

    def _untold(self, rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, int]]:
        """(name, version) of those that leave the state as it was, and do not follow one that is known."""
        untold = []
        seen: dict[str, int] = {}
        for row in rows:
            _, name, version, *_ = row
            if _entered(row) is None:
                last = seen[name] if name in seen else self._last.get(name, (0, None))[0]
                if last != version - 1:
                    untold.append((name, version))
            seen[name] = version
        return untold

    def _look_up(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], JobState | None]:
        if not places:
            return {}
        names, versions = zip(*places, strict=True)
        found = self._connection.execute(STATES_BEFORE, (list(names), list(versions)))
        return {
            (name, version): JobState[state] if state else None for name, version, state in found
        }


def _entered(row: tuple[Any, ...]) -> JobState | None:
    """The state that the job of a row is known to be in because of it."""
    return entered_state(row[3], row[4], row[10])
