"""Rows of appends: one event a call, beside PostgreSQL's own tool and the stock library."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from jobledger.infra.bench.arena import SLOW_DISK, Arena
from jobledger.infra.bench.loads import Load, loading
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Side, Sides
from jobledger.infra.bench.peers.load import LABELS, SHARED_JOBS, WORKER, ready_events
from jobledger.infra.postgres.connections import schema_of

PGBENCH_TABLE: Final = """
CREATE TABLE {schema}.rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job text NOT NULL,
    version integer NOT NULL, type text NOT NULL, data jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(), UNIQUE (job, version))
"""
PGBENCH_SCRIPT: Final = """
\\set job random(1, 9000000000000000)
INSERT INTO {schema}.rows (job, version, type, data)
VALUES ('projects/bench/jobs/j-' || :job, 1, 'Created', '{{"labels":{{"env":"prod","team":"search"}}}}');
"""
CALLERS: Final = 64
THREADS: Final = 8
"""The threads of each process, if there are several."""
STOCK_PROCESSES: Final = (1, 2, 8)


@contextmanager
def append64(arena: Arena, options: str = "", program: str = "load append") -> Iterator[Sides]:
    """64 callers in threads of one process, one event a call, beside 64 pgbench clients."""
    with arena.ledger() as name, _pgbench(arena, options) as theirs:
        dsn = arena.with_options(options) if options else arena.dsn
        with loading(arena, program, dsn, name, str(CALLERS)) as load:
            yield Sides(load.run, theirs)


@contextmanager
def append_async64(arena: Arena) -> Iterator[Sides]:
    """64 tasks of one asyncio loop, beside 64 pgbench clients."""
    with append64(arena, program="load append_async") as sides:
        yield sides


@contextmanager
def append64_slow_disk(arena: Arena) -> Iterator[Sides]:
    """64 threads on a disk whose flush takes 1 ms."""
    with append64(arena, SLOW_DISK) as sides:
        yield sides


@contextmanager
def append_async64_slow_disk(arena: Arena) -> Iterator[Sides]:
    """64 tasks on a disk whose flush takes 1 ms."""
    with append64(arena, SLOW_DISK, "load append_async") as sides:
        yield sides


@contextmanager
def append_processes4(arena: Arena, processes: int = 4) -> Iterator[Sides]:
    """Several processes of 8 threads with jobs of their own, beside 64 pgbench clients."""
    with arena.ledger() as name, _pgbench(arena) as theirs:
        command = "load append", arena.dsn, name, str(THREADS)
        with loading(arena, *command, processes=processes) as load:
            yield Sides(load.run, theirs)


@contextmanager
def append_processes16(arena: Arena) -> Iterator[Sides]:
    """The same with 16 processes."""
    with append_processes4(arena, 16) as sides:
        yield sides


@contextmanager
def append_shared4(arena: Arena, processes: int = 4) -> Iterator[Sides]:
    """A quarter of the writes on 8 jobs that all share, beside one process of as many threads."""
    with with_shared_jobs(arena) as together, with_shared_jobs(arena) as alone:
        several = "load shared", arena.dsn, together, str(THREADS)
        one = "load shared", arena.dsn, alone, str(THREADS * processes)
        with loading(arena, *several, processes=processes) as ours, loading(arena, *one) as theirs:
            yield Sides(ours.run, theirs.run)


@contextmanager
def append_shared16(arena: Arena) -> Iterator[Sides]:
    """The same with 16 processes."""
    with append_shared4(arena, 16) as sides:
        yield sides


@contextmanager
def append64_stock(arena: Arena) -> Iterator[Sides]:
    """64 threads beside the library's own recorder, at its best of 1, 2 and 8 processes."""
    with arena.ledger() as name, arena.schema(), ExitStack() as stack:
        loads = [
            stack.enter_context(loading(arena, "stock append", processes=processes))
            for processes in STOCK_PROCESSES
        ]
        ours = stack.enter_context(loading(arena, "load append", arena.dsn, name, str(CALLERS)))
        yield Sides(ours.run, lambda: _best(loads))


@contextmanager
def append1_stock(arena: Arena) -> Iterator[Sides]:
    """One caller beside one process of the library's own recorder."""
    with (
        arena.ledger() as name,
        arena.schema(),
        loading(arena, "stock append") as theirs,
        loading(arena, "load append", arena.dsn, name, "1") as ours,
    ):
        yield Sides(ours.run, theirs.run)


@contextmanager
def bulk_import(arena: Arena) -> Iterator[Sides]:
    """Ready events through `append_many`, beside psql's COPY of the same rows into a like table."""
    events = list(ready_events(arena.sizes.events // 3))
    gc.freeze()  # They are the harness's, and would be gone through at each collection.
    with arena.schema() as schema, ExitStack() as kept:
        name = kept.enter_context(arena.ledger())
        with arena.open(name) as ledger:
            ledger.append_many(events)
        log = f"{schema_of(name)}.events"
        arena.psql(f"\\copy (SELECT * FROM {log}) TO '{arena.scratch}/events.copy'")

        def ours() -> Reading:
            with arena.opened() as ledger:
                return arena.once(lambda: ledger.append_many(events), len(events))

        def theirs() -> Reading:
            arena.execute(f"DROP TABLE IF EXISTS {schema}.events")
            arena.execute(f"CREATE TABLE {schema}.events (LIKE {log} INCLUDING ALL)")
            copy = f"\\copy {schema}.events FROM '{arena.scratch}/events.copy'"
            return arena.once(lambda: arena.psql(copy), len(events))

        yield Sides(ours, theirs)


@contextmanager
def _pgbench(arena: Arena, options: str = "") -> Iterator[Side]:
    with arena.schema() as schema:
        arena.execute(PGBENCH_TABLE.format(schema=schema))
        script = PGBENCH_SCRIPT.format(schema=schema)
        yield lambda: arena.pgbench(script, CALLERS, options)


@contextmanager
def with_shared_jobs(arena: Arena) -> Iterator[str]:
    """A fresh ledger with the jobs that all write to."""
    with arena.ledger() as name:
        with arena.open(name) as ledger:
            for number in range(SHARED_JOBS):
                job = f"projects/bench/jobs/shared-{number}"
                ledger.create(job, LABELS)
                ledger.started(job, WORKER)
        yield name


def _best(loads: list[Load]) -> Reading:
    return max((load.run() for load in loads), key=lambda reading: reading.value)
