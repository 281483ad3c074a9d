"""How many jobs were in each state over time, on either clock.

For all jobs from counts that are stored as events arrive; for one project from its events.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState
from jobledger.domain.values.moments import AtPosition, Clock, Moment
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, reading_again, translated
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.standby import pin_time

SERIES_VALID_TIME: Final = sql.load(__package__, "series_valid_time")
SERIES_TRANSACTION_TIME: Final = sql.load(__package__, "series_transaction_time")
READ_EXTENT: Final = sql.load(__package__, "read_extent")
READ_TIMES: Final = sql.load(__package__, "read_times")
STEP_VALID_TIME: Final = sql.load(__package__, "step_valid_time")
PROJECT_VALID_TIME: Final = sql.load(__package__, "project_valid_time")
PROJECT_TRANSACTION_TIME: Final = sql.load(__package__, "project_transaction_time")
HAS_ALL_JOBS: Final = sql.load(__package__, "has_all_jobs")
READ_EXTENT_OF_PROJECT: Final = sql.load(__package__, "read_extent_of_project")
STEP_OF_PROJECT: Final = sql.load(__package__, "step_of_project")
POINTS: Final = 300
"""Buckets at most; as wide as that takes."""
BLOCK_SIZES: Final = {
    Clock.OCCURRED: (64, 4_096, 262_144),
    Clock.RECORDED: (256, 16_384, 1_048_576),
}
"""The size of blocks by level: seconds in valid time, positions in transaction time."""
MICROSECOND: Final = timedelta(microseconds=1)

Rows = Iterable[tuple[int | None, str, int]]


class Extent(NamedTuple):
    """The time from one moment to another (UTC)."""

    begin: datetime
    end: datetime


class Series(NamedTuple):
    """`counts[state][n]` jobs were in the state at `times[n]` (UTC), in the order of the lifecycle."""

    times: list[datetime]
    counts: dict[str, list[int]]


class Steps(NamedTuple):
    """The moments next to one, if there are any."""

    before: Moment | None
    after: Moment | None


@reading_again
def extent(reader: Reader, moment: Moment, project: str | None = None) -> Extent | None:
    """Returns the times of the first and the last event that count at the moment, on its clock."""
    reader.follow(moment.position)
    with translated(), reader.connection() as connection:
        project = _apart(connection, project)
        query = READ_EXTENT_OF_PROJECT if project else READ_EXTENT
        row = connection.execute(query, moment._asdict() | project_names(project)).fetchone()
    assert row is not None
    begin, end = row[:2] if moment.clock is Clock.OCCURRED else row[2:]
    return None if begin is None or end is None else Extent(begin, end)


@reading_again
def series(reader: Reader, known: Moment, window: Extent, project: str | None = None) -> Series:
    """Counts jobs by state over a window; deleted jobs are in no state.

    Args:
        reader: The ledger.
        known: As far as was known at this moment, and on its clock.
        window: The first and the last time (UTC).
        project: Only this project's jobs; None for all.

    Returns:
        The counts by bucket of time.

    Raises:
        InvalidFieldError: The window ends before it begins.
    """
    if window.end < window.begin:
        raise InvalidFieldError("from", f"{window.begin} is after {window.end}")
    reader.follow(known.position)
    with translated(), reader.connection() as connection:
        project = _apart(connection, project)
        if known.clock is Clock.OCCURRED:
            return _in_valid_time(connection, known, window, project)
        return _in_transaction_time(connection, known, window, project)


@reading_again
def steps(reader: Reader, moment: Moment, project: str | None = None) -> Steps:
    """Returns the moments before and after the given one at which a job entered another state.

    In transaction time these are the positions of the events before and after it.
    """
    if project:
        return _steps_of_project(reader, moment, project)
    if moment.clock is Clock.RECORDED:
        last, first = moment.position - 1, moment.position + 1
        return Steps(
            reader.moment(AtPosition(last)) if last > 0 else None,
            reader.moment(AtPosition(first)) if first <= reader.size() else None,
        )
    reader.follow(moment.position)
    with translated(), reader.connection() as connection:
        row = connection.execute(STEP_VALID_TIME, moment._asdict()).fetchone()
    assert row is not None
    before, after = (None if time is None else moment._replace(time=time) for time in row)
    return Steps(before, after)


@reading_again
def _steps_of_project(reader: Reader, moment: Moment, project: str) -> Steps:
    reader.follow(moment.position)
    with translated(), reader.connection() as connection:
        row = connection.execute(
            STEP_OF_PROJECT, moment._asdict() | project_names(project)
        ).fetchone()
    assert row is not None
    if moment.clock is Clock.OCCURRED:
        return Steps(*(None if time is None else moment._replace(time=time) for time in row[:2]))
    return Steps(*(None if n is None else reader.moment(AtPosition(n)) for n in row[2:]))


def _apart(connection: Connection, project: str | None) -> str | None:
    """Returns the project if other projects have jobs; else None, and the counts of all jobs are used."""
    if project is None:
        return None
    row = connection.execute(HAS_ALL_JOBS, project_names(project)).fetchone()
    assert row is not None
    return None if row[0] else project


def project_names(project: str | None) -> dict[str, str]:
    """Between which names a project's are, in their order byte by byte: "0" comes after "/"."""
    return {"first": f"projects/{project}/", "beyond": f"projects/{project}0"} if project else {}


