"""Tiles are hashed in other processes: damage has its position, and a process that ends is an error."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from jobledger.domain.events import Created, Event
from jobledger.domain.proof import hashing
from jobledger.infra import Ledger
from jobledger.infra.errors import ProofError
from jobledger.infra.proof.audit import hash_processes as processes
from jobledger.infra.proof.audit.hash_processes import (
    HashProcess,
    HashProcesses,
    Task,
    hash_processes,
)
from jobledger.infra.proof.audit.verify_log import Verdict, verify_log
from jobledger.infra.proof.log.leaves import copy_rows

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC)
TILES: Final = 6
SIZE: Final = 256 * TILES + 9
CHANGE: Final = "UPDATE events SET data = data || ' ' WHERE position = ANY (%s)"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[HashProcess]:
    """Two processes take every whole tile; the list names those that were started."""
    made: list[HashProcess] = []

    class Noted(HashProcess):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(processes, "HashProcess", Noted)
    monkeypatch.setattr(processes, "MIN_EVENTS", 1)
    monkeypatch.setattr(processes, "MAX_AHEAD_BYTES", 1 << 30)
    monkeypatch.setattr(processes, "cores", lambda: 3)
    return made


@pytest.fixture
def signed(
    dsn: str, ledger_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    """A ledger whose tree has all of its events."""
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path))
    monkeypatch.setenv("JOBLEDGER_SEAL", "false")
    with Ledger.open(dsn, ledger_name) as ledger:
        ledger.append_many(
            [Event(f"projects/p/jobs/j{at}", 1, Created(), BEGIN) for at in range(SIZE)]
        )
        ledger.checkpoint()
        yield ledger


def verified(ledger: Ledger) -> Verdict:
    with ledger.connection() as connection, connection.transaction():
        return verify_log(connection)


@pytest.mark.slow
def test_a_change_in_the_tile_of_any_process_is_found(
    signed: Ledger, started: list[HashProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Task | None] = []
    give = HashProcesses.give

    def noted(self: HashProcesses, key: bytes, hashes: bytes, rows: list[bytes]) -> Task | None:
        given.append(give(self, key, hashes, rows))
        return given[-1]

    monkeypatch.setattr(HashProcesses, "give", noted)
    whole = verified(signed)
    assert whole.ok
    assert len(started) == 2
    assert len([task for task in given if task is not None]) == TILES

    places = [3, 256 * 3 + 7, SIZE - 1]
    with signed.connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(CHANGE, (places,))
        connection.execute("RESET session_replication_role")
    damaged = verified(signed)
    assert [(finding.kind, finding.position) for finding in damaged.findings] == [
        ("changed", place) for place in places
    ]
    monkeypatch.setattr(processes, "cores", lambda: 1)
    assert verified(signed) == damaged
    assert len(started) == 4


@pytest.mark.slow
@pytest.mark.parametrize("when", ["give", "wait"])
def test_a_process_that_is_killed_is_an_error(
    signed: Ledger, started: list[HashProcess], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Before it is given a tile, and before it has answered for the last one."""
    init, wait = HashProcesses.__init__, Task.wait

    def begun(self: HashProcesses, all_: list[HashProcess]) -> None:
        os.kill(all_[1].id, signal.SIGKILL if when == "give" else signal.SIGSTOP)
        init(self, all_)

    def waited(self: Task) -> bytes:
        os.kill(started[1].id, signal.SIGKILL)
        return wait(self)

    monkeypatch.setattr(HashProcesses, "__init__", begun)
    monkeypatch.setattr(Task, "wait", waited)
    with signed.connection() as connection:
        with pytest.raises(ProofError, match=r"hashed events, ended \(status -9\)"):
            verify_log(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_few_events_or_one_core_start_no_process(
    started: list[HashProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MIN_EVENTS", 1_000)
    with hash_processes(999) as few:
        assert few.give(b"k" * 32, b"", []) is None
    monkeypatch.setattr(processes, "cores", lambda: 1)
    with hash_processes(10**9):
        pass
    monkeypatch.setattr("sys.executable", "/usr/bin/uwsgi")
    monkeypatch.setattr(processes, "cores", lambda: 8)
    with hash_processes(10**9):
        pass
    assert started == []


@pytest.mark.slow
def test_a_process_answers_with_the_root_of_events_of_any_size(
    signed: Ledger, started: list[HashProcess]
) -> None:
    with signed.connection() as connection:
        rows = [*copy_rows(connection, 1, 256)]
    # Longer than a pipe.
    rows[7] = rows[7][:14] + (4_000_000).to_bytes(4) + bytes(4_000_000) + rows[7][18:]
    key = b"k" * 32
    hashes = hashing.hash_rows(rows, hashing.salts(key))
    with hash_processes(SIZE) as both:
        task, other = both.give(key, hashes, rows), both.give(key, hashes[::-1], rows)
        assert task is not None
        assert other is not None
        assert task.wait() == hashing.root_of(hashes)
        assert other.wait() == bytes(32)
    assert len(started) == 2
