"""Rows of sources: OpenLineage, a database that is followed, and files by a mapping."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.meter import Reading, find_postmaster
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.bench.rows.http import CONNECTIONS, beside_peer
from jobledger.infra.bench.serving import PROGRAM
from jobledger.infra.bench.source_server import source_database
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.ledger import Ledger
from jobledger.infra.sources.attach.follower import Follower, slot_name
from jobledger.infra.sources.attach.slot import Slot
from jobledger.infra.sources.mapping.histories import Histories
from jobledger.infra.sources.mapping.importing import MappedImport
from jobledger.infra.sources.mapping.model import ATTACHED, read_mapping
from jobledger.infra.transfer.traces.google_cluster import Kind
from jobledger.infra.transfer.traces.import_trace import Importer, Summary

SYSTEM: Final = "procrastinate"
SLOT: Final = "jobledger_bench"
OTHER_SLOT: Final = "jobledger_bench_peer"
SOURCE_TABLES: Final = """
CREATE TABLE procrastinate_jobs (id bigint PRIMARY KEY, queue_name text, task_name text, lock text,
    priority integer, args jsonb);
CREATE TABLE procrastinate_events (id bigserial PRIMARY KEY, job_id bigint, type text,
    at timestamptz DEFAULT clock_timestamp());
CREATE SEQUENCE numbers;
"""
CHANGES: Final = """
WITH made AS (
    INSERT INTO procrastinate_jobs
    SELECT nextval('numbers'), 'mail', 'send', NULL, 0, '{{"to": "you"}}' FROM generate_series(1, {jobs})
    RETURNING id
)
INSERT INTO procrastinate_events (job_id, type)
SELECT id, type FROM made, unnest(ARRAY['deferred', 'started', 'succeeded']) WITH ORDINALITY AS t (type, n)
ORDER BY id, n
"""
CHANGES_OF_A_JOB: Final = 4
ONE_JOB: Final = CHANGES.format(jobs=1).replace("\n", " ").strip() + ";\n"
JOBS_AT_ONCE: Final = 250
SECOND: Final = 1_000_000
"""One second in the unit of the trace's times, microseconds."""
START_SECONDS: Final = 2.0
"""How long a process may take to begin to follow."""


@contextmanager
def lineage(arena: Arena) -> Iterator[Sides]:
    """OpenLineage events through the endpoint, beside a fastapi endpoint that takes the same body."""
    with beside_peer(arena, "lineage", CONNECTIONS) as sides:
        yield sides


@contextmanager
def attach(arena: Arena) -> Iterator[Sides]:
    """Changes carried over, beside the same changes written to a file by pg_recvlogical."""
    with source_database(arena) as dsn, arena.opened() as ledger:
        _execute(dsn, SOURCE_TABLES)
        server = find_postmaster(dsn)
        follower = _follower(ledger, dsn)
        follower.begin()
        _execute(dsn, f"SELECT pg_create_logical_replication_slot('{OTHER_SLOT}', 'pgoutput')")
        file = arena.scratch / "changes"

        def ours() -> Reading:
            changes = _make_changes(dsn, arena.sizes.source)
            with arena.meter(beside=server) as meter:
                while follower.carry_over():
                    pass
            assert not follower.summary.unplaced
            return meter.rate(changes)

        def theirs() -> Reading:
            with arena.meter(beside=server) as meter:
                _receive(arena, dsn, file)
            return meter.rate(arena.sizes.source)

        yield Sides(ours, theirs)
        follower.end()
        _execute(dsn, f"SELECT pg_drop_replication_slot('{OTHER_SLOT}')")


@contextmanager
def attach_source(arena: Arena) -> Iterator[Sides]:
    """Transactions of one client of a source while it is followed, beside those when it is not."""
    with source_database(arena) as dsn, arena.ledger() as name:
        _execute(dsn, SOURCE_TABLES)
        with arena.open(name) as ledger:
            follower = _follower(ledger, dsn, slot_name(name, SYSTEM))
            follower.begin()

        def inserts() -> Reading:
            return arena.pgbench(ONE_JOB, 1, dsn=dsn)

        def attached() -> Reading:
            with _attached(arena, dsn, name):
                return inserts()

        yield Sides(attached, inserts)
        Slot(dsn, slot_name(name, SYSTEM)).drop()


