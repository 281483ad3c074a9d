"""Replays every job from its events with the domain's fold, and compares it with its row.

Reads one snapshot of the ledger in one pass: events by name and version, rows by name. Intervals and
the signatures of a search are compared in the database, on a second connection at the same time if there is one.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError
from jobledger.domain.events import Event, read_data
from jobledger.domain.job import Job, absent, evolve, fold
from jobledger.infra.eventstore.feed import READ_SIZE
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.postgres.session import WAIT_IN_TRANSACTION
from jobledger.infra.upkeep.evaluations import check_evaluations
from jobledger.infra.upkeep.findings import Finding
from jobledger.infra.upkeep.rebuild_lock import lock_rows, row_tables
from jobledger.projections.jobs import COLUMNS, job_of
from psycopg import ServerCursor
from psycopg.sql import SQL, Literal

EXPORT_SNAPSHOT: Final = sql.load(__package__, "export_snapshot")
VERIFY_POSITIONS: Final = sql.load(__package__, "verify_positions")
VERIFY_EVENTS: Final = sql.load(__package__, "verify_events")
VERIFY_INTERVALS: Final = sql.load(__package__, "verify_intervals")
VERIFY_JOBS: Final = sql.load(__package__, "verify_jobs")
VERIFY_SEARCH: Final = sql.load(__package__, "verify_search")

NAME: Final = itemgetter(1)
"""Indexes in a row of VERIFY_EVENTS."""
FETCHED_ROWS: Final = 5_000
SHORT_BYTES: Final = 128
MAX_KNOWN_DATA: Final = 10_000
"""How much event data is cached during verification, as many events have the same short data."""
SORT_MEMORY: Final = "64MB"
PROGRESS_EVENTS: Final = 1_000

Progress = Callable[[int, int], object]


class Verdict(NamedTuple):
    """How much was verified, and the findings."""

    events: int
    jobs: int
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


def verify(
    connection: Connection,
    progress: Progress = lambda done, size: None,
    second: Connection | None = None,
) -> Verdict:
    """Checks positions, versions and recorded times for gaps and order, every row of `jobs`, and intervals.

    Args:
        connection: A connection to the ledger's schema.
        progress: Called with the number of events done and their total.
        second: Another one, on which intervals are checked at the same time.

    Returns:
        The findings.
    """
    tables = row_tables(connection)
    with translated(), _one_moment(connection, tables), ThreadPoolExecutor(1) as thread:
        size = int(connection.execute(READ_SIZE).fetchone()[0])  # type: ignore[index]
        intervals: Future[list[Finding]] | None = None
        if second is not None:
            (snapshot,) = connection.execute(EXPORT_SNAPSHOT).fetchone() or ("",)
            intervals = thread.submit(_verify_intervals_at, second, tables, snapshot)
        findings = [Finding(*row) for row in connection.execute(VERIFY_POSITIONS)]
        jobs = 0
        for finding in _compared(connection, progress, size):
            if isinstance(finding, Finding):
                findings.append(finding)
            else:
                jobs += 1
        findings += _verify_intervals(connection) if intervals is None else intervals.result()
        findings += check_evaluations(connection)
    return Verdict(size, jobs, findings)


@contextmanager
def _one_moment(
    connection: Connection, tables: Iterable[str], snapshot: str = ""
) -> Iterator[None]:
    """A transaction with one snapshot; `snapshot` is one that another session exported."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(WAIT_IN_TRANSACTION)
        if snapshot:
            connection.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(snapshot)))
        lock_rows(connection, tables)
        yield


def _verify_intervals_at(
    connection: Connection, tables: Sequence[str], snapshot: str
) -> list[Finding]:
    with _one_moment(connection, tables, snapshot):
        return _verify_intervals(connection)


def _verify_intervals(connection: Connection) -> list[Finding]:
    connection.execute(SQL("SET LOCAL work_mem = {}").format(Literal(SORT_MEMORY)))
    statements = VERIFY_INTERVALS, VERIFY_SEARCH
    return [Finding(*row) for each in statements for row in connection.execute(each)]


class Shown(NamedTuple):
    """A row of `jobs`: the job, and its other columns."""

    job: Job
    project: str
    kind: str
    etag: str
    first_position: int
    last_position: int


