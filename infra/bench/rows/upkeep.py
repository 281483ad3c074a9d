"""Rows of growth that change the large ledger: an upgrade while others write, and a pruning."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Final

from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.bench.rows.growth import histories
from jobledger.infra.bench.rows.past import History
from jobledger.infra.bench.serving import PROGRAM
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.postgres.connections import schema_of
from jobledger.infra.retention.archive import Export

WRITERS: Final = 4
PAUSE_SECONDS: Final = 0.02
"""How long each writer waits between two jobs."""
PRUNED_SHARE: Final = 0.9
DISK: Final = """
SELECT sum(pg_total_relation_size(oid))::float8 / 1024 / 1024 FROM pg_class
WHERE relkind = 'r' AND relnamespace = '{schema}'::regnamespace
"""
RECORDED_AFTER: Final = b"""
SELECT coalesce((
    SELECT recorded_time FROM events
    WHERE position > e.position AND recorded_time > e.recorded_time ORDER BY position LIMIT 1
), clock_timestamp())
FROM events AS e WHERE position = %s
"""
"""When the first event after those of a position's commit was recorded."""
OUTDATE: Final = "UPDATE {schema}.projections SET version = version - 1"


@contextmanager
def upgrade(arena: Arena) -> Iterator[Sides]:
    """The longest wait of a writer in milliseconds while `init` rebuilds all projections; measured once."""

    def measure() -> Reading:
        grown, _ = histories(arena)
        ledger = grown.ledger.name
        arena.execute(OUTDATE.format(schema=schema_of(ledger)))
        command = [sys.executable, "-c", PROGRAM, "--dsn", arena.dsn, "--ledger", ledger, "init"]
        with _writing(grown) as waits:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LedgerUnavailableError(f"init ended with {done.returncode}: {done.stderr}")
        return Reading(max(waits) * 1_000)

    yield Sides(cache(measure))


@contextmanager
def pruned_disk(arena: Arena) -> Iterator[Sides]:
    """MiB of disk that pruning gives back, beside what the pruned events' share of it took; measured once."""

    @cache
    def measure() -> tuple[float, float]:
        grown, _ = histories(arena)
        before, size = _disk(arena, grown), grown.ledger.size()
        export = Export(arena.scratch / "pruned.jsonl", is_there=False)
        [(before_time,)] = grown.select(RECORDED_AFTER, int(size * PRUNED_SHARE))
        pruning = grown.ledger.prune(before_time, export)
        grown.ledger.compact()
        return before - _disk(arena, grown), before * pruning.events / size

    yield Sides(lambda: Reading(measure()[0]), lambda: Reading(measure()[1]))


@contextmanager
def _writing(grown: History) -> Iterator[list[float]]:
    """Threads that create jobs meanwhile; yields the seconds that each creation took."""
    waits: list[float] = []
    ended = threading.Event()
    numbers = count()

    def write() -> None:
        while not ended.wait(PAUSE_SECONDS):
            begin = time.perf_counter()
            grown.ledger.create(f"projects/bench/jobs/waited_{os.getpid()}_{next(numbers)}")
            waits.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield waits
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _disk(arena: Arena, grown: History) -> float:
    [(size,)] = arena.execute(DISK.format(schema=schema_of(grown.ledger.name)))
    return float(size)
