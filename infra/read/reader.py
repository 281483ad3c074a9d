"""Reads one ledger: jobs now or as of any moment, their events, and the live feed."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event as Signal
from typing import Any, Final, NamedTuple, Self, TypeVar

import orjson
from jobledger.domain.errors import BeyondEndError, InvalidFieldError, JobNotFoundError
from jobledger.domain.job import Job
from jobledger.domain.values import canonical
from jobledger.domain.values.filters import All, Filter
from jobledger.domain.values.moments import Clock, Moment
from jobledger.domain.values.names import parse_name
from jobledger.infra.errors import LedgerClosedError
from jobledger.infra.eventstore.feed import LAST_VERSION, Feed, Ranges
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.abandoned import used_here
from jobledger.infra.postgres.connections import Connection, connect, open_pool, translated
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.privacy.subject_keys import SubjectKeys
from jobledger.infra.read.job_lists import JobLists, Query
from jobledger.infra.read.moments import Given, Moments, is_pinned
from jobledger.infra.read.page_tokens import PageCursor, PageTokens
from jobledger.projections.jobs import job_of
from psycopg.sql import Composed

READ_JOB: Final = sql.load(__package__, "read_job")
READ_JOB_AT: Final = sql.load(__package__, "read_job_at")
READ_JOB_AS_IT_HAPPENED: Final = sql.load(__package__, "read_job_as_it_happened")
MAX_PAGE: Final = 1_000
USUAL_PAGE: Final = 50
MAX_CONNECTIONS: Final = 16
EVERYTHING: Final = All(())
"""The filter that leaves nothing out."""
IN_A_STATE: Final = 'state : "*"'

Shown = TypeVar("Shown", Job, RecordedEvent)


class Page(NamedTuple):
    """Some jobs, the moment they are shown as of, and the token of the next page ("" after the last)."""

    jobs: list[Job]
    moment: Moment
    next_page_token: str


class Counts(NamedTuple):
    """How many jobs there are of each value, the most frequent first, as of a moment."""

    moment: Moment
    counts: dict[str | None, int]


class Reader:
    """Reads one ledger; any number of threads may use it.

    `as_of` is a moment: `v7` (of one job), `@4711` (after that position), a time, or text that
    parse_as_of reads. Times are valid time (`clock` "occurred") unless `clock` is "recorded"
    (transaction time); None is now, in transaction time unless `clock` is the other. All methods
    raise InvalidFieldError for a moment that is yet to come, a filter (AIP-160) that does not
    parse, or a field that does not exist.
    """

    def __init__(self, info: str, name: str) -> None:
        """`info` is libpq's connection string, with the search_path that makes it this ledger's."""
        self.conninfo = info
        self.name = name
        self.pool = open_pool(info, MAX_CONNECTIONS)
        self.keys = SubjectKeys(self.pool)
        self.closed = Signal()
        self.feed = Feed(self.pool, self.closed)
        self._moments = Moments(self.pool)
        self._jobs = JobLists(self.pool)
        self._tokens = PageTokens(self.pool)

    def close(self) -> None:
        """Closes the connections; `end_feeds` comes first."""
        self.end_feeds()
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end_feeds(self) -> None:
        """Ends all iterations of `events`."""
        self.closed.set()

    def check_open(self) -> None:
        """Raises LedgerClosedError once `close` was called."""
        if self.pool.closed:
            raise LedgerClosedError

    def connection(self) -> Connection:
        """A connection of your own to this ledger's schema, in autocommit; close it after use."""
        self.check_open()
        connection = connect(self.conninfo)
        used_here(connection)
        return connection

    def size(self) -> int:
        """How many events there are: the last position."""
        return self.feed.size()

    def check_reached(self, position: int, field: str = "after") -> None:
        """Raises BeyondEndError, which names `field`, for a position after the last."""
        self.feed.check_reached(position, field)

    def pruned(self, after: int, until: int) -> Ranges:
        """Ranges of positions after one and up to another whose events were pruned, 1,000 at most."""
        return self.feed.pruned(after, until)

    def missing(self, name: str) -> JobNotFoundError:
        """What to raise for a job of which there are no events: it says if jobs were pruned."""
        return JobNotFoundError(name, pruned_before=self._moments.pruned_before())

    def history(self, name: str, after: int = 0, until: int = LAST_VERSION) -> list[RecordedEvent]:
        """Events of a job after a version, up to another, oldest first; all, where none are given.

        Also of a deleted job. Raises JobNotFoundError where there are none.
        """
        events = self.feed.history(parse_name(name), after, until)
        if not events:
            raise self.missing(name)
        return events

    def history_page(self, name: str, after: int, limit: int) -> tuple[list[RecordedEvent], bool]:
        """Some events of a job after a version, oldest first, and whether more follow.

        So many at most, and fewer if they are large. Raises JobNotFoundError for a job without any.
        """
        events, more = self.feed.history_page(parse_name(name), after, limit)
        if not events and self.read_current(parse_name(name)) is None:
            raise JobNotFoundError(name)
        return events, more

    def events(self, after: int = 0, *, follow: bool = True) -> Iterator[RecordedEvent]:
        """The live feed: events after a position, in commit order, none missing and none twice.

        It waits for more until the ledger is closed; with `follow=False` it ends at the last one.
        Raises BeyondEndError, when it is read, for a position after the last.
        """
        self.check_open()
        return self.feed.events(after, follow=follow)

    def moment(
        self, as_of: Given | None = None, clock: Clock | str | None = None, name: str = ""
    ) -> Moment:
        """What `as_of` means, pinned: asked again as of that, an answer is the same."""
        return self._moments.find(as_of, clock, name)

    def follow(self, position: int) -> int:
        """Folds the events up to a position into the projections that catch up.

        Returns how far it has come: maybe further, and never further than the ledger.
        """
        return self._moments.follow(position)

    def catch_up(self, closed: Signal) -> None:
        """Folds all events into the projections that catch up, unless it is closed meanwhile."""
        self._moments.follow_all(closed)

    def get(
        self, name: str, *, as_of: Given | None = None, clock: Clock | str | None = None
    ) -> Job:
        """The job as it is, or was. Raises JobNotFoundError if there is none, or it was deleted."""
        parameters = {"name": parse_name(name)}
        if as_of is None and clock is None:
            job = self.read_current(parse_name(name))
        else:
            moment = self.moment(as_of, clock, name)
            recorded = moment.clock is Clock.RECORDED
            statement = READ_JOB_AT if recorded else READ_JOB_AS_IT_HAPPENED
            job = self._read(statement, parameters | moment._asdict())
        if job is None:
            raise self.missing(name)
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
        return self._jobs.scan(query, limit)

    def page(
        self,
        filter: str | Filter = "",
        *,
        page_size: int = USUAL_PAGE,
        page_token: str = "",
        order_by: str = "",
        skip: int = 0,
        as_of: Given | None = None,
        clock: Clock | str | None = None,
    ) -> Page:
        """One page (AIP-158) of at most 1,000 jobs; later pages show the same moment as the first.

        `skip` is how many jobs to leave out before it. Raises InvalidFieldError for a token made
        elsewhere, changed, or of another query, and for a token together with `skip`.
        """
        if page_size < 0:
            raise InvalidFieldError("page_size", f"{page_size} is negative")
        if skip < 0 or (skip and page_token):
            raise InvalidFieldError("skip", f"{skip} is negative, or given beside a page token")
        size = min(page_size or USUAL_PAGE, MAX_PAGE)
        asked = (str(filter), order_by, str(as_of), str(clock))
        if page_token:
            cursor = self._tokens.read(page_token, *asked)
            cursor = cursor._replace(moment=self.moment(cursor.moment))
        else:
            cursor = PageCursor(self.moment(as_of, clock), skip)
        query = Query.parse(filter, cursor.moment, order_by)
        jobs, more = self._jobs.page(query, size, offset=cursor.offset, after=cursor.after)
        token = ""
        if more:
            last = jobs[-1]
            after = (_created(last), last.name)
            following = (
                PageCursor(cursor.moment, cursor.offset + len(jobs))
                if order_by.strip() or skip
                else PageCursor(cursor.moment, after=after)
            )
            token = self._tokens.write(following, *asked)
        return Page(jobs, cursor.moment, token)

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
        return Counts(moment, self._jobs.count(query, by))

    def names_statement(self, filter: Filter, moment: Moment) -> tuple[Composed, dict[str, Any]]:
        """A statement that reads the names of the jobs as of the moment, with its parameters."""
        return self._jobs.names(Query.parse(filter, moment))

    def _count_states(self, moment: Moment, *, pinned: bool) -> Counts:
        if moment.clock is Clock.RECORDED:
            self.follow(moment.position)
            return Counts(moment, self._jobs.states_at(moment.position))
        known, states = self._jobs.states_as_they_happened(moment.time)
        if pinned and known != moment.position:
            # More was followed, which may say something else of that time.
            query = Query.parse(IN_A_STATE, moment)
            return Counts(moment, self._jobs.count(query, "state"))
        return Counts(moment._replace(position=known), states)

    def read_current(self, name: str) -> Job | None:
        """The job as it is, also a deleted one; None if there is none."""
        return self._read(READ_JOB, (name,))

    def read_at(self, name: str, position: int) -> Job | None:
        """The job as the ledger knew it at a position, also a deleted one; None if there was none."""
        return self._read(READ_JOB_AT, {"name": name, "position": position})

    def event_at(self, position: int) -> RecordedEvent | None:
        """The event at a position; None if there is none."""
        event = None
        with suppress(BeyondEndError):
            event = next(self.events(position - 1, follow=False), None) if position > 0 else None
        return event if event is not None and event.position == position else None

    def decrypt(self, value: Any) -> Any:
        """Stored JSON with its personal values (`@personal`) decrypted.

        A value whose subject was erased is `{"@erased": …}`, at the latest some seconds after
        that. Raises BrokenLedgerError for one that was changed. Jobs and events are otherwise
        read as they are stored.
        """
        return self.keys.decrypt(value)

    def decrypt_json(self, encoded: bytes) -> bytes:
        """The same of encoded JSON; the very same bytes if nothing in it is encrypted."""
        return self.keys.decrypt_json(encoded)

    def decrypted(self, shown: Shown) -> Shown:
        """The same of a job or an event, to be shown, and never to be recorded again."""
        if not holds_encrypted(shown):
            return shown
        if isinstance(shown, RecordedEvent):
            return shown._replace(stored=canonical.encode(self.decrypt(shown.json)))
        return shown.model_copy(update=self.decrypt(_parts(shown)))

    def _read(self, statement: bytes, parameters: tuple[Any, ...] | dict[str, Any]) -> Job | None:
        with translated(), self.pool.connection() as connection:
            row = connection.execute(statement, parameters, binary=True).fetchone()
        return None if row is None else job_of(row)


def holds_encrypted(shown: Job | RecordedEvent) -> bool:
    """Whether there is anything to decrypt in it."""
    if isinstance(shown, RecordedEvent):
        return MARKER in shown.stored and shown.schema > 0
    return MARKER in orjson.dumps(_parts(shown))


def _parts(job: Job) -> dict[str, Any]:
    return {"spec": job.spec, "output": job.output, "error": job.error}


def _created(job: Job) -> str:
    created = datetime.min.replace(tzinfo=UTC) if job.create_time is None else job.create_time
    return "-infinity" if job.create_time is None else created.isoformat()
