"""Compacting gives the disk of pruned events back, and changes nothing that is shown."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from jobledger import Export, Ledger, LedgerBusyError, OwnerNeededError
from jobledger.domain.events import Created, Event, Succeeded
from jobledger.infra.retention import compact as compacting
from jobledger.infra.retention.compact import compact
from jobledger.infra.retention.prune import TABLES
from jobledger.infra.upkeep.verify import verify

from tests.command_line import Cli
from tests.ledgers import application_of

AT = datetime(2026, 1, 1, tzinfo=UTC)


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


def test_the_disk_of_what_was_pruned_comes_back(
    ledger: Ledger, ledger_name: str, dsn: str, tmp_path: Path
) -> None:
    fill(ledger, 900)
    out = Cli(dsn, ledger_name).json(
        "prune", "--before", "0s ago", "--to", str(tmp_path / "old.jsonl"), "--compact", "--json"
    )
    assert out["jobs"] == 900
    before, after = out["bytes"]["before"], out["bytes"]["after"]
    # Rows that an open snapshot sees, such as a background worker's, stay until the next time.
    deadline = time.monotonic() + 30
    while after >= 0.2 * before:
        assert time.monotonic() < deadline, (before, after)
        after = ledger.compact().after
    assert ledger.get("projects/p/jobs/live").version == 1
    assert ledger.started("projects/p/jobs/live").version == 2
    with ledger.connection() as connection:
        assert verify(connection).findings == []


def test_a_table_that_is_read_all_the_time_is_left_and_its_reader_named(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compacting, "PAUSE_SECONDS", 0.0)
    fill(ledger, 3)
    ledger.prune(datetime.now(UTC), Export(tmp_path / "old.jsonl", is_there=False), "me")
    with psycopg.connect(ledger.conninfo) as reader, ledger.connection() as connection:
        reader.execute("SELECT count(*) FROM jobs")
        pid = reader.info.backend_pid
        with pytest.raises(LedgerBusyError, match=f"server process {pid} of user"):
            compact(connection, TABLES, timeout=0)
        # Writers go on beside both.
        assert ledger.started("projects/p/jobs/live").version == 2
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_it_takes_the_owner(ledger: Ledger, dsn: str) -> None:
    with (
        application_of(dsn, ledger) as application,
        pytest.raises(OwnerNeededError, match="to compact takes the owner"),
    ):
        application.compact()
