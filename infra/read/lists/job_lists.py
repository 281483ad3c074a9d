"""Lists, pages and counts of all jobs as of a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.values.filters import parse_field
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.feed import READ_SIZE
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import (
    Connection,
    Pool,
    iterating_again,
    limit_queries,
    reading_again,
    translated,
)
from jobledger.infra.postgres.session import WAIT_IN_TRANSACTION
from jobledger.infra.read.lists.filter_sql import Rendering, asks_for_label
from jobledger.infra.read.lists.in_states import find_in_states, is_known_at
from jobledger.infra.read.lists.list_sql import (
    JOB_COLUMNS,
    Query,
    jobs_sql,
    list_sql,
    parameters_of,
)
from jobledger.infra.read.lists.part_of_list import PartOfList
from jobledger.infra.read.lists.text_search import find_names, find_names_within
from jobledger.infra.read.moments import Seen
from jobledger.projections.jobs import COLUMNS, job_of
from psycopg.sql import SQL, Composed, Literal

RECENT_EVENTS: Final = 10_000
"""How many events may follow the position of a list for it to be read through an index."""
ANY_LATE: Final = sql.load(__package__, "any_late")
STATES_AT: Final = sql.load(__package__, "states_at")
STATES_VALID_TIME: Final = sql.load(__package__, "states_valid_time")
MAX_LATER_EVENTS: Final = 200_000
"""How many events after a position are checked for an effect on an earlier time."""

JOB_FIELDS: Final = len(COLUMNS)
SEEN: Final = """,
    (SELECT size FROM head),
    (SELECT version FROM events WHERE name = 'ledger/prunings' ORDER BY version DESC LIMIT 1),
    (SELECT position FROM projections WHERE name = 'intervals')
