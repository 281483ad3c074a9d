"""The fleet page: a sentence, live and ended jobs over time, and the jobs as of a moment."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.moments import Clock, Moment
from jobledger.domain.values.names import EARLIEST
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.counts.activity import Activity, Chosen, activity, jobs_of_project
from jobledger.infra.history.counts.state_counts import Extent
from jobledger.infra.history.durations import elapsed
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import reading_again, translated
from jobledger.infra.read.reader import Reader
from jobledger.infra.web.charts import ActivityChart, Span, over_time
from jobledger.infra.web.fleet_page.failures import Failures, read_failures
from jobledger.infra.web.fleet_page.job_list import Jobs, Scope, read_jobs, read_moment
from jobledger.infra.web.fleet_page.lanes import Lanes, read_lanes
from jobledger.infra.web.fleet_page.search import filter_of
from jobledger.infra.web.fleet_page.sentence import MAX_QUICK_JOBS, Fact, facts, quick_facts
from jobledger.infra.web.fleet_page.windows import find_window
from jobledger.infra.web.links import FleetLink

READ_PROJECTS: Final = sql.load(__package__, "read_projects")
ROWS: Final = 60
"""The most rows of the chart's table."""


class Drawn(NamedTuple):
    """The chart with its numbers; `chart` is None if there are no events yet."""

    chart: ActivityChart | None
    span: Span
    cursor: float
    """The place of the moment, in percent; outside of the chart below 0 or above 100."""
    after: float
    """The place of the current time, in percent; the time after it is in the future."""
    table: list[tuple[datetime, list[int]]]
    columns: list[str]
    data: dict[str, Any]
    """The numbers for the script: seconds since 1970, and counts by state."""
    caption: str
    """What the chart counts, or that there is nothing to count."""
    pruned_past: datetime | None = None
    """Before which time (UTC) jobs were pruned, if that is after the chart's beginning."""


class Begun(NamedTuple):
    """The values for the top of the page, which are read first."""

    link: FleetLink
    """The link as requested, without a moment that cannot be parsed."""
    moment: Moment
    projects: list[str]
    problem: str
    """The error in the moment; the page then shows the current time."""


class Fleet(NamedTuple):
    """The content of the page."""

    jobs: Jobs
    drawn: Drawn
    facts: list[Fact]
    lanes: Lanes | None
    failures: Failures | None
    problem: str
    """The error of `Begun`."""


def begin_fleet(reader: Reader, link: FleetLink) -> Begun:
    """Finds the moment of the page. Raises InvalidFieldError."""
    problem = ""
    try:
        moment = read_moment(reader, link)
    except InvalidFieldError as error:
        if error.field not in ("as_of", "clock") or "@" in link.at:
            raise
        link, problem = link._replace(at=""), f"The moment {error.why}."
        moment = read_moment(reader, link)
    return Begun(link, moment, _projects(reader, moment), problem)


def read_fleet(
    reader: Reader, begun: Begun, scope: Scope, project: str | None, *, at_once: bool = True
) -> Fleet:
    """Reads the content of the page for the jobs of one project (None: of all).

    Args:
        reader: The ledger.
        begun: The top of the page.
        scope: Limits a filter to what the caller may see.
        project: The project, or None.
        at_once: Whether to leave out what a search among very many jobs does not find soon.

    Returns:
        The content.

    Raises:
        InvalidFieldError: A field of the link is not valid.
    """
    moment = begun.moment
    drawn, link = read_chart(reader, begun.link, scope, project, moment)
    jobs = read_jobs(reader, link, scope, moment, at_once=at_once)
    found_facts = read_facts(reader, moment, scope, project, at_once=True)
    lanes, failures = read_tab(reader, jobs, scope, drawn.span)
    return Fleet(jobs, drawn, found_facts, lanes, failures, begun.problem)


def read_facts(
    reader: Reader, moment: Moment, scope: Scope, project: str | None, *, at_once: bool = False
) -> list[Fact]:
    """Reads the facts about all jobs that the caller may see; the filter does not apply. With `at_once`, only fast facts."""
    counted = reader.count("state", scope(""), as_of=moment).counts
    counts = {state: count for state, count in counted.items() if state is not None}
    if at_once and sum(counts.values()) > MAX_QUICK_JOBS:
        return quick_facts(counts)
    return facts(reader, moment, scope, counts, whole=project is None)


def read_tab(
    reader: Reader, jobs: Jobs, scope: Scope, span: Span
) -> tuple[Lanes | None, Failures | None]:
    """Reads the data of the link's tab, other than the list; empty if the filter cannot be parsed."""
    if jobs.problem:
        return None, None
    selected, link = scope(filter_of(jobs.link.filter)), jobs.link
    if link.tab == "timeline":
        return read_lanes(reader, link, selected, jobs.moment, span), None
    if link.tab == "failures":
        return None, read_failures(reader, link, scope, jobs.moment, span)
    return None, None