@contextmanager
def import_mapping(arena: Arena) -> Iterator[Sides]:
    """Events imported by the mapping of a file, beside a trace's file by the importer made for it."""
    jobs = arena.sizes.events // 8
    swf, trace = arena.scratch / "log.swf", arena.scratch / "job_events.csv"
    _write_swf(swf, jobs)
    _write_trace(trace, jobs)
    mapping = read_mapping("swf")

    def ours() -> Reading:
        with arena.opened() as ledger, arena.meter() as meter:
            histories = Histories(mapping, "bench", "bench")
            summary = MappedImport(mapping.source, str(swf), histories).record(
                ledger, lambda _: None
            )
        assert not summary.unplaced
        return meter.rate(summary.events)

    def theirs() -> Reading:
        summary = Summary(str(trace))
        with arena.opened() as ledger, arena.meter() as meter:
            Importer(ledger, "bench", Kind.JOB).run(trace, summary)
        assert not summary.bad
        return meter.rate(summary.events)

    yield Sides(ours, theirs)


def _follower(ledger: Ledger, dsn: str, slot: str = SLOT) -> Follower:
    return Follower(ledger, Slot(dsn, slot), read_mapping(SYSTEM, ATTACHED), "bench")


def _make_changes(dsn: str, changes: int) -> int:
    """Makes changes in the source, in transactions of a thousand; returns their number."""
    turns = changes // (JOBS_AT_ONCE * CHANGES_OF_A_JOB)
    for _ in range(turns):
        _execute(dsn, CHANGES.format(jobs=JOBS_AT_ONCE))
    return turns * JOBS_AT_ONCE * CHANGES_OF_A_JOB


def _receive(arena: Arena, dsn: str, file: Path) -> None:
    """Reads all that the other slot has, up to now."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn(), current_database()").fetchone()
        assert row is not None
        # What is read ends with the first transaction after that.
        connection.execute("SELECT pg_logical_emit_message(true, 'bench', 'end')")
    end, database = row
    options = f"-o proto_version=1 -o publication_names={SLOT} -f {file} -d {database}"
    arena.tool("pg_recvlogical", f"--start -S {OTHER_SLOT} -E {end} {options}".split(), dsn=dsn)


@contextmanager
def _attached(arena: Arena, dsn: str, ledger: str) -> Iterator[None]:
    """While a process follows the source."""
    options = [
        "--dsn",
        arena.dsn,
        "--ledger",
        ledger,
        "--project",
        "bench",
        "attach",
        dsn,
        "--as",
        SYSTEM,
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        time.sleep(START_SECONDS)
        if process.poll() is not None:
            raise LedgerUnavailableError("the process that follows the source ended early")
        yield
    finally:
        process.terminate()
        process.wait()


def _write_swf(file: Path, jobs: int) -> None:
    """A log of jobs that were submitted a second apart, waited for 5 s and ran for 60 s."""
    rest = "8 60 -1 8 60 -1 1 {user} 1 1 1 1 -1 -1"
    with file.open("w") as out:
        out.write("; UnixStartTime: 1400000000\n")
        for n in range(1, jobs + 1):
            out.write(f"{n} {n} 5 60 {rest.format(user=n % 50)}\n")


def _write_trace(file: Path, jobs: int) -> None:
    """The same jobs in a table of job events of Google's trace, in the order of time."""
    rows = [
        (second * SECOND, "", n, kind, f"user-{n % 50}", 1, f"name-{n % 50}", f"logical-{n % 50}")
        for n in range(1, jobs + 1)
        for second, kind in ((600 + n, 0), (605 + n, 1), (665 + n, 4))
    ]
    with file.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(sorted(rows))


def _execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())
