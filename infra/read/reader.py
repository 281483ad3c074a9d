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
from jobledger.infra.postgres.connections import (
    Connection,
    connect,
    open_pool,
    reading_again,
    translated,
)
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.privacy.subject_keys import SubjectKeys
from jobledger.infra.read.job_lists import JobLists, Query
from jobledger.infra.read.moments import Given, Moments, is_pinned
from jobledger.infra.read.page_tokens import PageCursor, PageTokens
from jobledger.projections.jobs import job_of
from psycopg.sql import Composed

READ_JOB: Final = sql.load(__package__, "read_job")
READ_JOB_AT: Final = sql.load(__package__, "read_job_at")
READ_JOB_VALID_TIME: Final = sql.load(__package__, "read_job_valid_time")
MAX_PAGE: Final = 1_000
DEFAULT_PAGE_SIZE: Final = 50
MAX_CONNECTIONS: Final = 16
EVERYTHING: Final = All(())
"""The filter that leaves nothing out."""
IN_A_STATE: Final = 'state : "*"'

Shown = TypeVar("Shown", Job, RecordedEvent)


class Page(NamedTuple):
    """One page of jobs (AIP-158).

    Attributes:
        jobs: The jobs of the page, in the order asked for.
        moment: The moment as of which all pages are read.
        next_page_token: The `page_token` of the next page; "" after the last page.
    """

    jobs: list[Job]
    moment: Moment
    next_page_token: str


class Counts(NamedTuple):
    """How many jobs there are of each value.

    Attributes:
        moment: The moment as of which the jobs are counted.
        counts: The number of jobs by value, the most frequent first; None is for jobs without a
            value.
    """

    moment: Moment
    counts: dict[str | None, int]


