"""Rebuilds beside each other, beside writers, and behind somebody's long read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.errors import LedgerBusyError
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import Connection, connect, conninfo, schema_of
from jobledger.infra.retention.archive import Export
from jobledger.infra.upkeep import swap
from jobledger.infra.upkeep.rebuild import rebuild, rebuild_all
from jobledger.infra.upkeep.rehearse import rehearse
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import INTERVALS, JOBS, PROJECTIONS, Projection
from psycopg.errors import DivisionByZero, LockNotAvailable

from tests.ledgers import owned_ledger

LIMIT = "SELECT setting::integer FROM pg_settings WHERE name = 'lock_timeout'"
SOMEBODY_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'jobs'::regclass"
LEFT = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rebuild_%'"


def left_over(ledger: Ledger) -> int:
    """How many schemas of rebuilds there are in the database."""
    with ledger.connection() as connection:
        return int(connection.execute(LEFT).fetchone()[0])  # type: ignore[index]


def findings(ledger: Ledger) -> list[Any]:
    with ledger.connection() as connection:
        return verify(connection).findings


@pytest.mark.slow
def test_one_of_several_rebuilds_runs_and_the_others_name_it(busy: Ledger) -> None:
    working, asked = Barrier(2), Event()

    def pause(_done: int, _size: int) -> None:
        if not asked.is_set():
            working.wait(30)
            asked.wait(30)

    def first() -> int:
        with busy.connection() as connection:
            return rebuild(connection, JOBS, pause)

    with ThreadPoolExecutor(1) as pool, busy.connection() as second:
        running = pool.submit(first)
        working.wait(30)
        for projection in PROJECTIONS:
            with pytest.raises(LedgerBusyError, match=r"server process \d+ of user") as caught:
                rebuild(second, projection)
            assert caught.value.what == "rebuild"
        busy.create("projects/p/jobs/meanwhile")
        asked.set()
        assert running.result(30) == busy.size()
        rebuild(second, INTERVALS)
    assert findings(busy) == []
    assert left_over(busy) == 0


@pytest.mark.slow
@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_behind_a_long_read_writers_go_on_and_the_swap_is_tried_again(
    busy: Ledger, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, attempt = Event(), swap._try_swap

    def noted(*arguments: Any) -> int | None:
        try:
            return attempt(*arguments)
        except LockNotAvailable:
            tried.set()
            raise

    monkeypatch.setattr(swap, "_try_swap", noted)

    def rebuilt() -> int:
        with busy.connection() as connection:
            return rebuild(connection, projection)

    schema = schema_of(busy.name)
    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(busy.conninfo) as reader:
            reader.execute(f"SELECT count(*) FROM {schema}.{projection.tables[0]}".encode())
            running = pool.submit(rebuilt)
            assert tried.wait(30)
            # The reader is still there, and so is the rebuild.
            busy.create("projects/p/jobs/meanwhile")
            assert busy.get("projects/p/jobs/meanwhile").version == 1
            assert not running.done()
        assert running.result(30) == busy.size()
    assert findings(busy) == []
    assert left_over(busy) == 0


def test_all_locks_of_a_swap_share_one_time_limit(
    busy: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else writers could wait behind one reader after another."""
    limits: list[int] = []
    exchange = swap._swap

    def noted(connection: Connection, *names: str) -> None:
        limits.extend(limit for (limit,) in connection.execute(LIMIT))
        exchange(connection, *names)

    monkeypatch.setattr(swap, "_swap", noted)
    monkeypatch.setattr(swap, "LOCK_TIMEOUT_MILLISECONDS", 60_000)
    with (
        ThreadPoolExecutor(1) as pool,
        busy.connection() as connection,
        busy.connection() as looking,
        psycopg.connect(busy.conninfo) as reader,
    ):
        reader.execute("SELECT count(*) FROM jobs")
        running = pool.submit(rebuild, connection, JOBS)
        while looking.execute(SOMEBODY_WAITS).fetchone() == (0,):
            time.sleep(0.05)
        reader.rollback()
        assert running.result(30) == busy.size()
    assert limits
    assert max(limits) < 60_000


@pytest.mark.slow
def test_a_rebuild_that_gives_up_names_the_reader_and_changes_nothing(busy: Ledger) -> None:
    with (
        psycopg.connect(busy.conninfo) as reader,
        busy.connection() as connection,
        busy.connection() as looking,
    ):
        reader.execute("SELECT count(*) FROM jobs")
        pid = reader.info.backend_pid
        before = looking.execute("SELECT 'jobs'::regclass::oid").fetchone()
        with pytest.raises(LedgerBusyError, match=f"server process {pid} of user"):
            rebuild(connection, JOBS, swap_timeout=0)
        assert looking.execute("SELECT 'jobs'::regclass::oid").fetchone() == before
        path = connection.execute("SHOW search_path").fetchone()
        assert path == (schema_of(busy.name),)
    assert left_over(busy) == 0
    assert findings(busy) == []


@pytest.mark.slow
def test_a_rebuild_that_fails_leaves_nothing_and_can_be_repeated(busy: Ledger) -> None:
    def fail(_done: int, _size: int) -> None:
        raise KeyboardInterrupt

    with busy.connection() as connection:
        with pytest.raises(KeyboardInterrupt):
            rebuild(connection, JOBS, fail)
        assert left_over(busy) == 0
        assert rebuild(connection, JOBS) == busy.size()
    assert findings(busy) == []


@pytest.mark.slow
def test_the_error_of_a_rebuild_in_a_transaction_is_raised(busy: Ledger) -> None:
    def fail(_done: int, _size: int) -> None:
        connection.execute("SELECT 1 / 0")

    with busy.connection() as connection:
        with pytest.raises(DivisionByZero), connection.transaction():
            rebuild(connection, JOBS, fail)
        assert left_over(busy) == 0
        assert rebuild(connection, JOBS) == busy.size()