"""
MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
"""The most bytes of configurations, outputs, errors and labels in one page."""
JOBS_PAGE: Final = sql.template(__package__, "jobs_page")


class JobsPage(NamedTuple):
    """One page of a list of jobs."""

    jobs: list[Job]
    more: bool
    """Whether more jobs follow."""
    seen: Seen | None
    """What was seen of the ledger; None for a page as of now, and for an empty page."""


class JobLists:
    """Reads lists of jobs; any number of threads may use it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._in_order_until = -1
        """A position up to which no job's reports came late; later events do not change that."""

    @reading_again
    def page(
        self, query: Query, limit: int, *, offset: int = 0, after: tuple[str, str] | None = None
    ) -> JobsPage:
        """Reads one page of jobs.

        Args:
            query: Which jobs, as of which moment.
            limit: The most jobs to return; fewer are returned if they are large, but at least one.
            offset: The number of jobs before the page.
            after: The create time and name of the last job of the page before, for the default
                order, so that the jobs before need not be read again.

        Returns:
            The jobs, whether more follow, and what the same statement saw of the ledger.
        """
        with translated(), self._pool.connection() as connection:
            whole, parameters = list_sql(self._aware(query, connection), limit + 1, offset, after)
            bounded = JOBS_PAGE.format(
                columns=SQL(JOB_COLUMNS),
                jobs=whole,
                limit=Literal(limit),
                bytes=Literal(MAX_PAGE_BYTES),
                seen=SQL("" if query.moment is None else SEEN),
            )
            rows = connection.execute(bounded, parameters, binary=True).fetchall()
        if not rows:
            return JobsPage([], False, None)
        found, *seen = rows[0][JOB_FIELDS:]
        jobs = [job_of(row[:JOB_FIELDS]) for row in rows]
        return JobsPage(jobs, found > len(rows), Seen(*seen) if seen else None)

    @iterating_again
    def scan(self, query: Query, limit: int | None) -> Iterator[Job]:
        """Yields the jobs one by one, without holding them all in memory."""
        with (
            translated(),
            self._pool.connection() as connection,
            connection.transaction(),
            connection.cursor("jobs") as cursor,
        ):
            connection.execute(WAIT_IN_TRANSACTION)
            cursor.itersize = 2_000
            cursor.execute(*list_sql(self._aware(query, connection), limit))
            yield from map(job_of, cursor)

    @reading_again
    def count(self, query: Query, by: str, seconds: float | None = None) -> dict[str | None, int]:
        """Returns the number of jobs for each value of the field, the most frequent first.

        Raises:
            QueryTimeoutError: It took longer than `seconds`.
        """
        rendering = Rendering(query.moment)
        key, _ = rendering.field(parse_field(by, "by"), "by")
        condition = rendering.condition(query.filter)
        counting = SQL("SELECT key::text, count(*) FROM ({}) AS jobs GROUP BY 1 ORDER BY 2 DESC, 1")
        with translated(), self._pool.connection() as connection, connection.transaction():
            aware = self._aware(query, connection)
            jobs = jobs_sql(aware, rendering, SQL("{} AS key").format(key), condition)
            parameters = parameters_of(aware, rendering)
            # The cost depends on the moment, so a separate plan is worth it.
            connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            limit_queries(connection, seconds)
            rows = connection.execute(counting.format(jobs), parameters, prepare=False)
            return {key: int(count) for key, count in rows}

    @reading_again
    def count_up_to(self, query: Query, limit: int, seconds: float) -> int:
        """Returns the number of jobs, or the limit if there are as many or more.

        Raises:
            QueryTimeoutError: It took longer than `seconds`.
        """
        rendering = Rendering(query.moment)
        condition = rendering.condition(query.filter)
        with translated(), self._pool.connection() as connection, connection.transaction():
            aware = self._aware(query, connection)
            jobs = jobs_sql(aware, rendering, SQL("name"), condition)
            parameters = parameters_of(aware, rendering)
            counting = SQL("SELECT count(*) FROM (SELECT FROM ({}) AS jobs LIMIT {}) AS counted")
            limit_queries(connection, seconds)
            statement = counting.format(jobs, Literal(limit))
            row = connection.execute(statement, parameters, prepare=False).fetchone()
        return 0 if row is None else int(row[0])

    @reading_again
    def names(self, query: Query) -> tuple[Composed, dict[str, Any]]:
        """Returns a statement that reads the names of the jobs, with its parameters, for use in another one."""
        rendering = Rendering(query.moment)
        condition = rendering.condition(query.filter)
        with translated(), self._pool.connection() as connection:
            aware = self._aware(query, connection)
        return jobs_sql(aware, rendering, SQL("name"), condition), parameters_of(aware, rendering)

    @reading_again
    def part_after(self, part: PartOfList) -> PartOfList | None:
        """Returns the part of the list that follows another one; None if there is none."""
        with translated(), self._pool.connection() as connection:
            return part.following(connection)

    @reading_again
    def names_with_texts(self, query: Query, seconds: float) -> tuple[str, ...] | None:
        """Returns the names of all jobs that can match; None if they are many, or that took too long."""
        with translated(), self._pool.connection() as connection:
            return find_names_within(connection, query.filter, seconds)

    @reading_again
    def states_at(self, position: int) -> dict[str | None, int]:
        """Returns the number of jobs in each state at a position; `intervals` must have reached it."""
        with translated(), self._pool.connection() as connection:
            rows = connection.execute(STATES_AT, {"position": position}).fetchall()
        return _most_first(rows)

    @reading_again
    def states_valid_time(self, time: datetime) -> tuple[int, dict[str | None, int]]:
        """Returns the same at a time, as known at the position that `intervals` has reached."""
        with translated(), self._pool.connection() as connection:
            rows = connection.execute(STATES_VALID_TIME, {"time": time}).fetchall()
        states = [(state, jobs) for _, state, jobs in rows if state is not None]
        return rows[0][0], _most_first(states)

    @reading_again
    def is_known_at(self, moment: Moment, known: int) -> bool:
        """Whether the events up to a later position change nothing at the moment's time."""
        with translated(), self._pool.connection() as connection:
            return is_known_at(connection, moment, known, MAX_LATER_EVENTS)

    def _aware(self, query: Query, connection: Connection) -> Query:
        """Returns the query with the values that determine how its statement is written.

        Few jobs are looked up by their names. Without late reports, planning the statement takes half
        the time; and a list of few jobs in transaction time is read through an index if few of them
        changed since.
        """
        if query.among is None and query.part is None:
            query = query._replace(among=find_names(connection, query.filter))
        moment = query.moment
        if moment is None:
            return query
        if moment.clock is Clock.RECORDED:
            query = self._recent(query, moment, connection)
        elif moment.position > self._in_order_until:
            if connection.execute(ANY_LATE).fetchone() == (True,):
                query = query._replace(late=True)
            else:
                self._in_order_until = moment.position
        return _in_states(query, moment, connection)

    def _recent(self, query: Query, moment: Moment, connection: Connection) -> Query:
        """Returns the query with whether an index on labels finds its jobs."""
        if query.among is not None or query.part is not None or not asks_for_label(query.filter):
            return query
        row = connection.execute(READ_SIZE).fetchone()
        return query._replace(recent=row is not None and row[0] - moment.position <= RECENT_EVENTS)


def _in_states(query: Query, moment: Moment, connection: Connection) -> Query:
    """Returns the query with the jobs that were in the states that it asks for, if they were few."""
    if query.among is not None or query.part is not None or query.recent:
        return query
    found = find_in_states(connection, query.filter, moment)
    return query if found is None else query._replace(most=found.jobs, among=found.names)


def _most_first(rows: Iterable[tuple[Any, ...]]) -> dict[str | None, int]:
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))
