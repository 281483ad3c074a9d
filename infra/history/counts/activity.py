"""How many jobs were live at most, and how many ended, in each bucket of a window of time, on either clock.

The number of live jobs is taken at the end of each of `SAMPLES` parts of a bucket, and the bucket
has the largest of them. Jobs that ended are counted exactly.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, Final, NamedTuple

from jobledger.domain.states import TERMINAL, JobState
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.history.counts.state_counts import (
    MICROSECOND,
    READ_TIMES,
    SERIES_TRANSACTION_TIME,
    SERIES_VALID_TIME,
    Extent,
    positions_recorded,
    project_names,
)
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, reading_again, translated
from jobledger.infra.read.reader import Reader
from psycopg.sql import SQL, Composable, Composed, Placeholder

ENDED_VALID_TIME: Final = sql.load(__package__, "ended_valid_time")
ENDED_TRANSACTION_TIME: Final = sql.load(__package__, "ended_transaction_time")
JOBS_OVER_VALID_TIME: Final = sql.template(__package__, "jobs_over_valid_time")
JOBS_OVER_TRANSACTION_TIME: Final = sql.template(__package__, "jobs_over_transaction_time")
NAMES_OF_PROJECT: Final = sql.template(__package__, "names_of_project")
CHANGES_IN_WINDOW: Final = sql.load(__package__, "changes_in_window")
MANY_IN_WINDOW: Final = sql.load(__package__, "many_in_window")

BUCKETS: Final = 340
"""Buckets at most."""
SAMPLES: Final = 30
"""Parts of a bucket at whose ends live jobs are counted."""
MAX_CHANGES: Final = 200_000
"""State changes of a window that are read one by one; more are read from counts of blocks."""
BLOCK_SIZES: Final = (64, 4_096, 262_144)
"""Seconds that kept counts are of, level by level."""
DAY: Final = 86_400
WIDTHS: Final = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200),
    *(days * DAY for days in (1, 2, 7, 14, 28, 91, 364)),
)
"""Seconds that a bucket may be wide."""
LIVE: Final = {int(state): state.name for state in sorted(JobState) if state not in TERMINAL}
"""Names of live states by their numbers, in the order of the lifecycle."""
ENDED: Final = tuple(state.name for state in sorted(TERMINAL))
_TERMINAL: Final = {"terminal": [state.value for state in sorted(TERMINAL)]}

Chosen = tuple[Composable, Mapping[str, Any]]
"""A statement that reads the names of jobs, with its parameters."""
Rows = Iterable[tuple[Any, ...]]


class Activity(NamedTuple):
    """Bucket n is from `times[n]` up to `times[n + 1]` (UTC); states are in the order of the lifecycle."""

    times: list[datetime]
    peaks: dict[str, list[int]]
    """The largest number of jobs at the same time in each bucket, by live state."""
    ended: dict[str, list[int]]
    """How many jobs entered the state in each bucket, by terminal state."""
    width: int
    """The width of a bucket, in seconds; in transaction time in positions."""
    sample: int
    """The time between two counts of live jobs, in the same unit."""


class _Grid(NamedTuple):
    """Buckets `first` up to `last`, each `parts` samples of a `width`; `level` is of the kept counts."""

    first: int
    last: int
    parts: int
    width: int
    level: int

    def parameters(self) -> dict[str, int]:
        """Begin and end in the unit of the clock, the width of a sample, and the level of kept counts."""
        coarse = self.parts * self.width
        ends = {"begin": self.first * coarse, "end": self.last * coarse}
        return ends | {"width": self.width, "level": self.level}


class _Counted(NamedTuple):
    """The counts of a window: jobs by state before it, changes by state and sample, ends by bucket and state."""

    before: dict[str, int]
    changes: dict[str, Counter[int]]
    ended: list[tuple[int, str, int]]


@reading_again
def activity(reader: Reader, known: Moment, window: Extent, chosen: Chosen | None) -> Activity:
    """Counts changes of state over time.

    Args:
        reader: The ledger.
        known: As far as was known at this moment, and on its clock.
        window: The first and the last time (UTC).
        chosen: Which jobs; None for all.

    Returns:
        The counts by bucket of time.

    Raises:
        InvalidFieldError: The window ends before it begins.
    """
    reader.follow(known.position)
    with translated(), reader.connection() as connection:
        if known.clock is Clock.OCCURRED:
            return _in_valid_time(connection, known, window, chosen)
        return _in_transaction_time(connection, known, window, chosen)


def jobs_of_project(project: str) -> Chosen:
    """The jobs of a project, deleted ones among them."""
    names = project_names(project)
    return NAMES_OF_PROJECT.format(**{name: Placeholder(name) for name in names}), names


def _in_valid_time(
    connection: Connection, known: Moment, window: Extent, chosen: Chosen | None
) -> Activity:
    begin, end = window.begin.timestamp(), (window.end + MICROSECOND).timestamp()
    grid = _times(connection, begin, end, all_jobs=chosen is None)
    parameters = grid.parameters() | {"until": known.position, "position": known.position}
    coarse = grid.parts * grid.width
    times = [datetime.fromtimestamp(n * coarse, UTC) for n in range(grid.first, grid.last + 1)]
    if chosen is None:
        if not grid.level and (found := _latest(connection, grid, known.position)):
            return _activity(times, grid, found)
        changes = connection.execute(SERIES_VALID_TIME, parameters).fetchall()
        ended = connection.execute(
            ENDED_VALID_TIME, parameters | _TERMINAL | {"width": coarse}
        ).fetchall()
        return _activity(times, grid, _counted(changes, ended))
    rows = _of_chosen(connection, JOBS_OVER_VALID_TIME, chosen, parameters)
    return _activity(times, grid, _counted(rows, _entered(rows, grid)))


def _latest(connection: Connection, grid: _Grid, position: int) -> _Counted | None:
    # Nothing has to be taken back, and few rows are sent: a fifteenth of the time of the statements
    # for any position. There is no answer if the intervals are of another position.
    rows = connection.execute(CHANGES_IN_WINDOW, grid.parameters(), binary=True).fetchall()
    counted = _Counted({}, defaultdict(Counter), [])
    for state, before, samples, number in rows:
        if samples is not None:
            if state in LIVE:
                counted.changes[LIVE[state]].update(samples)
            if before in LIVE:
                counted.changes[LIVE[before]].subtract(samples)
            if state in TERMINAL:
                buckets = Counter(sample // grid.parts for sample in samples)
                counted.ended.extend((n, JobState(state).name, c) for n, c in buckets.items())
        elif state is None and number != position:
            return None
        elif state in LIVE:
            counted.before[LIVE[state]] = number
    return counted


def _in_transaction_time(
    connection: Connection, known: Moment, window: Extent, chosen: Chosen | None
) -> Activity:
    begin, end = positions_recorded(connection, known, window)
    wanted = max(1, -(-(end - begin) // BUCKETS))
    parts = min(wanted, SAMPLES)
    width = -(-wanted // parts)
    coarse = parts * width
    grid = _Grid(begin // coarse, -(-end // coarse), parts, width, 0)
    parameters = grid.parameters() | {"end": end}
    ends = [min(n * coarse, end) - 1 for n in range(grid.first, grid.last + 1)]
    read = connection.execute(READ_TIMES, {"positions": ends})
    times = [time or window.begin for (time,) in read]
    if chosen is None:
        changes = connection.execute(SERIES_TRANSACTION_TIME, parameters).fetchall()
        ended = connection.execute(
            ENDED_TRANSACTION_TIME, parameters | _TERMINAL | {"width": coarse}
        ).fetchall()
        return _activity(times, grid, _counted(changes, ended))
    rows = _of_chosen(connection, JOBS_OVER_TRANSACTION_TIME, chosen, parameters)
    return _activity(times, grid, _counted(rows, _entered(rows, grid)))


def _of_chosen(
    connection: Connection, statement: SQL, chosen: Chosen, of_grid: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    names, parameters = chosen
    asked: Composed = statement.format(chosen=names)
    # The moment's own position and time are parameters of the jobs' statement.
    return connection.execute(asked, {**of_grid, **parameters}, prepare=False).fetchall()


def _times(connection: Connection, begin: float, end: float, *, all_jobs: bool) -> _Grid:
    """Buckets of round lengths; of kept counts' lengths where too much happened to read it all."""
    length = end - begin
    level, unit = 0, 1
    many = {"begin": begin, "end": end, "most": MAX_CHANGES}
    if all_jobs and length > BLOCK_SIZES[0] * SAMPLES and _is(connection, MANY_IN_WINDOW, many):
        level = max(1, sum(stretch * SAMPLES * BUCKETS <= length for stretch in BLOCK_SIZES))
        unit = BLOCK_SIZES[level - 1]
    wanted = length / BUCKETS
    if level:
        coarse = -(-int(wanted + 1) // unit) * unit
        width = unit * max(1, coarse // unit // SAMPLES)
        parts = -(-coarse // width)
    else:
        coarse = next((width for width in WIDTHS if width >= wanted), int(wanted) + 1)
        parts = next(parts for parts in range(min(SAMPLES, coarse), 0, -1) if coarse % parts == 0)
        width = coarse // parts
    coarse = parts * width
    return _Grid(int(begin // coarse), int(-(-end // coarse)), parts, width, level)


def _is(connection: Connection, statement: bytes, parameters: Mapping[str, Any]) -> bool:
    row = connection.execute(statement, parameters).fetchone()
    return row is not None and bool(row[0])


def _entered(rows: Rows, grid: _Grid) -> list[tuple[int, str, int]]:
    return [
        (bucket // grid.parts, state, entered)
        for bucket, state, _, entered in rows
        if bucket is not None and state in ENDED and entered
    ]


def _counted(changes: Rows, ended: Rows) -> _Counted:
    counted = _Counted({}, defaultdict(Counter), [*ended])
    for sample, state, change, *_ in changes:
        if sample is None:
            counted.before[state] = counted.before.get(state, 0) + change
        else:
            counted.changes[state][sample] += change
    return counted


def _activity(times: list[datetime], grid: _Grid, counted: _Counted) -> Activity:
    shown = {
        *counted.before,
        *(state for state, counts in counted.changes.items() if any(counts.values())),
    }
    peaks = {
        state: _peaks(counted.before.get(state, 0), counted.changes[state], grid)
        for state in LIVE.values()
        if state in shown
    }
    counts: dict[str, list[int]] = {state: [0] * (grid.last - grid.first) for state in ENDED}
    for bucket, state, count in counted.ended:
        counts[state][bucket - grid.first] += count
    found = {state: counts[state] for state in ENDED if any(counts[state])}
    return Activity(times, peaks, found, grid.parts * grid.width, grid.width)


def _peaks(count: int, changes: Mapping[int, int], grid: _Grid) -> list[int]:
    """The largest of the counts in each bucket, that at its begin among them."""
    first, parts = grid.first * grid.parts, grid.parts
    by_sample = [0] * ((grid.last - grid.first) * parts)
    for sample, change in changes.items():
        by_sample[sample - first] = change
    counts = [*accumulate(by_sample, initial=count)]
    return [max(counts[n : n + parts + 1]) for n in range(0, len(by_sample), parts)]
