"""The fleet page's list: one page of the jobs that a filter selects as of a moment."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.values.filters import Filter
from jobledger.domain.values.moments import Moment
from jobledger.infra.read.reader import Counts, Page, Reader
from jobledger.infra.web.fleet_page.job_rows import Row, rows_of
from jobledger.infra.web.fleet_page.search import filter_of, labels_in, terms, without
from jobledger.infra.web.fleet_page.sentence import MAX_QUICK_JOBS
from jobledger.infra.web.links import (
    BEFORE_ALL,
    DEFAULT_COLUMNS,
    LABEL,
    STATES,
    FleetLink,
    most_recent,
)

FIND_SECONDS: Final = 0.2
"""The time for the first jobs of a search, until a page says how many it looked at."""
COUNT_SECONDS: Final = 2.0
MAX_COUNTED: Final = 10_000
"""The number of jobs up to which they are counted if counting all takes longer."""
MORE: Final = "more"
"""Replaces the page token: the link to the next page skips jobs by number."""
Scope = Callable[[str], Filter]
"""Limits a filter to what the caller may see."""


class Chip(NamedTuple):
    """One term of the filter, and the address of the list without it."""

    text: str
    address: str


class Jobs(NamedTuple):
    """One page of jobs, the number of jobs in each state, and the error in the filter."""

    link: FleetLink
    """The link, pinned to the moment shown."""
    moment: Moment
    jobs: list[Row]
    next_page: str
    """A token, or "" after the last page."""
    counts: dict[str, int]
    total: int | None
    """None if the jobs of a search in a large ledger were not counted yet."""
    problem: str
    columns: tuple[str, ...]
    """The columns of the link, and the labels that the filter names."""
    chips: list[Chip]
    looked_at: int | None = None
    """How many of the newest jobs were looked at so far; None if the page is complete."""
    partial: bool = False
    """Whether the script must still request the whole list, or its counts."""

    @property
    def cut(self) -> bool:
        """Whether counting stopped at MAX_COUNTED jobs."""
        return self.total == MAX_COUNTED and not any(self.counts.values())

    @property
    def first(self) -> int:
        """The number of the first job on the page; 0 if that is unknown."""
        return 0 if self.link.page or not self.jobs else self.link.skip + 1


def read_moment(reader: Reader, link: FleetLink) -> Moment:
    """Returns the moment of the link; by default now."""
    if link.at:
        of_itself = "@" in link.at or link.at.startswith("v")
        at = most_recent(link.at, reader.moment(None).time) if ":" in link.at[:3] else link.at
        moment = reader.moment(at, None if of_itself else link.clock)
        return moment._replace(time=max(moment.time, BEFORE_ALL))
    return reader.moment("now", link.clock)


def read_jobs(
    reader: Reader,
    link: FleetLink,
    scope: Scope,
    moment: Moment | None = None,
    *,
    at_once: bool = False,
) -> Jobs:
    """Reads the list of jobs of a page.

    Args:
        reader: The ledger.
        link: The address of the page.
        scope: Limits a filter to what the caller may see.
        moment: The moment of the link, if it is known already.
        at_once: Whether not to count what a search finds in a ledger of many jobs.

    Returns:
        The list. For a filter that cannot be parsed it has no jobs, and says what is wrong.

    Raises:
        InvalidFieldError: The moment, page or order is not valid.
    """
    moment = moment or read_moment(reader, link)
    pinned = link.pinned(reader.name, moment)
    try:
        found = _found(reader, link, scope(filter_of(link.filter)), moment, at_once=at_once)
    except InvalidFieldError as error:
        if error.field != "filter":
            raise
        problem = f"The filter {error.why}."
        return Jobs(pinned, moment, [], "", {}, 0, problem, link.columns, [])
    columns = _columns(link)
    return Jobs(
        link=pinned,
        moment=moment,
        jobs=rows_of(found.jobs, columns, moment),
        next_page=found.next_page,
        counts={state: (found.counts or {}).get(state, 0) for state in STATES},
        total=found.total,
        problem="",
        columns=columns,
        chips=_chips(pinned),
        looked_at=found.looked_at,
        partial=at_once and found.total is None,
    )


class _Found(NamedTuple):
    """The selected jobs that were read."""

    jobs: list[Job]
    next_page: str
    counts: Mapping[str | None, int] | None
    total: int | None
    looked_at: int | None = None


def _found(
    reader: Reader, link: FleetLink, selected: Filter, moment: Moment, *, at_once: bool
) -> _Found:
    is_first = not (link.page or link.skip)
    if at_once and link.filter.strip() and _are_many(reader, moment):
        if is_first and not link.order:
            return _found_soon(reader, link, selected, moment)
        page = _page(reader, link, selected, moment)
        return _Found(page.jobs, page.next_page_token, None, None)
    page = _page(reader, link, selected, moment)
    if is_first and not page.next_page_token:
        return _counted(page.jobs)
    counted = reader.count_within(selected, moment, up_to=MAX_COUNTED, seconds=COUNT_SECONDS)
    if isinstance(counted, Counts):
        total = sum(counted.counts.values())
        return _Found(page.jobs, page.next_page_token, counted.counts, total)
    return _Found(page.jobs, page.next_page_token, None, counted)


def _found_soon(reader: Reader, link: FleetLink, selected: Filter, moment: Moment) -> _Found:
    """Reads the first page among very many jobs, as far as it is found within FIND_SECONDS, without counting."""
    first = reader.first_page(selected, moment, page_size=link.size, seconds=FIND_SECONDS)
    if not first.more:
        return _counted(first.jobs)
    return _Found(first.jobs, "" if first.looked_at else MORE, None, None, first.looked_at)


def _counted(jobs: list[Job]) -> _Found:
    """Returns the result for a page that has all selected jobs."""
    counts = Counter(None if job.state is None else job.state.name for job in jobs)
    return _Found(jobs, "", counts, len(jobs))


def _page(reader: Reader, link: FleetLink, selected: Filter, moment: Moment) -> Page:
    return reader.page(
        selected,
        page_size=link.size,
        page_token=link.page,
        order_by=link.order,
        skip=0 if link.page else link.skip,
        as_of=moment,
    )


def _are_many(reader: Reader, moment: Moment) -> bool:
    return sum(reader.count("state", as_of=moment).counts.values()) > MAX_QUICK_JOBS


def _chips(link: FleetLink) -> list[Chip]:
    filter_ = link.filter
    return [
        Chip(term, f"/{link.query(filter=without(filter_, n))}")
        for n, term in enumerate(terms(filter_))
    ]


def _columns(link: FleetLink) -> tuple[str, ...]:
    named = (
        ()
        if link.columns != DEFAULT_COLUMNS
        else tuple(LABEL + key for key in labels_in(link.filter))
    )
    return (*link.columns, *(name for name in named if name not in link.columns))