def _in_valid_time(
    connection: Connection, known: Moment, window: Extent, project: str | None
) -> Series:
    begin, end = window.begin.timestamp(), (window.end + MICROSECOND).timestamp()
    level, width = _bucket(end - begin, () if project else BLOCK_SIZES[Clock.OCCURRED])
    first, last = int(begin // width), int(-(-end // width))
    parameters = {"begin": first * width, "end": last * width, "level": level, "width": width}
    rows = connection.execute(
        PROJECT_VALID_TIME if project else SERIES_VALID_TIME,
        parameters | {"position": known.position} | project_names(project),
    )
    times = [datetime.fromtimestamp(n * width, UTC) for n in range(first, last + 1)]
    return Series(times, _summed(rows, first, last))


def _in_transaction_time(
    connection: Connection, known: Moment, window: Extent, project: str | None
) -> Series:
    begin, end = positions_recorded(connection, known, window)
    level, width = _bucket(end - begin, () if project else BLOCK_SIZES[Clock.RECORDED])
    first, last = begin // width, -(-end // width)
    parameters = {"begin": first * width, "end": end, "level": level, "width": width}
    query = PROJECT_TRANSACTION_TIME if project else SERIES_TRANSACTION_TIME
    rows = connection.execute(query, parameters | project_names(project)).fetchall()
    ends = [min(n * width, end) - 1 for n in range(first, last + 1)]
    times = [time for (time,) in connection.execute(READ_TIMES, {"positions": ends})]
    return Series([time or window.begin for time in times], _summed(rows, first, last))


def positions_recorded(connection: Connection, known: Moment, window: Extent) -> tuple[int, int]:
    """Returns the first position of what was recorded in a window, and the one behind the last."""
    end = known.position
    if window.end < known.time:
        end = min(_position_recorded(connection, window.end), end)
    return min(_position_recorded(connection, window.begin - MICROSECOND), end) + 1, end + 1


def _position_recorded(connection: Connection, time: datetime) -> int:
    """The last position that was recorded by that time (UTC)."""

    def read(statement: bytes, parameters: Any) -> tuple[Any, ...]:
        with translated():
            row = connection.execute(statement, parameters).fetchone()
        assert row is not None
        return row

    return pin_time(read, time).position


def _bucket(length: float, block_sizes: tuple[int, ...]) -> tuple[int, int]:
    """Returns the widest level that is not too wide (level 0: none is), and the width of a bucket."""
    wanted = length / POINTS
    level = sum(size <= wanted for size in block_sizes)
    unit = block_sizes[level - 1] if level else 1
    return level, max(1, int(-(-wanted // unit))) * unit


def _summed(rows: Rows, first: int, last: int) -> dict[str, list[int]]:
    """Sums the changes up: the first count is of the events before the first bucket."""
    changes: dict[str, dict[int, int]] = defaultdict(dict)
    for bucket, state, change in rows:
        changes[state][first if bucket is None else bucket + 1] = change
    ordered = sorted(changes, key=lambda state: JobState[state])
    return {state: _running(changes[state], first, last) for state in ordered}


def _running(changes: dict[int, int], first: int, last: int) -> list[int]:
    counts, count = [], 0
    for bucket in range(first, last + 1):
        count += changes.get(bucket, 0)
        counts.append(count)
    return counts