class Reader:
    """Reads one ledger; any number of threads may use it.

    A moment is given as `as_of`: `v7` (a version of one job), `@4711` (a position), a time, or any
    text that `parse_as_of` accepts, such as `2h ago`. A time is read on the clock `clock`:
    "occurred" (valid time, the default) or "recorded" (transaction time). None is now, in
    transaction time unless `clock` is "occurred".
    """

    def __init__(self, info: str, name: str) -> None:
        """Opens the connections.

        Args:
            info: libpq's connection string, with the search_path of the ledger's schema.
            name: The ledger's name.
        """
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
        """Checks that `close` was not called.

        Raises:
            LedgerClosedError: The ledger was closed.
        """
        if self.pool.closed:
            raise LedgerClosedError

    def connection(self) -> Connection:
        """Opens a connection of your own to the ledger's schema, for SQL; close it after use.

        Returns:
            A psycopg connection in autocommit mode.

        Raises:
            LedgerClosedError: The ledger was closed.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> with ledger.connection() as connection:
            ...     connection.execute("SELECT name, type FROM job_events").fetchall()
            [('projects/demo/jobs/a', 'Created')]
        """
        self.check_open()
        connection = connect(self.conninfo)
        used_here(connection)
        return connection

    def size(self) -> int:
        """Returns the number of events of the ledger, which is the last position.

        Returns:
            The last position; 0 for an empty ledger. Pruned events count.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.size()
            1
        """
        return self.feed.size()

    def check_reached(self, position: int, field: str = "after") -> None:
        """Checks that the ledger has reached a position.

        Args:
            position: A position, from 0.
            field: The name of the argument that the error is about.

        Raises:
            BeyondEndError: The position is after the last one.

        Examples:
            >>> ledger.check_reached(0)
            >>> ledger.check_reached(1)
            Traceback (most recent call last):
            jobledger.domain.errors.BeyondEndError: after: position 1 is beyond the end: the ledger's last position is 0
        """
        self.feed.check_reached(position, field)

    def pruned(self, after: int, until: int) -> Ranges:
        """Returns the ranges of positions whose events were pruned.

        Args:
            after: Positions after this one, from 0.
            until: Positions up to this one, inclusive.

        Returns:
            At most 1,000 ranges of first and last positions, both inclusive, in order.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.pruned(0, ledger.size())
            []
        """
        return self.feed.pruned(after, until)

    def missing(self, name: str) -> JobNotFoundError:
        """Returns the error for a job without events; it mentions prunings."""
        return JobNotFoundError(name, pruned_before=self._moments.pruned_before())

    def history(self, name: str, after: int = 0, until: int = LAST_VERSION) -> list[RecordedEvent]:
        """Returns the events of a job in the order of versions, also of a deleted job.

        Args:
            name: The job's resource name (AIP-122).
            after: Events after this version, from 0.
            until: Events up to this version, inclusive.

        Returns:
            The events, oldest first; each with its position, times (UTC) and data.

        Raises:
            JobNotFoundError: The job has no such events.
            InvalidFieldError: `name` is not a job's resource name.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started("projects/demo/jobs/a", actor="node-7")
            >>> [(event.version, event.type, event.actor) for event in ledger.history("projects/demo/jobs/a")]
            [(1, 'Created', None), (2, 'Started', 'node-7')]
        """
        events = self.feed.history(parse_name(name), after, until)
        if not events:
            raise self.missing(name)
        return events

    def history_page(self, name: str, after: int, limit: int) -> tuple[list[RecordedEvent], bool]:
        """Returns some events of a job in the order of versions, and whether more follow.

        Args:
            name: The job's resource name (AIP-122).
            after: Events after this version, from 0.
            limit: The most events to return; fewer are returned if they are large.

        Returns:
            The events, oldest first, and whether more follow.

        Raises:
            JobNotFoundError: The job has no events.
        """
        events, more = self.feed.history_page(parse_name(name), after, limit)
        if not events and self.read_current(parse_name(name)) is None:
            raise JobNotFoundError(name)
        return events, more

    def events(self, after: int = 0, *, follow: bool = True) -> Iterator[RecordedEvent]:
        """Iterates over all events in commit order: a gapless change feed.

        Each event is returned exactly once. To continue later, keep the position of the last event.

        Args:
            after: Events after this position; 0 is the beginning.
            follow: Whether to wait for new events until the ledger is closed; if false, the
                iteration ends after the last event.

        Returns:
            An iterator of events.

        Raises:
            BeyondEndError: When the iteration begins: `after` is past the last position.
            LedgerClosedError: The ledger was closed.
            LedgerUnavailableError: When an event is read: the server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> [(event.position, event.type) for event in ledger.events(follow=False)]
            [(1, 'Created')]
        """
        self.check_open()
        return self.feed.events(after, follow=follow)

    def moment(
        self, as_of: Given | None = None, clock: Clock | str | None = None, name: str = ""
    ) -> Moment:
        """Pins a moment: the same question as of the result always has the same answer.

        Args:
            as_of: A version of the job `name` (`v7`), a position (`@4711`), a time, or text such as
                `2h ago`; None is now.
            clock: "occurred" (valid time) or "recorded" (transaction time), for times; None is
                "occurred" for a time, and "recorded" for now.
            name: The job's resource name, if `as_of` may be a version.

        Returns:
            The position up to which events count, and the time (UTC).

        Raises:
            InvalidFieldError: The moment is in the future, or cannot be parsed.
            JobNotFoundError: `as_of` is a version, and the job has no events.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> moment = ledger.moment("@1")
            >>> moment.position, moment.clock
            (1, <Clock.RECORDED: 'recorded'>)
            >>> ledger.get("projects/demo/jobs/a", as_of=moment).version
            1
        """
        return self._moments.find(as_of, clock, name)

    def follow(self, position: int) -> int:
        """Catches up the projections that are folded after the commit, such as `intervals`.

        Args:
            position: The position that they must reach.

        Returns:
            The position that they have reached: at least the lower of `position` and the ledger's
            last one.

        Raises:
            LedgerUnavailableError: The server cannot be reached.
            StandbyBehindError: The server is a hot standby, and the primary has not folded them
                for some seconds.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.follow(1)
            1
        """
        return self._moments.follow(position)

    def catch_up(self, closed: Signal) -> None:
        """Folds all events into the projections that catch up, until `closed` is set."""
        self._moments.follow_all(closed)

    def get(
        self, name: str, *, as_of: Given | None = None, clock: Clock | str | None = None
    ) -> Job:
        """Returns a job, now or as of a moment (AIP-131).

        Args:
            name: The job's resource name (AIP-122).
            as_of: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`; None is
                now.
            clock: "occurred" (valid time: when it happened) or "recorded" (transaction time: as the
                ledger knew it); None is "occurred" for a time, and "recorded" for now.

        Returns:
            The job; its times are UTC.

        Raises:
            JobNotFoundError: There was no such job at the moment, or it was deleted.
            InvalidFieldError: The moment is in the future, or cannot be parsed.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started("projects/demo/jobs/a")
            >>> ledger.get("projects/demo/jobs/a").state.name
            'RUNNING'
            >>> ledger.get("projects/demo/jobs/a", as_of="v1").state.name
            'QUEUED'
        """
        parsed = parse_name(name)
        if as_of is None and clock is None:
            job = self.read_current(parsed)
        else:
            moment = self.moment(as_of, clock, name)
            recorded = moment.clock is Clock.RECORDED
            statement = READ_JOB_AT if recorded else READ_JOB_VALID_TIME
            job = self._read(statement, {"name": parsed} | moment._asdict())
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
        """Returns the jobs that a filter matches (AIP-132); deleted jobs are left out.

        Args:
            filter: An AIP-160 filter, such as `state = FAILED AND labels.team = "vision"`; ""
                matches all jobs.
            limit: The most jobs to return; None returns all.
            order_by: Fields separated by commas, each with `desc` or not (AIP-132); "" is newest
                first.
            as_of: A position (`@4711`), a time, or text such as `2h ago`; None is now.
            clock: "occurred" (valid time) or "recorded" (transaction time); see `get`.

        Returns:
            The jobs, all as of one moment.

        Raises:
            InvalidFieldError: The filter cannot be parsed, names an unknown field, or the moment is
                in the future.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a", {"team": "vision"})
            >>> _ = ledger.create("projects/demo/jobs/b", {"team": "speech"})
            >>> [job.name for job in ledger.list('labels.team = "vision"')]
            ['projects/demo/jobs/a']
        """
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
        """Iterates over the jobs that a filter matches, without holding them all in memory.

        All jobs are as of the moment at which the iteration begins, however long it takes.

        Args:
            filter: An AIP-160 filter; "" matches all jobs.
            limit: The most jobs to return; None returns all.
            order_by: Fields separated by commas, each with `desc` or not (AIP-132); "" is newest
                first.
            as_of: A position (`@4711`), a time, or text such as `2h ago`; None is now.
            clock: "occurred" (valid time) or "recorded" (transaction time); see `get`.

        Returns:
            An iterator of jobs.

        Raises:
            InvalidFieldError: The filter cannot be parsed, names an unknown field, or the moment is
                in the future.
            LedgerUnavailableError: When a job is read: the server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> sum(1 for job in ledger.scan("state = QUEUED"))
            1
        """
        if limit is not None and limit < 0:
            raise InvalidFieldError("limit", f"{limit} is negative; give 0 or more")
        now = as_of is None and clock is None
        query = Query.parse(filter, None if now else self.moment(as_of, clock), order_by)
        return self._jobs.scan(query, limit)

    def page(
        self,
        filter: str | Filter = "",
        *,
        page_size: int = DEFAULT_PAGE_SIZE,
        page_token: str = "",
        order_by: str = "",
        skip: int = 0,
        as_of: Given | None = None,
        clock: Clock | str | None = None,
    ) -> Page:
        """Returns one page of the jobs that a filter matches (AIP-158).

        All pages are as of the moment of the first one.

        Args:
            filter: An AIP-160 filter; "" matches all jobs.
            page_size: The most jobs of the page, up to 1,000; 0 is 50.
            page_token: `next_page_token` of the page before; "" is the first page.
            skip: How many jobs to leave out before the page; not together with `page_token`.
            order_by: Fields separated by commas, each with `desc` or not (AIP-132); "" is newest
                first.
            as_of: A position (`@4711`), a time, or text such as `2h ago`; None is now.
            clock: "occurred" (valid time) or "recorded" (transaction time); see `get`.

        Returns:
            The jobs, their moment, and the token of the next page.

        Raises:
            InvalidFieldError: A value is not accepted, or the token is not of this ledger and these
                arguments.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> for id in "abc":
            ...     _ = ledger.create(f"projects/demo/jobs/{id}")
            >>> page = ledger.page(page_size=2)
            >>> rest = ledger.page(page_size=2, page_token=page.next_page_token)
            >>> len(page.jobs), len(rest.jobs), rest.next_page_token
            (2, 1, '')
        """
        if page_size < 0:
            raise InvalidFieldError("page_size", f"{page_size} is negative; give 0 or more")
        if skip < 0 or (skip and page_token):
            raise InvalidFieldError("skip", f"{skip} is negative, or given beside a page token")
        size = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE)
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
        """Counts the jobs that a filter matches, by the value of a field.

        Counting by state without a filter takes the same time for any number of jobs, unless
        `as_of` is a time in valid time as known at an earlier position.

        Args:
            by: A field of filters, such as `state`, `kind` or `labels.team`.
            filter: An AIP-160 filter; "" matches all jobs.
            as_of: A position (`@4711`), a time, or text such as `2h ago`; None is now.
            clock: "occurred" (valid time) or "recorded" (transaction time); see `get`.

        Returns:
            The number of jobs by value, the most frequent first, and their moment.

        Raises:
            InvalidFieldError: The filter cannot be parsed, a field is unknown, or the moment is in
                the future.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> for id in "abc":
            ...     _ = ledger.create(f"projects/demo/jobs/{id}")
            >>> _ = ledger.started("projects/demo/jobs/a")
            >>> ledger.count().counts
            {'QUEUED': 2, 'RUNNING': 1}
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
            if self._moments.follow_if_possible(moment.position).position >= moment.position:
                return Counts(moment, self._jobs.states_at(moment.position))
            # On a hot standby that is behind, the rows of jobs are up to date.
            return Counts(moment, self._jobs.count(Query.parse(IN_A_STATE, moment), "state"))
        known, states = self._jobs.states_valid_time(moment.time)
        if pinned and known != moment.position:
            # More was followed, which may say something else of that time.
            query = Query.parse(IN_A_STATE, moment)
            return Counts(moment, self._jobs.count(query, "state"))
        return Counts(moment._replace(position=known), states)

    def read_current(self, name: str) -> Job | None:
        """Returns a job as it is now, also a deleted one; the name is not checked.

        Args:
            name: The job's resource name (AIP-122).

        Returns:
            The job, or None if there is none.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> ledger.read_current("projects/demo/jobs/a") is None
            True
        """
        return self._read(READ_JOB, (name,))

    def read_at(self, name: str, position: int) -> Job | None:
        """Returns a job as the ledger knew it at a position, also a deleted one.

        Args:
            name: The job's resource name (AIP-122).
            position: A position of the ledger, from 0.

        Returns:
            The job, or None if the ledger knew none.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started("projects/demo/jobs/a")
            >>> ledger.read_at("projects/demo/jobs/a", 1).state.name
            'QUEUED'
        """
        return self._read(READ_JOB_AT, {"name": name, "position": position})

    def event_at(self, position: int) -> RecordedEvent | None:
        """Returns the event at a position.

        Args:
            position: A position of the ledger, from 1.

        Returns:
            The event, or None if there is none or it was pruned.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.event_at(1).type
            'Created'
        """
        event = None
        with suppress(BeyondEndError):
            event = next(self.events(position - 1, follow=False), None) if position > 0 else None
        return event if event is not None and event.position == position else None

    def decrypt(self, value: Any) -> Any:
        """Decrypts the personal values (`@personal`) of stored JSON.

        Jobs and events are otherwise returned as they are stored. A value whose subject was erased
        becomes `{"@erased": …}`, a few seconds after the erasure at the latest.

        Args:
            value: JSON, such as `Job.spec` or `RecordedEvent.json`.

        Returns:
            The same JSON with decrypted values.

        Raises:
            BrokenLedgerError: An encrypted value was changed after it was written.

        Examples:
            >>> spec = {"owner": {"@personal": {"subject": "ada", "value": "Ada L."}}}
            >>> job = ledger.create("projects/demo/jobs/a", spec=spec)
            >>> ledger.decrypt(job.spec)
            {'owner': 'Ada L.'}
        """
        return self.keys.decrypt(value)

    def decrypt_json(self, encoded: bytes) -> bytes:
        """Decrypts the personal values of encoded JSON.

        Args:
            encoded: JSON as bytes.

        Returns:
            The decrypted JSON; `encoded` itself if nothing in it is encrypted.

        Raises:
            BrokenLedgerError: An encrypted value was changed after it was written.

        Examples:
            >>> ledger.decrypt_json(b'{"gpus":8}')
            b'{"gpus":8}'
        """
        return self.keys.decrypt_json(encoded)

    def decrypted(self, shown: Shown) -> Shown:
        """Returns a copy of a job or event with decrypted personal values, for display only.

        Args:
            shown: A job or an event of this ledger.

        Returns:
            The copy; `shown` itself if nothing in it is encrypted.

        Raises:
            BrokenLedgerError: An encrypted value was changed after it was written.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.decrypted(job) is job
            True
        """
        if not holds_encrypted(shown):
            return shown
        if isinstance(shown, RecordedEvent):
            return shown._replace(stored=canonical.encode(self.decrypt(shown.json)))
        return shown.model_copy(update=self.decrypt(_parts(shown)))

    @reading_again
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