@pytest.mark.slow
@pytest.mark.plain_server
def test_two_sessions_make_the_same_rows_and_indexes(busy: Ledger) -> None:
    def fail(_done: int, _size: int) -> None:
        raise KeyboardInterrupt

    rows = "SELECT * FROM jobs ORDER BY name"
    indexes = (
        "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexname"
    )
    with busy.connection() as first, busy.connection() as second:
        before = [first.execute(read).fetchall() for read in (rows, indexes)]
        assert rebuild(first, JOBS, second=second) == busy.size()
        assert [second.execute(read).fetchall() for read in (rows, indexes)] == before
        with pytest.raises(KeyboardInterrupt):
            rebuild(first, JOBS, fail, second=second)
        assert [second.execute(read).fetchall() for read in (rows, indexes)] == before
    assert left_over(busy) == 0
    assert findings(busy) == []


@pytest.mark.slow
@pytest.mark.plain_server
def test_the_leftovers_of_a_killed_rebuild_are_removed_by_the_next_one(busy: Ledger) -> None:
    class KilledError(Exception):
        pass

    with busy.connection() as connection:

        def kill(_done: int, _size: int) -> None:
            connection.close()
            raise KilledError

        with pytest.raises(KilledError):
            rebuild(connection, JOBS, kill)
    assert left_over(busy) == 1
    with busy.connection() as connection:
        # The server may notice only now that the session ended.
        connection.execute("SELECT pg_sleep(0)")
        rebuild(connection, JOBS)
    assert left_over(busy) == 0


@pytest.mark.slow
def test_many_events_are_folded_before_writers_have_to_wait(
    busy: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "MAX_LOCKED_EVENTS", 3)
    attempt, results = swap._try_swap, list[int | None]()

    def with_writers(*arguments: Any) -> int | None:
        if not results:
            for number in range(5):
                busy.create(f"projects/p/jobs/more{number}")
        results.append(attempt(*arguments))
        return results[-1]

    monkeypatch.setattr(swap, "_try_swap", with_writers)
    with busy.connection() as connection:
        assert rebuild(connection, JOBS) == busy.size()
    assert results == [None, busy.size()]
    assert findings(busy) == []


@pytest.mark.slow
def test_no_writer_waits_for_an_upgrade_of_all_projections(
    busy: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "MAX_LOCKED_EVENTS", 3)
    attempt, results, numbers = swap._try_swap, list[int | None](), count()

    def write() -> None:
        writer.submit(busy.create, f"projects/p/jobs/more{next(numbers)}").result(30)

    def with_writers(*arguments: Any) -> int | None:
        for _ in range(0 if results else 5):
            write()
        results.append(attempt(*arguments))
        if results[-1] is None:
            write()
        return results[-1]

    def write_first(_done: int, _size: int) -> None:
        if not results:
            write()

    def rebuilt(connection: Connection, projections: Sequence[Projection]) -> int:
        return rebuild_all(connection, projections, write_first)

    monkeypatch.setattr(swap, "_try_swap", with_writers)
    with ThreadPoolExecutor(1) as writer, busy.connection() as connection:
        connection.execute("UPDATE projections SET version = 0")
        assert migrate.migrate(connection, busy.name, rebuilt)
    assert results == [None, busy.size()]
    assert findings(busy) == []


@pytest.mark.slow
@pytest.mark.plain_server
@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_jobs_that_are_pruned_during_a_rebuild_do_not_come_back(
    ledger: Ledger, tmp_path: Path, projection: Projection
) -> None:
    ledger.create("projects/p/jobs/old")
    ledger.cancel("projects/p/jobs/old")
    ledger.create("projects/p/jobs/live")
    pruned: list[int] = []

    def prune_meanwhile(done: int, size: int) -> None:
        if not pruned:
            export = Export(tmp_path / "old.jsonl", is_there=False)
            pruned.append(ledger.prune(datetime.now(UTC), export).jobs)

    with ledger.connection() as connection:
        rebuild(connection, projection, prune_meanwhile)
    assert pruned == [1]
    assert [job.name for job in ledger.list()] == ["projects/p/jobs/live"]
    assert findings(ledger) == []


@pytest.mark.slow
@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_a_check_that_reads_one_moment_keeps_the_tables(
    busy: Ledger, projection: Projection
) -> None:
    """A table that is replaced under a snapshot would look empty to it."""
    with busy.connection() as connection:
        rebuild(connection, projection)  # It is caught up now.
    busy.count(as_of="now")  # Intervals follow.
    outcomes: list[Any] = []

    def rebuild_meanwhile(_done: int, _size: int) -> None:
        if not outcomes:
            with busy.connection() as second, pytest.raises(LedgerBusyError) as caught:
                rebuild(second, projection, swap_timeout=0)
            outcomes.append(caught.value)

    with busy.connection() as connection:
        assert verify(connection, rebuild_meanwhile).findings == []
        outcomes.clear()
        assert rehearse(connection, projection, progress=rebuild_meanwhile).changed == 0
    assert outcomes


@pytest.mark.slow
def test_rows_that_a_superuser_makes_belong_to_the_owner_of_the_ledger(dsn: str) -> None:
    with owned_ledger(dsn) as (owner, name), Ledger.open(owner, name) as ledger:
        ledger.create("projects/p/jobs/a")
        with connect(conninfo(dsn, schema_of(name))) as superuser:
            for projection in PROJECTIONS:
                rebuild(superuser, projection)
        ledger.create("projects/p/jobs/b")
        assert ledger.count(as_of="now").counts == {"QUEUED": 2}
        assert findings(ledger) == []
