"""Rows of time travel: a fleet's history of two million events, and its past.

The history is that of a trace of Google's, where its files are given (`bench --trace`), and a
simulated one otherwise. Either is repeated with other names until it is long enough: at the same times, as
that of a larger fleet, or each copy after the one before, as a fleet's history over the years.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

from jobledger.domain import events as e
from jobledger.domain.events import Event
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.loads import loading
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.ledger import Ledger
from jobledger.infra.read.lists.job_lists import JobLists
from jobledger.infra.read.lists.list_sql import Query
from jobledger.infra.transfer.traces.google_cluster import Kind
from jobledger.infra.transfer.traces.import_trace import Importer, Summary
from jobledger.infra.transfer.traces.simulation import simulate

SIMULATED_JOBS: Final = 25_000
FEWER: Final = 10
"""A long history has this many times the events of the short one."""
RUNNING: Final = "state = RUNNING"
JOB: Final = "projects/bench/jobs/long"
NEWEST_BY_HAND: Final = b"""
SELECT state, count(*) FROM (
    SELECT DISTINCT ON (name) name, state_after(type) AS state FROM events
    WHERE occurred_time <= %s AND state_after(type) IS NOT NULL
    ORDER BY name, occurred_time DESC, version DESC
) AS newest GROUP BY state
"""
QUEUE_TIME_BY_HAND: Final = b"""
WITH steps AS (
    SELECT name, version, occurred_time, state, lag(state) OVER job AS before
    FROM (SELECT name, version, occurred_time, state_after(type) AS state FROM events) AS e
    WHERE state IS NOT NULL
    WINDOW job AS (PARTITION BY name ORDER BY occurred_time, version)
),
waits AS (
    SELECT *, max(occurred_time) FILTER (
        WHERE state IN ('QUEUED', 'PENDING') AND (before IN ('QUEUED', 'PENDING')) IS NOT TRUE
    ) OVER (PARTITION BY name ORDER BY occurred_time, version) AS began
    FROM steps
)
SELECT date_trunc('day', occurred_time, 'UTC'), count(*),
       percentile_cont(ARRAY[0.5, 0.9, 0.99])
       WITHIN GROUP (ORDER BY date_part('epoch', occurred_time - began))
FROM waits WHERE state = 'RUNNING' AND before IN ('QUEUED', 'PENDING')
GROUP BY 1 ORDER BY 1
"""


class History:
    """A history in a ledger of its own, and a time in the middle of it."""

    def __init__(self, ledger: Ledger, events: Iterator[Event]) -> None:
        self.ledger = ledger
        ledger.append_many(events)
        ledger.follow(ledger.size())
        with ledger.connection() as connection:
            for table in ("events", "jobs", "intervals"):
                connection.execute(f"VACUUM (ANALYZE) {table}".encode())

    @cached_property
    def middle(self) -> datetime:
        """The median of the occurred times."""
        with self.ledger.connection() as connection:
            row = connection.execute(
                "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY occurred_time) FROM events"
            ).fetchone()
        assert row is not None
        when: datetime = row[0]
        return when

    def select(self, statement: bytes, *parameters: Any) -> list[tuple[Any, ...]]:
        """Returns the rows of a statement that does without the ledger's projections."""
        with self.ledger.connection() as connection:
            connection.execute("SET work_mem = '256MB'")
            return connection.execute(statement, parameters).fetchall()


def history(arena: Arena, events: int, *, is_longer: bool = False) -> History:
    """Returns a history of this many events, made once for all rows, without background work.

    `is_longer`: whether copies of the base come one after the other, and not at the same times.
    """
    key = f"history {events} {is_longer}"
    if key not in arena.kept:
        if "base" not in arena.kept:
            arena.kept["base"] = _base(arena)
        ledger = arena.stay(arena.open(arena.stay(arena.ledger()), catch_up=False))
        arena.kept[key] = History(
            ledger, _repeated(arena.kept["base"], events, is_longer=is_longer)
        )
    made: History = arena.kept[key]
    return made