def read_chart(
    reader: Reader, link: FleetLink, scope: Scope, project: str | None, moment: Moment
) -> tuple[Drawn, FleetLink]:
    """Reads the chart of the jobs that the link's filter selects; also returns the link with the chart's window."""
    span, whole = find_window(reader, link, moment, project)
    now = reader.moment(None).time
    if moment.clock is Clock.RECORDED:
        # Later events are left out, so that the link shows the same when it is opened again.
        span = span._replace(end=min(span.end, now))
    cursor = 100 * span.place(moment.time)
    # A link with a moment always shows the same, so later events do not count.
    last = max(moment.time, whole.end) if moment.clock is Clock.OCCURRED else span.end
    after = 100 * span.place(last if link.at else now)
    begin, end = (str(time_text(time)) for time in span)
    shown = link._replace(begin=begin, end=end, window="")
    if whole.begin == EARLIEST:
        return Drawn(None, span, cursor, after, [], [], {}, ""), shown
    selected = find_selected(reader, shown, scope, project, moment)
    counted = _counted(reader, selected.chosen, moment, span)
    drawn = _drawn(counted, shown, span, cursor, after, selected.which)
    past = moment._replace(time=span.begin).pruned_past
    return drawn._replace(pruned_past=past), shown


def _drawn(
    counted: Activity, link: FleetLink, span: Span, cursor: float, after: float, which: str
) -> Drawn:
    live = {state: counts for state, counts in counted.peaks.items() if state in link.states}
    chart = over_time(span, counted.times, live, counted.ended)
    columns = [*(f"{state}, at most" for state in live), *(f"{state}, ended" for state in counted.ended)]  # fmt: skip
    data = {
        "times": [time.timestamp() for time in counted.times],
        "live": live,
        "ended": counted.ended,
        "begin": span.begin.timestamp(),
        "end": span.end.timestamp(),
    }
    recorded = link.clock is Clock.RECORDED
    bucket = f"{counted.width:,} events" if recorded else elapsed(timedelta(seconds=counted.width))
    caption = (
        f"Of {which}: above, what ended in each {bucket}; below, the most that were live at once."
    )
    if not any(map(any, (*counted.peaks.values(), *counted.ended.values()))):
        caption = f"None of {which} was live or ended in the time shown."
    return Drawn(chart, span, cursor, after, _table(counted, live), columns, data, caption)


def read_series(
    reader: Reader, link: FleetLink, scope: Scope, project: str | None
) -> tuple[Iterator[tuple[datetime | int, ...]], list[str]]:
    """Reads the chart's numbers: one row for each bucket, and the columns."""
    moment = read_moment(reader, link)
    span, _ = find_window(reader, link, moment, project)
    counted = _counted(
        reader, find_selected(reader, link, scope, project, moment).chosen, moment, span
    )
    live = {state: counts for state, counts in counted.peaks.items() if state in link.states}
    numbers = [*live.values(), *counted.ended.values()]
    rows = ((time, *row) for time, *row in zip(counted.times[:-1], *numbers, strict=True))
    return rows, [*live, *(f"{state} ended" for state in counted.ended)]


def _counted(reader: Reader, chosen: Chosen | None, moment: Moment, span: Span) -> Activity:
    # On the recorded clock, later moments are shown too, because the cursor can be moved there.
    known, window = moment, Extent(*span)
    if moment.clock is Clock.RECORDED:
        known = reader.moment(None)
        window = Extent(span.begin, max(span.begin, min(span.end, known.time)))
    return activity(reader, known, window, chosen)


class Selected(NamedTuple):
    """The jobs that the page is about."""

    chosen: Chosen | None
    """A statement that reads the names of the jobs; None for all jobs."""
    which: str
    """A description of the jobs."""


def find_selected(
    reader: Reader, link: FleetLink, scope: Scope, project: str | None, moment: Moment
) -> Selected:
    """Finds the jobs that the search selects, or all of a project, or all."""
    if link.filter.strip():
        try:
            chosen = reader.names_statement(scope(filter_of(link.filter)), moment)
            return Selected(chosen, "the jobs that the search selects")
        except InvalidFieldError:
            pass  # The list shows what is wrong with the filter.
    if project is None:
        return Selected(None, "all jobs")
    return Selected(jobs_of_project(project), f"the jobs of project {project}")


@reading_again
def _projects(reader: Reader, moment: Moment) -> list[str]:
    with translated(), reader.pool.connection() as connection:
        rows = connection.execute(READ_PROJECTS, {"position": moment.position}).fetchall()
    return [str(project) for (project,) in rows]


def _table(counted: Activity, live: dict[str, list[int]]) -> list[tuple[datetime, list[int]]]:
    """Returns the chart as a table of at most ROWS rows. A row of several buckets has their largest counts, and the sum of ended jobs."""
    step = -(-(len(counted.times) - 1) // ROWS) or 1
    return [
        (
            counted.times[n],
            [
                *(max(counts[n : n + step]) for counts in live.values()),
                *(sum(counts[n : n + step]) for counts in counted.ended.values()),
            ],
        )
        for n in range(0, len(counted.times) - 1, step)
    ]
