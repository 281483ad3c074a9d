"""Computes statistics over many jobs, each in one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import LIVE, JobState
from jobledger.domain.values.arguments import parse_count, text_of
from jobledger.domain.values.filters import All, Filter, parse_field, parse_filter
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.analytics import buckets
from jobledger.infra.analytics.statistics import ATTEMPTS, REPORTS, Kind
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.lists.filter_sql import Rendering
from jobledger.infra.read.reader import Reader
from psycopg.sql import SQL, Composable, Literal

READ_POSITION: Final = sql.load(__package__, "read_position")
COUNT_GROUPS: Final = sql.template(__package__, "count_groups")
OF_JOBS: Final = sql.template(__package__, "of_jobs")

DEFAULT_MESSAGES: Final = 20
"""Error messages in a report of failures by default."""
MAX_CELLS: Final = 100_000
"""Buckets times groups in one report."""


class Analysis(NamedTuple):
    """The result of a statistic.

    Attributes:
        name: The statistic.
        moment: The moment as of which it holds: events up to its position count.
        window: The window, and its buckets.
        by: The field that rows are grouped by; "" if they are not.
        state: The state that "concurrency" counted; None for other statistics, or grouped by state.
        columns: The names of the values of each row, in camelCase.
        rows: The rows; times are UTC, durations seconds.
    """

    name: str
    moment: Moment
    window: buckets.Window
    by: str
    state: str | None
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    @property
    def pruned_past(self) -> datetime | None:
        """The time (UTC) before which ended jobs were pruned, if any may be missing here; else None."""
        return self.moment._replace(time=self.window.begin).pruned_past


class Question(NamedTuple):
    """The arguments of `report`, as text."""

    name: str
    by: str = ""
    filter: str = ""
    begin: str | None = None
    end: str | None = None
    bucket: str | None = None
    state: str | None = None
    top: int | None = None

    def parsed(self) -> Asked:
        """Validates the arguments; raises InvalidFieldError."""
        return _asked(
            text_of("name", self.name), self.by, self.filter, self.bucket, self.state, self.top
        )


class Asked(NamedTuple):
    """The validated arguments, as far as that needs no database."""

    kind: Kind
    by: str
    filter: Filter
    bucket: timedelta | None
    parameters: dict[str, Any]


def report(
    reader: Reader,
    name: str,
    *,
    by: str = "",
    filter: str = "",
    begin: str | None = None,
    end: str | None = None,
    bucket: str | None = None,
    state: str | None = None,
    top: int | None = None,
) -> Analysis:
    """Computes a statistic over many jobs, in valid time; deleted jobs count.

    `statistics.REPORTS` describes each statistic and its columns.

    Args:
        reader: The ledger to read.
        name: "throughput", "queue-time", "run-time", "failures", "concurrency", "attempts" or
            "reporters".
        by: A field of the jobs as they are now to group by, such as `labels.team`; "state" where
            the statistic has it; "" does not group.
        filter: An AIP-160 filter on the jobs as they are now; "" matches all jobs.
        begin: The beginning of the window, inclusive, as text such as `2026-11-22` or `7d ago`;
            None is the first event.
        end: The end of the window, exclusive; None is after the last event.
        bucket: The length of a bucket, such as `15m`, `1h`, `1d` or `1w`; None picks a readable
            number of buckets.
        state: The state that "concurrency" counts jobs in; None is RUNNING.
        top: How many error messages "failures" returns; None is 20.

    Returns:
        The rows, their columns, and the moment as of which they hold; times are UTC, durations
        seconds.

    Raises:
        InvalidFieldError: A value is not accepted.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.failed("projects/demo/jobs/a", "out of memory")
        >>> found = ledger.analyze("failures")
        >>> [dict(zip(found.columns, row))["message"] for row in found.rows]
        ['out of memory']
    """
    question = Question(name, by, filter, begin, end, bucket, state, top)
    asked = question.parsed()
    moment = reader.moment("now", Clock.OCCURRED)
    with translated(), reader.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Sorts and joins of a few million intervals, in memory.
        connection.execute("SET LOCAL work_mem = '64MB'")
        row = connection.execute(READ_POSITION, {"time": moment.time}).fetchone()
        assert row is not None
        return answer(connection, question, asked, moment._replace(position=int(row[0])))


def answer(connection: Connection, question: Question, asked: Asked, moment: Moment) -> Analysis:
    """Computes the statistic over the rows that the connection sees, as of that moment."""
    begin, end = question.begin, question.end
    start = None if begin is None else buckets.parse_instant("from", begin, moment.time)
    stop = None if end is None else buckets.parse_instant("to", end, moment.time)
    row = connection.execute(READ_POSITION, {"time": moment.time}).fetchone()
    assert row is not None
    happened = row[1], moment.time if asked.kind.until_now else row[2]
    window = buckets.window_of(start, stop, happened, moment.time)
    if asked.kind.bucketed:
        given = start is not None, stop is not None
        window = buckets.cut(window, asked.bucket, given, moment.time)
    rows = _rows(connection, asked, moment, window)
    return _shaped(question.name, asked, moment, window, rows)


def _asked(
    name: str, by: str, filter: str, bucket: str | None, state: str | None, top: int | None
) -> Asked:
    kind = REPORTS.get(name)
    if kind is None:
        raise InvalidFieldError("report", f"unknown report {name!r}; reports: {', '.join(REPORTS)}")
    if bucket is not None and not kind.bucketed:
        having = ", ".join(each for each, one in REPORTS.items() if one.bucketed)
        raise InvalidFieldError("bucket", f"{name} has no buckets; reports with buckets: {having}")
    if top is not None and (name != "failures" or parse_count("top", top) < 1):
        raise InvalidFieldError(
            "top", f"{top} for {name}: it is a number from 1, of the report failures only"
        )
    parameters = dict(kind.parameters)
    if name == "failures":
        parameters["top"] = top or DEFAULT_MESSAGES
    if name == "concurrency":
        parameters["states"] = _states(by, state)
    elif state is not None:
        raise InvalidFieldError("state", "is allowed for the report concurrency only")
    if by == "state" and kind.by_state is None:
        raise InvalidFieldError(
            "by",
            f"{name} cannot be grouped by state; its rows have the state, or only one state counts",
        )
    length = None if bucket is None else buckets.parse_bucket(bucket)
    return Asked(kind, by, parse_filter(filter), length, parameters)


def _states(by: str, state: str | None) -> list[int]:
    """Returns the states that concurrency counts; grouped by state, the states that jobs leave again."""
    if by == "state" and state is None:
        return sorted(LIVE)
    try:
        return [JobState[(state or "RUNNING").upper()]]
    except KeyError:
        raise InvalidFieldError(
            "state", f"unknown state {state!r}; states: {', '.join(JobState.__members__)}"
        ) from None


def _rows(
    connection: Connection, asked: Asked, moment: Moment, window: buckets.Window
) -> Sequence[tuple[Any, ...]]:
    rendering = Rendering()
    kind = asked.kind
    field: Composable = SQL("NULL")
    if asked.by not in ("", "state"):
        field = rendering.field(parse_field(asked.by, "by"), "by")[0]
    condition = rendering.condition(asked.filter)
    group: Composable = field
    of_jobs: Composable = SQL("")
    if kind.statement is not ATTEMPTS:
        group = SQL("NULL::text")
        if asked.filter != All(()) or asked.by not in ("", "state"):
            of_jobs = OF_JOBS.format(group=field, condition=condition)
            group = SQL("about.group_")
        if asked.by == "state":
            assert kind.by_state is not None
            group = SQL(kind.by_state)
    if kind.bucketed and asked.by not in ("", "state"):
        _check_cells(connection, rendering, field, condition, window)
    statement = kind.statement.format(group=group, of_jobs=of_jobs, condition=condition)
    values = asked.parameters | rendering.parameters | _times(window) | moment._asdict()
    # Planned for these values: a window may hold anything from none to all of the rows.
    return connection.execute(statement, values, prepare=False, binary=True).fetchall()


def _check_cells(
    connection: Connection,
    rendering: Rendering,
    field: Composable,
    condition: Composable,
    window: buckets.Window,
) -> None:
    """Checks that there are at most MAX_CELLS buckets of groups; raises InvalidFieldError."""
    assert window.bucket is not None
    of_one = max(1, (window.end - window.begin) // window.bucket)
    most = MAX_CELLS // of_one
    counting = COUNT_GROUPS.format(group=field, condition=condition, most=Literal(most + 1))
    (groups,) = connection.execute(counting, rendering.parameters, prepare=False).fetchall()[0]
    if groups > most:
        why = f"{of_one:,} buckets of more than {most:,} groups; the limit is {MAX_CELLS:,} cells"
        raise InvalidFieldError("bucket", f"{why}; take longer buckets, or a filter")


def _times(window: buckets.Window) -> dict[str, Any]:
    times: dict[str, Any] = {"begin": window.begin, "end": window.end, "origin": buckets.ORIGIN}
    if window.bucket is not None:
        times |= {"bucket": window.bucket, "first": window.first, "last": window.last}
    return times


def _shaped(
    name: str, asked: Asked, moment: Moment, window: buckets.Window, rows: Sequence[tuple[Any, ...]]
) -> Analysis:
    """Makes the result: with a group only if one was asked for, and percentiles in columns."""
    time = ("time",) if asked.kind.bucketed else ()
    group = ("group",) if asked.by else ()
    at = len(time)
    shaped = []
    for row in rows:
        values = [v for value in row[at + 1 :] for v in _spread(value)]
        shaped.append((*row[:at], *row[at : at + len(group)], *values))
    states = asked.parameters.get("states", ())
    state = JobState(states[0]).name if len(states) == 1 else None
    columns = (*time, *group, *asked.kind.columns)
    return Analysis(name, moment, window, asked.by, state, columns, shaped)


def _spread(value: Any) -> list[Any]:
    """Returns percentiles one by one, rounded to microseconds."""
    return [round(seconds, 6) for seconds in value] if isinstance(value, list) else [value]