def _compared(connection: Connection, progress: Progress, size: int) -> Iterator[Shown | Finding]:
    """Yields each replayed job, and the differences from its row."""
    with (
        connection.cursor("verified_jobs") as rows,
        connection.cursor("verified_events") as log,
        ThreadPoolExecutor(1) as fetching,
    ):
        rows.execute(VERIFY_JOBS)
        log.execute(VERIFY_EVENTS)
        shown = (Shown(job_of(row[:-5]), *row[-5:]) for row in _fetched(rows, fetching))
        yield from _compare(_replayed(_fetched(log, fetching), progress, size), shown)


def _fetched(
    cursor: ServerCursor[tuple[Any, ...]], fetching: Executor
) -> Iterator[tuple[Any, ...]]:
    """The rows of a cursor; the server sends the next ones while these are looked at."""
    following = fetching.submit(cursor.fetchmany, FETCHED_ROWS)
    while rows := following.result():
        following = fetching.submit(cursor.fetchmany, FETCHED_ROWS)
        yield from rows


def _replayed(
    log: Iterable[tuple[Any, ...]], progress: Progress, size: int
) -> Iterator[Shown | Finding]:
    """Yields each replayed job, by name, and the findings about its events."""
    done = noted = 0
    known = _KnownData()
    for name, rows in groupby(log, key=NAME):
        history = [RecordedEvent(*row) for row in rows]
        try:
            job = fold(absent(name), [event.event_with(known.read(event)) for event in history])
        except LedgerError:
            job = yield from _replayed_one_by_one(name, history)
        else:
            yield from _gaps(name, history)
        yield Shown(job, *_place_of(name), job.etag, history[0].position, history[-1].position)
        done += len(history)
        if done - noted >= PROGRESS_EVENTS:
            noted = done
            progress(done, size)
    progress(size, size)


class _KnownData:
    """A cache of short data: parsing it again would take longer than everything else."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, bytes], Data] = {}

    def read(self, event: RecordedEvent) -> Data:
        """Returns `event.data`."""
        if len(event.stored) > SHORT_BYTES:
            return event.data
        key = event.type, event.schema, event.stored
        data = self._known.get(key)
        if data is None:
            if len(self._known) == MAX_KNOWN_DATA:
                self._known.clear()
            data = self._known[key] = read_data(*key)
        return data


def _gaps(name: str, history: Sequence[RecordedEvent]) -> Iterator[Finding]:
    """Returns the gaps between versions."""
    last = 0
    for event in history:
        if event.version != last + 1:
            detail = f"version {event.version} follows version {last}"
            yield Finding("gap", event.position, name, detail)
        last = event.version


def _replayed_one_by_one(
    name: str, history: Sequence[RecordedEvent]
) -> Generator[Finding, None, Job]:
    """Replays events one by one until one cannot be read; returns the job."""
    yield from _gaps(name, history)
    job = absent(name)
    known: list[Event] = []
    for event in history:
        try:
            known.append(event.event)
            late = event.placed_after is not None
            job = fold(absent(name), known) if late else evolve(job, known[-1])
        except LedgerError as error:
            yield Finding("unreadable", event.position, name, str(error))
            job = job.model_copy(update={"version": event.version})
    return job


def _place_of(name: str) -> tuple[str, str]:
    """Returns the project and the kind of a job of that name."""
    parts = name.split("/")
    return parts[1] if len(parts) > 1 else "", parts[-2] if len(parts) > 1 else ""


def _compare(
    replayed: Iterator[Shown | Finding], shown: Iterator[Shown]
) -> Iterator[Shown | Finding]:
    """Walks through both in the order of names; yields each replayed job, and the differences."""
    row = next(shown, None)
    for item in replayed:
        if isinstance(item, Finding):
            yield item
            continue
        name = item.job.name
        while row is not None and row.job.name < name:
            yield Finding("extra", 0, row.job.name, "has a row and no events")
            row = next(shown, None)
        if row is None or row.job.name != name:
            yield Finding("missing", 0, name, "has events and no row")
        else:
            yield from _differences(item, row)
            row = next(shown, None)
        yield item
    while row is not None:
        yield Finding("extra", 0, row.job.name, "has a row and no events")
        row = next(shown, None)


def _differences(replayed: Shown, row: Shown) -> Iterator[Finding]:
    if replayed[1:] == row[1:] and replayed.job.__dict__ == row.job.__dict__:
        return
    fields = [(name, getattr(replayed.job, name), getattr(row.job, name)) for name in COLUMNS]
    fields += zip(Shown._fields[1:], replayed[1:], row[1:], strict=True)
    for field, true, shown in fields:
        if true != shown:
            detail = f"{field} is {true!r} and is shown as {shown!r}"
            yield Finding("differs", 0, row.job.name, detail)