def _base(arena: Arena) -> list[Event]:
    if arena.trace is None:
        jobs = min(SIMULATED_JOBS, arena.sizes.history // FEWER)
        return _as_they_came(list(simulate(jobs, seed=1, project="bench")))
    with arena.opened() as ledger:
        for file in sorted(Path(arena.trace).glob("*.csv.gz")):
            Importer(ledger, "bench", Kind.JOB).run(file, Summary(str(file)))
        return [event.event for event in ledger.events(follow=False)]


def _as_they_came(events: list[Event]) -> list[Event]:
    """All jobs' events in one order, each job's in the order of its versions."""
    came: dict[str, datetime] = {}
    keys = []
    for event in events:
        came[event.name] = max(came.get(event.name, event.occurred_time), event.occurred_time)
        keys.append(came[event.name])
    order = sorted(range(len(events)), key=keys.__getitem__)
    return [events[n] for n in order]


def _repeated(base: list[Event], events: int, *, is_longer: bool) -> Iterator[Event]:
    """So many events: copies of the base, each of other jobs; the last one has the times of the base."""
    times = [event.occurred_time for event in base]
    days = (max(times) - min(times)).days + 1 if is_longer else 0
    last = (events - 1) // len(base)
    copied = (
        event._replace(
            name=f"{event.name}_{copy}",
            occurred_time=event.occurred_time - timedelta(days=days * (last - copy)),
        )
        for copy in range(last + 1)
        for event in base
    )
    return islice(copied, events)


@contextmanager
def count_as_of(arena: Arena) -> Iterator[Sides]:
    """Jobs by state at a time, beside SELECT DISTINCT ON over the events up to it."""
    then = history(arena, arena.sizes.history)
    counted = then.ledger.count(as_of=then.middle).counts
    assert counted.items() <= dict(then.select(NEWEST_BY_HAND, then.middle)).items()
    yield Sides(
        lambda: arena.repeated(lambda: then.ledger.count(as_of=then.middle)),
        lambda: arena.repeated(lambda: then.select(NEWEST_BY_HAND, then.middle)),
    )


@contextmanager
def count_scale(arena: Arena) -> Iterator[Sides]:
    """Milliseconds for the same at ten times as many events, beside those at as many."""
    many, few = (history(arena, arena.sizes.history // share) for share in (1, FEWER))
    yield Sides(
        lambda: arena.milliseconds(lambda: many.ledger.count(as_of=many.middle)),
        lambda: arena.milliseconds(lambda: few.ledger.count(as_of=few.middle)),
    )


@contextmanager
def list_as_of(arena: Arena) -> Iterator[Sides]:
    """Milliseconds for a second page of jobs with a filter, as of then and as of now."""
    many = history(arena, arena.sizes.history)
    query: dict[str, Any] = {"filter": RUNNING, "page_size": arena.sizes.page, "as_of": many.middle}
    token = many.ledger.page(**query).next_page_token
    assert len(many.ledger.page(**query, page_token=token).jobs) == arena.sizes.page
    current, fleet = Query.parse(RUNNING, None), JobLists(many.ledger.pool)
    last = fleet.page(current, arena.sizes.page)[0][-1]
    after = str(last.create_time), last.name
    yield Sides(
        lambda: arena.milliseconds(lambda: many.ledger.page(**query, page_token=token)),
        lambda: arena.milliseconds(lambda: fleet.page(current, arena.sizes.page, after=after)),
    )


@contextmanager
def version_as_of(arena: Arena) -> Iterator[Sides]:
    """Milliseconds for a job as of its last version but one, beside one select of its events."""
    events = arena.sizes.long_job
    statement = b"SELECT * FROM events WHERE name = %s ORDER BY version"
    with arena.opened() as ledger, ledger.connection() as connection:
        ledger.append_many(long_history(events))
        connection.execute("VACUUM (ANALYZE) events")
        yield Sides(
            lambda: arena.milliseconds(lambda: ledger.get(JOB, as_of=f"v{events - 1}")),
            lambda: arena.milliseconds(lambda: connection.execute(statement, (JOB,)).fetchall()),
        )


def long_history(events: int) -> Iterator[Event]:
    """Tried again and again, with progress reported in between, as the longest of the trace was."""
    begin = datetime.fromisoformat("2026-06-01T00:00:00Z")
    cycle = (
        e.Started(),
        e.ProgressReported(output={"step": 1}),
        e.Paused(reason="evicted"),
        e.Resumed(),
    )
    yield Event(JOB, 1, e.Created(labels={"team": "search"}), begin)
    for version in range(2, events + 1):
        yield Event(JOB, version, cycle[version % 4 - 2], begin + timedelta(seconds=version))


@contextmanager
def queue_time(arena: Arena) -> Iterator[Sides]:
    """Reports of queue time percentiles by day, beside the same by hand over events."""
    many = history(arena, arena.sizes.history)
    shown = many.ledger.analyze("queue-time", bucket="1d").rows
    assert [row[1] for row in shown] == [row[1] for row in many.select(QUEUE_TIME_BY_HAND)]
    yield Sides(
        lambda: arena.repeated(lambda: many.ledger.analyze("queue-time", bucket="1d")),
        lambda: arena.repeated(lambda: many.select(QUEUE_TIME_BY_HAND)),
    )


@contextmanager
def intervals_cost(arena: Arena) -> Iterator[Sides]:
    """Appends of 64 callers with intervals brought up to date, beside appends without."""
    with arena.ledger() as following, arena.ledger() as leaving:
        command = "load append", arena.dsn
        with (
            loading(arena, *command, following, "64", "follow") as ours,
            loading(arena, *command, leaving, "64", "leave") as theirs,
        ):
            yield Sides(ours.run, theirs.run)
