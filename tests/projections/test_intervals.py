"""Intervals and their counts: catching up with events, and correct sums."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from jobledger.domain.data import Data
from jobledger.domain.events import (
    Contradicted,
    Created,
    Event,
    LabelsChanged,
    Placement,
    ProgressReported,
    Queued,
    Started,
    Succeeded,
    place,
)
from jobledger.domain.states import EVALUATION, JobState, Outside
from jobledger.domain.values.moments import AtTime
from jobledger.infra import Ledger
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.read.lists.job_lists import JobLists
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import INTERVALS, PROJECTIONS

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
FOLLOWED = b"SELECT position, ctid::text, xmin::text FROM projections WHERE name = 'intervals'"


@pytest.fixture
def other(ledger: Ledger) -> Iterator[Connection]:
    """A second connection."""
    with ledger.connection() as connection:
        yield connection


def some_jobs(ledger: Ledger, first: int, last: int) -> None:
    """Two events a job."""
    names = [f"projects/p/jobs/s{n}" for n in range(first, last)]
    ledger.append_many(Event(name, 1, Created(), AT) for name in names)
    ledger.append_many(Event(name, 2, Started(), AT + timedelta(minutes=1)) for name in names)


def test_states_in_sql_have_the_numbers_and_names_of_the_domains(other: Connection) -> None:
    names = {0: "DELETED"} | {state.value: state.name for state in JobState}
    for number, name in names.items():
        assert other.execute("SELECT state_name(%s::smallint)", (number,)).fetchone() == (name,)
    assert other.execute("SELECT cardinality(state_names())").fetchone() == (len(names),)
    for event, rule in EVALUATION.items():
        leads_to = 0 if rule.to is Outside.DELETED else rule.to
        assert other.execute("SELECT state_number(%s)", (event,)).fetchone() == (leads_to,)
    assert other.execute("SELECT state_number('topic')").fetchone() == (None,)


READ_ROWS = b"""
SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
WHERE schemaname = current_schema()
"""


def events_of_one_job(contradicted: bool, count: int) -> Iterator[Event]:
    """A job with so many events more: all contradicted, or each put where it happened."""
    name = "projects/p/jobs/one"
    yield Event(name, 1, Created(), AT)
    yield Event(name, 2, Started(), AT + timedelta(days=1))
    for version in range(3, count + 3):
        at = AT + timedelta(seconds=version)
        data: Data = Contradicted(report="Resumed", state="RUNNING")
        if not contradicted:
            data = place(Queued(), Placement(after=1, latest=False))
        yield Event(name, version, data, at)


@pytest.mark.slow
@pytest.mark.parametrize("contradicted", [True, False])
def test_a_job_with_many_reports_is_folded_with_each_batch_once(
    dsn: str, ledger_name: str, contradicted: bool
) -> None:
    with Ledger.open(dsn, ledger_name, catch_up=False) as ledger, ledger.connection() as connection:
        ledger.append_many(events_of_one_job(contradicted, 1_200))
        with connection.transaction():
            for position in range(300, ledger.size() + 300, 300):
                connection.execute("SELECT follow('intervals', %s, 300)", (position,))
            (read,) = connection.execute(READ_ROWS).fetchone() or (None,)
        # Four batches of 300 look at all events before them, some times; not each of 1,200 events does.
        assert 1_200 < read < 100_000
        assert verify(connection).findings == []


@pytest.mark.slow
def test_progress_of_a_late_job_does_not_read_its_history_again(dsn: str, ledger_name: str) -> None:
    """Two clocks that differ make a long job late; each batch has reports of its progress, and other jobs."""
    name, count, size = "projects/p/jobs/long", 3_000, 100
    progress = (
        Event(name, n, ProgressReported(), AT + timedelta(minutes=1, seconds=n - n % 2 * 5))
        for n in range(3, count)
    )
    others = (Event(f"projects/p/jobs/other{n}", 1, Created(), AT) for n in range(count))
    with Ledger.open(dsn, ledger_name, catch_up=False) as ledger, ledger.connection() as connection:
        begin = Event(name, 1, Created(), AT), Event(name, 2, Started(), AT + timedelta(minutes=1))
        ledger.append_many([*begin, *chain.from_iterable(zip(progress, others, strict=False))])
        with connection.transaction():
            for position in range(size, ledger.size() + size, size):
                connection.execute("SELECT follow('intervals', %s, %s)", (position, size))
            (read,) = connection.execute(READ_ROWS).fetchone() or (None,)
        assert connection.execute("SELECT name FROM late_jobs").fetchall() == [(name,)]
        assert ledger.size() < read < 20 * ledger.size()
        assert verify(connection).findings == []


def test_reading_a_projection_that_caught_up_locks_and_writes_nothing(
    ledger: Ledger, other: Connection
) -> None:
    some_jobs(ledger, 0, 10)
    assert ledger.follow(20) == 20
    with other.transaction():
        before = other.execute(FOLLOWED + b" FOR UPDATE").fetchone()
        for as_of in (AT, "now", "@7", ledger.moment("now")):
            assert sum(ledger.count(as_of=as_of).counts.values()) > 0
        assert len(ledger.list(as_of=AT)) == 10
        assert ledger.follow(7) == 20
        assert other.execute(FOLLOWED).fetchone() == before


def test_a_reader_that_waited_for_a_catch_up_uses_its_result(
    ledger: Ledger, other: Connection
) -> None:
    some_jobs(ledger, 0, 10)
    with ThreadPoolExecutor(2) as pool:
        with other.transaction():
            assert other.execute("SELECT follow('intervals', 20, 15)").fetchone() == (15,)
            behind = pool.submit(ledger.follow, 15)
            further = pool.submit(ledger.count, as_of="now")
            time.sleep(0.2)
            assert not behind.done()
            assert not further.done()
        # 20 if the other one had the lock first.
        assert behind.result(timeout=60) in (15, 20)
        assert further.result(timeout=60).counts == {"RUNNING": 10}
    assert verify(other).findings == []


def test_a_projection_does_not_run_ahead_of_the_ledger(ledger: Ledger, other: Connection) -> None:
    assert ledger.follow(0) == 0
    assert ledger.follow(1_000_000) == 0
    some_jobs(ledger, 0, 3)
    assert ledger.follow(1_000_000) == 6
    with pytest.raises(Exception, match="no rows"):
        other.execute("SELECT follow('jobs', 1, 1)")


def test_a_count_is_of_the_moment_it_names_though_more_is_followed_meanwhile(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = JobLists.states_valid_time

    def count_later(fleet: JobLists, time_: datetime) -> tuple[int, dict[str | None, int]]:
        some_jobs(ledger, ledger.size(), ledger.size() + 1)
        ledger.follow(ledger.size())
        return count(fleet, time_)

    some_jobs(ledger, 0, 5)
    pinned = ledger.moment(AT)
    monkeypatch.setattr(JobLists, "states_valid_time", count_later)
    for again in (pinned, pinned.as_of, str(pinned)):
        assert ledger.count(as_of=again) == (pinned, {"QUEUED": 5})
    for as_of in (AT, AT.isoformat(), AtTime(AT)):
        counted = ledger.count(as_of=as_of)
        assert counted.moment.position == ledger.size()
        assert counted.counts == {"QUEUED": ledger.size() // 2}


@pytest.mark.slow
def test_counts_while_others_write_are_those_of_their_moments(ledger: Ledger) -> None:
    ledger.append_many([Event("projects/p/jobs/in_no_state", 1, LabelsChanged(), AT)])
    with ThreadPoolExecutor(6) as pool:
        writes = [pool.submit(some_jobs, ledger, n, n + 5) for n in range(0, 200, 5)]
        counts = [pool.submit(ledger.count, as_of="now") for _ in range(60)]
        wait(writes)
    for counted in (future.result() for future in counts):
        one_by_one = ledger.count("state", 'state : "*"', as_of=counted.moment).counts
        assert one_by_one == counted.counts
        assert ledger.count(as_of=counted.moment) == counted


def test_counts_are_the_sums_of_intervals_on_both_sides_of_a_stretch(
    ledger: Ledger, other: Connection
) -> None:
    """A stretch has 256 positions, or 64 s: the nearest end of one may be after what is asked for."""
    names = [f"projects/p/jobs/s{n}" for n in range(400)]
    times = [AT + timedelta(seconds=n / 2) for n in range(len(names))]
    ledger.append_many(map(Event, names, [1] * 400, [Created()] * 400, times))
    ledger.append_many(map(Event, names, [2] * 400, [Started()] * 400, times))
    ledger.follow(ledger.size())
    for position in (1, 127, 128, 129, 255, 256, 257, 400, 401, 639, 640, 641, 800):
        counted = other.execute("SELECT state, jobs FROM states_at(%s)", (position,)).fetchall()
        running = max(position - 400, 0)
        expected = {"QUEUED": min(position, 400) - running, "RUNNING": running}
        assert dict(counted) == {state: jobs for state, jobs in expected.items() if jobs}, position
    for seconds in (0, 15, 16, 31.5, 32, 47, 48, 63.5, 64, 111, 112, 113, 199.5, 300):
        at = AT + timedelta(seconds=seconds)
        happened = other.execute("SELECT state, jobs FROM states_as_they_happened(%s)", (at,))
        assert happened.fetchall() == [("RUNNING", sum(time <= at for time in times))], seconds


@pytest.mark.slow
def test_rebuilt_intervals_equal_the_old_ones(ledger: Ledger) -> None:
    for n in range(20):
        name = f"projects/p/jobs/i{n}"
        ledger.create(name, occurred_time=AT + timedelta(minutes=n))
        ledger.started(name, occurred_time=AT + timedelta(minutes=n - (n % 3)))
    moments = [AT + timedelta(minutes=n) for n in range(22)]
    before = [ledger.count(as_of=moment).counts for moment in moments]
    with ledger.connection() as connection:
        for projection in PROJECTIONS:
            rebuild(connection, projection)
        read = b"SELECT position FROM projections WHERE name = 'intervals'"
        assert connection.execute(read).fetchone() == (40,)
    assert [ledger.count(as_of=moment).counts for moment in moments] == before
    ledger.succeeded("projects/p/jobs/i0")
    assert ledger.count().counts == {"RUNNING": 19, "SUCCEEDED": 1}


@pytest.mark.slow
def test_succeeded_late_counts_once(ledger: Ledger) -> None:
    """Many late jobs in one fold: their counts are taken back and made anew."""
    names = [f"projects/p/jobs/l{n}" for n in range(300)]
    ledger.append_many(Event(n, 1, Created(), AT) for n in names)
    ledger.append_many(Event(n, 2, Started(), AT + timedelta(hours=2)) for n in names)
    assert ledger.count(as_of=AT + timedelta(hours=3)).counts == {"RUNNING": 300}
    ledger.append_many(Event(n, 3, Succeeded(), AT + timedelta(hours=1)) for n in names)
    assert ledger.count(as_of=AT + timedelta(minutes=90)).counts == {"QUEUED": 300}
    assert ledger.count(as_of=AT + timedelta(hours=3)).counts == {"SUCCEEDED": 300}
    assert ledger.count().counts == {"SUCCEEDED": 300}
    with ledger.connection() as connection:
        assert verify(connection).findings == []
        rebuild(connection, INTERVALS)
        assert verify(connection).findings == []
    assert ledger.count(as_of=AT + timedelta(hours=3)).counts == {"SUCCEEDED": 300}
