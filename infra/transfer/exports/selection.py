"""The events of an export, streamed from the server with the state after each."""

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
from jobledger.infra.postgres.session import WAIT_IN_TRANSACTION
from jobledger.infra.read.reader import Reader
from psycopg.sql import SQL, Composed

EXPORT_EVENTS: Final = sql.template(__package__, "export_events")
PLAN_FOR_ALL: Final = sql.load(__package__, "plan_for_all")
STATES_BEFORE: Final = sql.load(__package__, "states_before")

BATCH: Final = 1_000
"""Events fetched at once."""
MAX_STATES: Final = 100_000
"""Jobs whose state is remembered; the states of others are looked up again."""


class Order(StrEnum):
    """The order of the events; the server sorts."""

    POSITION = "e.position"
    DAY = "(e.occurred_time AT TIME ZONE 'UTC')::date, e.position"
    DAY_KIND = "(e.occurred_time AT TIME ZONE 'UTC')::date, split_part(e.name, '/', -2), e.position"
    JOB = "e.name, coalesce(moved.effective, e.occurred_time), coalesce(moved.place, e.version), e.version"
    """Sorts by job, in the order in which events took effect."""


class Selection(NamedTuple):
    """The events of an export: of one job, of the jobs that a filter matches, or of all jobs.

    A filter does not match deleted jobs, as in lists; without one, deleted jobs are included.

    Attributes:
        ledger: The ledger's name.
        moment: The moment up to which events count.
        name: One job's resource name; "" for several jobs.
        filter: An AIP-160 filter; "" matches all jobs.
        checkpoint: A signed checkpoint of the log that covers the events (C2SP tlog-checkpoint).
        receipts: The receipts of the job's events, by version (C2SP tlog-proof).
        keys: The verifier keys of the log.
    """

    ledger: str
    moment: Moment
    name: str = ""
    filter: str = ""
    checkpoint: str = ""
    receipts: Mapping[int, str] = {}
    keys: Sequence[str] = ()

    def json(self) -> JsonObject:
        """Returns the selection as JSON, for readers of the export."""
        of = {
            key: value for key in ("name", "filter", "checkpoint") if (value := getattr(self, key))
        }
        return {"ledger": self.ledger} | moment_json(self.moment) | of


def select(
    reader: Reader, wanted: Selection, order: Order = Order.POSITION
) -> Generator[RecordedEvent, None, None]:
    """Yields the events one by one; raises InvalidFieldError for a filter that cannot be parsed.

    The state after each is that of its place in the job, also if earlier events are left out
    because they took effect after the moment.
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
        connection.execute(WAIT_IN_TRANSACTION)
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
    """Finds the state after each event: from the event before it, or else from the server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last: dict[str, tuple[int, JobState | None]] = {}

    def after(self, rows: list[tuple[Any, ...]]) -> Iterator[RecordedEvent]:
        """Yields the rows as events."""
        if len(self._last) > MAX_STATES:
            self._last.clear()
        value = self._look_up(self._unknown(rows))
        make = RecordedEvent._make
        for row in rows:
            _, name, version, *_ = row
            state = _entered(row)
            if state is None:
                last, before = self._last.get(name, (0, None))
                state = before if last == version - 1 else value[name, version]
            self._last[name] = version, state
            yield make((*row[:-1], state, row[-1]))

    def _unknown(self, rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, int]]:
        """Returns (name, version) of the events whose state must be looked up."""
        unknown = []
        seen: dict[str, int] = {}
        for row in rows:
            _, name, version, *_ = row
            if _entered(row) is None:
                last = seen[name] if name in seen else self._last.get(name, (0, None))[0]
                if last != version - 1:
                    unknown.append((name, version))
            seen[name] = version
        return unknown

    def _look_up(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], JobState | None]:
        if not places:
            return {}
        names, versions = zip(*places, strict=True)
        found = self._connection.execute(STATES_BEFORE, (list(names), list(versions)))
        return {
            (name, version): JobState[state] if state else None for name, version, state in found
        }


def _entered(row: tuple[Any, ...]) -> JobState | None:
    """Returns the state that the row's event leads to, as far as the row shows it."""
    return entered_state(row[3], row[4], row[10])
