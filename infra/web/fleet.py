"""What the fleet page shows: the states of all jobs over time, and the jobs as of a moment."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.values.filters import Filter
from jobledger.domain.values.moments import Clock, Moment
from jobledger.domain.values.names import EARLIEST
from jobledger.infra.eventstore.json_view import job_json, time_text
from jobledger.infra.history.state_counts import Extent, Series, extent, series
from jobledger.infra.read.reader import Reader
from jobledger.infra.web.charts import Chart, Span, stacked
from jobledger.infra.web.links import STATES, FleetLink

MICROSECOND: Final = timedelta(microseconds=1)
NARROWEST: Final = timedelta(seconds=1)
Scope = Callable[[str], Filter]
"""Limits a filter to what the caller may see."""


class Jobs(NamedTuple):
    """The list: one page of jobs as JSON, how many there are in each state, and what is wrong with the filter."""

    link: FleetLink
    """Pinned to the moment shown."""
    moment: Moment
    jobs: list[dict[str, Any]]
    next_page: str
    counts: dict[str, int]
    total: int
    problem: str


class Fleet(NamedTuple):
    """The whole page; `chart` is None where nothing happened yet."""

    jobs: Jobs
    chart: Chart | None
    span: Span
    cursor: float
    """Where the moment is in the chart, in percent."""
    table: list[tuple[datetime, dict[str, int]]]
    """The chart's numbers: at most so many rows, evenly chosen."""
    whole: Extent


ROWS: Final = 60


def read_jobs(reader: Reader, link: FleetLink, scope: Scope) -> Jobs:
    """The list as of the link's moment; a filter that cannot be read is said, and shows no jobs.

    Raises InvalidFieldError for a moment, page or order that is not.
    """
    moment = read_moment(reader, link)
    pinned = link.pinned(reader.name, moment)
    try:
        counts = reader.count("state", scope(link.filter), as_of=moment)
        page = reader.page(
            scope(link.filter),
            page_size=link.size,
            page_token=link.page,
            order_by=link.order,
            as_of=moment,
        )
    except InvalidFieldError as error:
        if error.field != "filter":
            raise
        return Jobs(pinned, moment, [], "", {}, 0, f"The filter {error.why}.")
    known = {state: counts.counts.get(state, 0) for state in STATES}
    total = sum(counts.counts.values())
    jobs = [_row(job) for job in page.jobs]
    return Jobs(pinned, moment, jobs, page.next_page_token, known, total, "")


def read_fleet(reader: Reader, link: FleetLink, scope: Scope, project: str | None) -> Fleet:
    """The page; the chart counts all jobs there are, or a project's, whatever the filter."""
    moment = read_moment(reader, link)
    whole = _whole(reader, moment, project)
    span = _span(link, whole)
    if moment.clock is Clock.RECORDED:
        # What is not recorded yet is not there to be shown, now or when the link is opened again.
        span = span._replace(end=min(span.end, reader.moment(None).time))
    shown = link._replace(begin=str(time_text(span.begin)), end=str(time_text(span.end)))
    jobs = read_jobs(reader, shown.pinned(reader.name, moment), scope)
    cursor = 100 * min(1.0, max(0.0, span.place(moment.time)))
    if whole.begin == EARLIEST:
        return Fleet(jobs, None, span, cursor, [], whole)
    counted = _counted(reader, moment, span, project)
    layers = {state: counted.counts[state] for state in link.states if state in counted.counts}
    chart = stacked(span, counted.times, layers)
    return Fleet(jobs, chart, span, cursor, _table(counted, link.states), whole)


def read_series(
    reader: Reader, link: FleetLink, project: str | None
) -> tuple[Iterator[tuple[datetime | int, ...]], list[str]]:
    """The chart's numbers, a row a time, and the states they are of."""
    moment = read_moment(reader, link)
    counted = _counted(reader, moment, _span(link, _whole(reader, moment, project)), project)
    states = [state for state in link.states if state in counted.counts]
    numbers = [counted.counts[state] for state in states]
    return ((time, *row) for time, *row in zip(counted.times, *numbers, strict=True)), states


def _counted(reader: Reader, moment: Moment, span: Span, project: str | None) -> Series:
    if moment.clock is Clock.OCCURRED:
        return series(reader, moment, Extent(*span), project)
    # As we knew it, the moments after this one are shown, too: they can be gone to.
    known = reader.moment(None)
    return series(reader, known, Extent(span.begin, min(span.end, known.time)), project)


def read_moment(reader: Reader, link: FleetLink) -> Moment:
    """The moment meant; where nobody says one, all that happened by now."""
    if link.at:
        of_itself = "@" in link.at or link.at.startswith("v")
        return reader.moment(link.at, None if of_itself else link.clock)
    return reader.moment("now", link.clock)


def _whole(reader: Reader, moment: Moment, project: str | None) -> Extent:
    """All that is known of at the moment, whenever it happened."""
    last = moment if moment.clock is Clock.OCCURRED else reader.moment(None)
    return extent(reader, last, project) or Extent(EARLIEST, EARLIEST)


def _span(link: FleetLink, whole: Extent) -> Span:
    """The time asked for; else all of it. Raises InvalidFieldError for one that ends before it begins."""
    begin = datetime.fromisoformat(link.begin) if link.begin else whole.begin
    end = datetime.fromisoformat(link.end) if link.end else whole.end + MICROSECOND
    if end < begin and link.begin and link.end:
        raise InvalidFieldError("from", f"{link.begin} is after {link.end}")
    return Span(min(begin, end - NARROWEST), end)


def _table(counted: Series, states: tuple[str, ...]) -> list[tuple[datetime, dict[str, int]]]:
    step = -(-len(counted.times) // ROWS) or 1
    shown = [state for state in states if state in counted.counts]
    return [
        (counted.times[n], {state: counted.counts[state][n] for state in shown})
        for n in range(0, len(counted.times), step)
    ]


def _row(job: Job) -> dict[str, Any]:
    return job_json(job) | {
        "createTime": job.create_time,
        "startTime": job.start_time,
        "endTime": job.end_time,
        "updateTime": job.update_time,
        "displayName": job.spec.get("displayName") if isinstance(job.spec, dict) else None,
    }
