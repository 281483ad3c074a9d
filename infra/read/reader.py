"""How jobs are read, now or as of any moment; `Ledger` inherits it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.filters import All, Filter
from jobledger.domain.job import Job
from jobledger.domain.moments import Clock, Moment
from jobledger.domain.names import parse_name
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.job_lists import Fleet, Query
from jobledger.infra.read.moments import Given, Moments, is_pinned
from jobledger.infra.read.page_tokens import Place, Tokens
from jobledger.projections.jobs import job_of
from psycopg_pool import ConnectionPool

READ_JOB: Final = sql.load(__package__, "read_job")
READ_JOB_AT: Final = sql.load(__package__, "read_job_at")
READ_JOB_AS_IT_HAPPENED: Final = sql.load(__package__, "read_job_as_it_happened")
MAX_PAGE: Final = 1_000
USUAL_PAGE: Final = 50
EVERYTHING: Final = All(())
"""The filter that leaves nothing out."""
IN_A_STATE: Final = 'state : "*"'


class Page(NamedTuple):
    """Some jobs, the moment they are shown as of, and the token of the next page ("" after the last)."""

    jobs: list[Job]
    moment: Moment
    next_page_token: str


class Counts(NamedTuple):
    """How many jobs there are of each value, the most frequent first, as of a moment."""

    moment: Moment
    counts: dict[str | None, int]


class Reads:
    """Reading. `as_of` is a moment: `v7` (of one job), `@4711` (after that position), a time, or
    text that parse_as_of reads. Times are on the occurred clock ("as it happened") unless `clock`
    is "recorded" ("as we knew it"); None is now, on the recorded clock unless `clock` is the other.
    All raise InvalidFieldError for a moment that is not yet, a filter (AIP-160) that does not
    parse, or a field there is not.
    """

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self.pool = pool
        """Connections for readers."""
        self._moments = Moments(pool)
        self._fleet = Fleet(pool)
        self._tokens = Tokens(pool)

    def moment(
        self, as_of: Given | None = None, clock: Clock | str | None = None, name: str = ""
    ) -> Moment:
        """What `as_of` means, pinned: asked again as of that, an answer is the same."""
        return self._moments.find(as_of, clock, name)

    def follow(self, position: int) -> int:
        """Lets what follows the events come as far as a position, for who will read it by itself.

        Returns how far it has come: maybe further, and never further than the ledger.
        """
        return self._moments.follow(position)

    def get(
        self, name: str, *, as_of: Given | None = None, clock: Clock | str | None = None
    ) -> Job:
        """The job as it is, or was. Raises JobNotFoundError if there is none, or it was deleted."""
        parameters = {"name": parse_name(name)}
        if as_of is None and clock is None:
            job = self._current(name)
        else:
            moment = self.moment(as_of, clock, name)
            recorded = moment.clock is Clock.RECORDED
            statement = READ_JOB_AT if recorded else READ_JOB_AS_IT_HAPPENED
            job = self._read(statement, parameters | moment._asdict())
        if job is None:
            raise JobNotFoundError(name)
        if job.delete_time is not None:
            raise JobNotFoundError(name, deleted=True)
        return job

    def list(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given | None = None,
        clock: Clock | str | None = None,
    ) -> list[Job]:
        """Jobs that were not deleted, newest first, or by fields as AIP-132's order_by says."""
        return [*self.scan(filter, limit=limit, order_by=order_by, as_of=as_of, clock=clock)]

    def scan(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given | None = None,
        clock: Clock | str | None = None,
    ) -> Iterator[Job]:
        """The same one by one, without holding them all: one moment's jobs, however long it takes."""
        if limit is not None and limit < 0:
            raise InvalidFieldError("limit", f"{limit} is negative")
        now = as_of is None and clock is None
        query = Query.parse(filter, None if now else self.moment(as_of, clock), order_by)
        return self._fleet.scan(query, limit)

    def page(
        self,
        filter: str | Filter = "",
        *,
        page_size: int = USUAL_PAGE,
        page_token: str = "",
        order_by: str = "",
        as_of: Given | None = None,
        clock: Clock | str | None = None,
    ) -> Page:
        """One page (AIP-158) of at most 1,000 jobs; later pages show the same moment as the first.

        Raises InvalidFieldError for a token made elsewhere, changed, or of another query.
        """
        if page_size < 0:
            raise InvalidFieldError("page_size", f"{page_size} is negative")
        size = min(page_size or USUAL_PAGE, MAX_PAGE)
        asked = (str(filter), order_by, str(as_of), str(clock))
        if page_token:
            place = self._tokens.read(page_token, *asked)
        else:
            place = Place(self.moment(as_of, clock))
        query = Query.parse(filter, place.moment, order_by)
        jobs = self._fleet.page(query, size + 1, offset=place.offset, after=place.after)
        token = ""
        if len(jobs) > size:
            last = jobs[size - 1]
            after = (_created(last), last.name)
            following = (
                Place(place.moment, place.offset + size)
                if order_by.strip()
                else Place(place.moment, after=after)
            )
            token = self._tokens.write(following, *asked)
        return Page(jobs[:size], place.moment, token)

    def count(
        self,
        by: str = "state",
        filter: str | Filter = "",
        *,
        as_of: Given | None = None,
        clock: Clock | str | None = None,
    ) -> Counts:
        """How many jobs there are of each `state`, `kind`, `labels.KEY`, or other field of filters.

        By state and without a filter it takes the same short time however many there are, unless
        it is as it happened, as far as was known at a position before the last.
        """
        moment = self.moment(as_of, clock)
        query = Query.parse(filter, moment)
        if by == "state" and query.filter == EVERYTHING:
            return self._count_states(moment, pinned=is_pinned(as_of))
        return Counts(moment, self._fleet.count(query, by))

    def _count_states(self, moment: Moment, *, pinned: bool) -> Counts:
        if moment.clock is Clock.RECORDED:
            self.follow(moment.position)
            return Counts(moment, self._fleet.states_at(moment.position))
        known, states = self._fleet.states_as_they_happened(moment.time)
        if pinned and known != moment.position:
            # More was followed, which may say something else of that time.
            query = Query.parse(IN_A_STATE, moment)
            return Counts(moment, self._fleet.count(query, "state"))
        return Counts(moment._replace(position=known), states)

    def read_current(self, name: str) -> Job | None:
        """The job as it is, also a deleted one; None if there is none."""
        return self._read(READ_JOB, (name,))

    def read_at(self, name: str, position: int) -> Job | None:
        """The job as the ledger knew it at a position, also a deleted one; None if there was none."""
        return self._read(READ_JOB_AT, {"name": name, "position": position})

    def _current(self, name: str) -> Job | None:
        return self.read_current(name)

    def _read(self, statement: bytes, parameters: tuple[Any, ...] | dict[str, Any]) -> Job | None:
        with translated(), self.pool.connection() as connection:
            row = connection.execute(statement, parameters, binary=True).fetchone()
        return None if row is None else job_of(row)


def _created(job: Job) -> str:
    created = datetime.min.replace(tzinfo=UTC) if job.create_time is None else job.create_time
    return "-infinity" if job.create_time is None else created.isoformat()
