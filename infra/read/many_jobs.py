"""Reads the jobs that a filter matches, now or as of a moment: lists, pages and counts."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.values.arguments import parse_count, text_of
from jobledger.domain.values.filters import All, Filter
from jobledger.domain.values.moments import Clock, Moment, parse_clock
from jobledger.infra.errors import QueryTimeoutError
from jobledger.infra.postgres.connections import Pool
from jobledger.infra.read.answers import Counts, Page
from jobledger.infra.read.lists.first_jobs import FirstJobs, find_first
from jobledger.infra.read.lists.job_lists import JobLists, JobsPage
from jobledger.infra.read.lists.list_sql import Query
from jobledger.infra.read.lists.page_tokens import PageCursor, PageTokens
from jobledger.infra.read.moments import Given, Moments, is_pinned
from psycopg.sql import Composed

MAX_PAGE: Final = 1_000
DEFAULT_PAGE_SIZE: Final = 50
EVERYTHING: Final = All(())
"""The filter that matches all jobs."""
IN_A_STATE: Final = 'state : "*"'


class ManyJobs:
    """Reads lists, pages and counts of jobs; any number of threads may use it."""

    def __init__(self, pool: Pool, moments: Moments) -> None:
        self._moments = moments
        self._jobs = JobLists(pool)
        self._tokens = PageTokens(pool)

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
        if limit is not None:
            parse_count("limit", limit)
        now = as_of is None and clock is None
        query = Query.parse(filter, None if now else self._moments.find(as_of, clock), order_by)
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
        parse_count("page_size", page_size)
        if parse_count("skip", skip) and page_token:
            raise InvalidFieldError("skip", f"{skip} is given together with a page token")
        size = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE)
        asked = (str(filter), order_by, str(as_of), str(clock))
        was_found = bool(page_token) or isinstance(as_of, Moment)
        if page_token:
            cursor = self._tokens.read(text_of("page_token", page_token), *asked)
        else:
            cursor = PageCursor(self._begin(as_of, clock), skip)
        cursor, page = self._read_page(cursor, filter, order_by, size, was_found=was_found)
        token = ""
        if page.more:
            by_number = bool(order_by.strip() or skip)
            token = self._tokens.write(_following(cursor, page.jobs, by_number=by_number), *asked)
        return Page(page.jobs, cursor.moment, token)

    def _begin(self, as_of: Given | None, clock: Clock | str | None) -> Moment:
        """Returns the moment of a first page; one that is given as a Moment was found before."""
        if isinstance(as_of, Moment):
            parse_clock(clock)
            return as_of
        return self._moments.find(as_of, clock)

    def first_page(
        self, filter: str | Filter, moment: Moment, *, page_size: int, seconds: float
    ) -> FirstJobs:
        """Returns the first jobs that a filter matches, as far as they are found within a time.

        Raises:
            InvalidFieldError: The filter is not accepted.
            LedgerUnavailableError: The server cannot be reached.
        """
        return find_first(self._jobs, Query.parse(filter, moment), page_size, seconds)

    def _read_page(
        self, cursor: PageCursor, filter: str | Filter, order_by: str, size: int, *, was_found: bool
    ) -> tuple[PageCursor, JobsPage]:
        """Returns the page, and the cursor with what is known of its moment now.

        A moment that was found before, such as that of the page before, nearly always still holds.
        The statement that reads the page checks that; only if it does not hold, it is found again.
        """
        query = Query.parse(filter, cursor.moment, order_by)
        page = self._jobs.page(query, size, offset=cursor.offset, after=cursor.after)
        if not was_found:
            return cursor, page
        moment = None if page.seen is None else self._moments.holding(cursor.moment, page.seen)
        if moment is None:
            moment = self._moments.find(cursor.moment)
            page = self._jobs.page(query, size, offset=cursor.offset, after=cursor.after)
        return cursor._replace(moment=moment), page

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
        `as_of` is a time in valid time as known at an earlier position, and something was reported
        of that time afterwards.

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
        moment = self._moments.find(as_of, clock)
        query = Query.parse(filter, moment)
        if by == "state" and query.filter == EVERYTHING:
            return self._count_states(moment, pinned=is_pinned(as_of))
        return Counts(moment, self._jobs.count(query, by))

    def count_within(
        self, filter: Filter, moment: Moment, *, up_to: int, seconds: float
    ) -> Counts | int | None:
        """Counts the jobs that a filter matches by state; if that takes longer, at most so many of them.

        Returns:
            The number of jobs by state; or how many there are, where `up_to` means at least as many; or
            None if that takes longer, too.

        Raises:
            InvalidFieldError: The filter is not accepted.
            LedgerUnavailableError: The server cannot be reached.
        """
        query = Query.parse(filter, moment)
        if query.filter == EVERYTHING:
            return self._count_states(moment, pinned=True)
        with suppress(QueryTimeoutError):
            return Counts(moment, self._jobs.count(query, "state", seconds))
        with suppress(QueryTimeoutError):
            return self._jobs.count_up_to(query, up_to, seconds)
        return None

    def names_statement(self, filter: Filter, moment: Moment) -> tuple[Composed, dict[str, Any]]:
        """Returns a statement that reads the names of the jobs as of the moment, with its parameters."""
        return self._jobs.names(Query.parse(filter, moment))

    def _count_states(self, moment: Moment, *, pinned: bool) -> Counts:
        if moment.clock is Clock.RECORDED:
            if self._moments.follow_if_possible(moment.position).position >= moment.position:
                return Counts(moment, self._jobs.states_at(moment.position))
            # On a hot standby that is behind, the rows of jobs are up to date.
            return Counts(moment, self._jobs.count(Query.parse(IN_A_STATE, moment), "state"))
        known, states = self._jobs.states_valid_time(moment.time)
        if not pinned:
            return Counts(moment._replace(position=known), states)
        if not self._jobs.is_known_at(moment, known):
            states = self._jobs.count(Query.parse(IN_A_STATE, moment), "state")
        return Counts(moment, states)


def _following(cursor: PageCursor, jobs: Sequence[Job], *, by_number: bool) -> PageCursor:
    """Returns where the next page begins: after so many jobs, or after the last one."""
    before = cursor.offset + len(jobs)
    if by_number:
        return PageCursor(cursor.moment, before)
    return PageCursor(cursor.moment, before, (_created(jobs[-1]), jobs[-1].name))


def _created(job: Job) -> str:
    created = datetime.min.replace(tzinfo=UTC) if job.create_time is None else job.create_time
    return "-infinity" if job.create_time is None else created.isoformat()
