"""Compacting returns the disk space of pruned events, and changes no answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Event as Signal

import psycopg
import pytest
from jobledger import Export, Ledger, LedgerBusyError, OwnerNeededError
from jobledger.domain.events import Created, Event, Succeeded
from jobledger.infra.proof.audit.prunings import pruned_ranges
from jobledger.infra.proof.audit.verify_log import verify_log
from jobledger.infra.retention.compact import compact
from jobledger.infra.upkeep.definitions import check_definitions
from jobledger.infra.upkeep.verify import verify

from tests.command_line import Cli
from tests.ledgers import application_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
COUNT_INVALID = (
    "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid = 'events'::regclass"
)


def fill(ledger: Ledger, jobs: int) -> None:
    """So many jobs that are over, of a kilobyte each, and one that is not."""
    ledger.append_many(
        event
        for number in range(jobs)
        for event in (
            Event(f"projects/p/jobs/j{number}", 1, Created(spec={"x": "y" * 1_000}), AT),
            Event(f"projects/p/jobs/j{number}", 2, Succeeded(), AT),
        )
    )
    ledger.create("projects/p/jobs/live")


@pytest.mark.slow
def test_the_disk_space_of_pruned_events_is_returned(
    ledger: Ledger, ledger_name: str, dsn: str, tmp_path: Path
) -> None:
    fill(ledger, 900)
    out = Cli(dsn, ledger_name).json(
        "prune", "--before", "0s ago", "--to", str(tmp_path / "old.jsonl"), "--compact", "--json"
    )
    assert out["jobs"] == 900
    before, after = out["bytes"]["before"], out["bytes"]["after"]
    if after >= 0.2 * before:
        _compact_until(ledger, 0.2 * before)
    assert ledger.get("projects/p/jobs/live").version == 1
    assert ledger.started("projects/p/jobs/live").version == 2
    with ledger.connection() as connection:
        assert verify(connection).findings == []


@pytest.mark.slow
@pytest.mark.parametrize("length", [10, 2_000, 9_000])
def test_remaining_events_are_unchanged_while_writers_continue(
    ledger: Ledger, tmp_path: Path, length: int
) -> None:
    _prune_most(ledger, length, tmp_path)
    ledger.checkpoint()
    before = [(event.position, event.stored) for event in ledger.events(follow=False)]
    with ThreadPoolExecutor(1) as pool:
        done = Signal()
        written = pool.submit(_write_until, ledger, done)
        sizes = ledger.compact()
        done.set()
        assert written.result() > 0
    if length > 2_000:
        assert sizes.after < 0.6 * sizes.before
    kept = [(event.position, event.stored) for event in ledger.events(follow=False)]
    assert kept[: len(before)] == before
    ledger.follow(ledger.size())
    with ledger.connection() as connection:
        assert verify(connection).findings == []
        pruned = pruned_ranges(connection)
        with connection.transaction():
            assert verify_log(connection, pruned=pruned).findings == []
        invalid = connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
        assert invalid.fetchone() == (0,)


@pytest.mark.slow
@pytest.mark.parametrize("length", [10, 2_000, 9_000])
@pytest.mark.parametrize("later", [0, 400])
def test_compacting_again_takes_no_more_space(
    ledger: Ledger, tmp_path: Path, length: int, later: int
) -> None:
    _prune_most(ledger, length, tmp_path)
    for number in range(later):
        ledger.create(f"projects/p/jobs/new{number}", spec={"x": "y" * 500})
    with ledger.connection() as connection:
        sizes = []
        for _ in range(3):
            ledger.compact()
            row = connection.execute("SELECT pg_table_size('events') / 8192").fetchone()
            assert row is not None
            sizes.append(row[0])
    assert sizes[1] <= sizes[0] + 1  # A page of the free space map.
    assert sizes[2] <= sizes[1]


def _prune_most(ledger: Ledger, length: int, folder: Path) -> None:
    """Leaves a tenth of 300 jobs with data of a length, between what was deleted."""
    random = Random(length)
    ledger.append_many(
        event
        for number in range(300)
        for event in _life(number, random.randbytes(length).hex(), ends=number % 10 > 0)
    )
    ledger.prune(datetime.now(UTC), Export(folder / "old.jsonl", is_there=False), "me")


def _compact_until(ledger: Ledger, most: float) -> None:
    """Compact until at most so many bytes are left: an open snapshot keeps rows that it sees."""
    deadline = time.monotonic() + 60
    while (after := ledger.compact().after) > most:
        assert time.monotonic() < deadline, (after, most)


def _life(number: int, spec: str, *, ends: bool) -> Iterator[Event]:
    name = f"projects/p/jobs/j{number}"
    yield Event(name, 1, Created(spec={"x": spec}), AT)
    if ends:
        yield Event(name, 2, Succeeded(), AT)


def _write_until(ledger: Ledger, done: Signal) -> int:
    count = 0
    while not done.is_set() or not count:
        ledger.create(f"projects/p/jobs/new{count}", spec={"x": "y" * 500})
        count += 1
    return count


def test_an_event_can_only_be_rewritten_unchanged(ledger: Ledger) -> None:
    fill(ledger, 1)
    with ledger.connection() as connection:
        connection.execute("UPDATE events SET position = position, data = data || ''::bytea")
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'events'::regclass AND attnum > 0"
        ).fetchall()
        others = {"position": "99", "version": "99", "schema": "9", "data": "data || ' '"}
        for (column,) in columns:
            is_time = column.endswith("_time")
            other = others.get(column, "now()" if is_time else "'other'")
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(f"UPDATE events SET {column} = {other} WHERE position = 1")


@pytest.mark.slow
@pytest.mark.plain_server
def test_a_table_that_is_read_all_the_time_is_left_and_its_reader_named(
    ledger: Ledger, tmp_path: Path
) -> None:
    fill(ledger, 3)
    ledger.prune(datetime.now(UTC), Export(tmp_path / "old.jsonl", is_there=False), "me")
    with psycopg.connect(ledger.conninfo) as reader, ledger.connection() as connection:
        reader.execute("SELECT count(*) FROM jobs")
        pid = reader.info.backend_pid
        with pytest.raises(LedgerBusyError, match=f"server process {pid} of user"):
            compact(connection, timeout=0.1)
        # Writers go on beside both.
        assert ledger.started("projects/p/jobs/live").version == 2
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


@pytest.mark.slow
def test_what_an_interrupted_rebuild_of_an_index_leaves_is_no_finding(ledger: Ledger) -> None:
    with psycopg.connect(ledger.conninfo) as writer, ledger.connection() as connection:
        writer.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
        connection.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("REINDEX INDEX CONCURRENTLY events_pkey")
        writer.rollback()
        assert connection.execute(COUNT_INVALID).fetchone() == (1,)
        assert check_definitions(connection) == []
        compact(connection)
        assert connection.execute(COUNT_INVALID).fetchone() == (0,)


@pytest.mark.slow
def test_a_session_that_still_sees_pruned_events_is_named(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger, 900)
    with psycopg.connect(ledger.conninfo) as reader, ledger.connection() as connection:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1")
        pid = reader.info.backend_pid
        ledger.prune(datetime.now(UTC), Export(tmp_path / "old.jsonl", is_there=False), "me")
        with pytest.raises(LedgerBusyError, match=f"may still see .* server process {pid} of user"):
            compact(connection, timeout=0.1)
        reader.rollback()
        before, after = compact(connection)
    assert after < 0.6 * before
    assert ledger.get("projects/p/jobs/live").version == 1


def test_compacting_needs_the_owner(ledger: Ledger, dsn: str) -> None:
    with (
        application_of(dsn, ledger) as application,
        pytest.raises(OwnerNeededError, match="to compact needs the owner"),
    ):
        application.compact()
