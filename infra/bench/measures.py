"""What writing, reading and rebuilding are measured by."""

import gc
import time
from collections.abc import Callable
from itertools import islice
from typing import Final

from jobledger.infra.bench.arena import SLOW_DISK, Arena, Pair
from jobledger.infra.bench.load import ready_events
from jobledger.infra.postgres.connections import schema_of
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.projections.catalogue import PROJECTIONS

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
JOBS: Final = 66_667
"""Jobs of three events: 200,000 events."""


def append64(arena: Arena, options: str = "") -> Pair:
    """64 callers in threads of one process, one event a call, beside 64 pgbench clients."""
    with arena.ledger() as ledger, arena.schema() as schema:
        arena.execute(PGBENCH_TABLE.format(schema=schema))
        theirs = arena.pgbench(PGBENCH_SCRIPT.format(schema=schema), 64, options)
        return _append(arena, ledger, 64, options), theirs


def append_async64(arena: Arena) -> Pair:
    """64 tasks of one asyncio loop, one event a call, beside 64 pgbench clients."""
    with arena.ledger() as ledger, arena.schema() as schema:
        arena.execute(PGBENCH_TABLE.format(schema=schema))
        theirs = arena.pgbench(PGBENCH_SCRIPT.format(schema=schema), 64)
        ours = arena.load("append_async", arena.dsn, ledger, "64", str(arena.seconds))
    return ours, theirs


def append64_slow_disk(arena: Arena) -> Pair:
    """The same on a disk whose flush takes 1 ms."""
    return append64(arena, SLOW_DISK)


def append64_stock(arena: Arena) -> Pair:
    """The same beside the library's own recorder, at its best of 1, 2 and 8 processes."""
    with arena.ledger() as ledger, arena.schema():
        theirs = max(
            arena.load("stock", str(arena.seconds), processes=processes) for processes in (1, 2, 8)
        )
        return _append(arena, ledger, 64), theirs


def append1_stock(arena: Arena) -> Pair:
    """One caller beside one process of the library's own recorder."""
    with arena.ledger() as ledger, arena.schema():
        theirs = arena.load("stock", str(arena.seconds))
        return _append(arena, ledger, 1), theirs


def _append(arena: Arena, ledger: str, threads: int, options: str = "") -> float:
    return arena.load(
        "append", arena.with_options(options), ledger, str(threads), str(arena.seconds)
    )


def bulk_import(arena: Arena) -> Pair:
    """Ready events through `append_many`, beside psql's COPY of the same rows into a like table."""
    events = list(ready_events(JOBS // 2))
    gc.freeze()  # They are the harness's, and would be counted through again and again.
    with arena.ledger() as name, arena.schema() as schema:
        with arena.open(name) as ledger:
            begin = time.monotonic()
            ledger.append_many(events)
            ours = time.monotonic() - begin
        log = f"{schema_of(name)}.events"
        arena.execute(f"CREATE TABLE {schema}.events (LIKE {log} INCLUDING ALL)")
        arena.psql(f"\\copy {log} TO '{arena.scratch}/events.copy'")
        begin = time.monotonic()
        arena.psql(f"\\copy {schema}.events FROM '{arena.scratch}/events.copy'")
        theirs = time.monotonic() - begin
    return len(events) / ours, len(events) / theirs


def rebuild_jobs(arena: Arena) -> Pair:
    """The rebuild of `jobs` over 200,000 events, beside the library's ProjectionRunner catching up."""
    with arena.ledger() as name, arena.schema():
        arena.load("stock_history", "10000")
        theirs = arena.load("stock_projection", str(min(arena.seconds, 3)))
        with arena.open(name) as ledger, ledger.connection() as connection:
            ledger.append_many(ready_events(JOBS))
            # What is done behind appends has its own rows, and the peer has nothing beside it.
            ledger.follow(ledger.size())
            ledger.seal()
            begin = time.monotonic()
            events = rebuild(connection, PROJECTIONS[0])
            return events / (time.monotonic() - begin), theirs


def get(arena: Arena) -> Pair:
    """`get` of one job, beside psycopg's select of the same row."""
    with arena.ledger() as name, arena.open(name) as ledger, ledger.connection() as connection:
        ledger.append_many(ready_events(1_000))
        job = "projects/bench/jobs/ready_00000500"
        statement = "SELECT * FROM jobs WHERE name = %s"
        return (
            _per_second(lambda: ledger.get(job), arena.seconds),
            _per_second(
                lambda: connection.execute(statement, (job,), prepare=True).fetchone(),
                arena.seconds,
            ),
        )


def feed(arena: Arena) -> Pair:
    """Events read from Python's live feed, beside COPY of the same rows to psql."""
    with arena.ledger() as name, arena.open(name) as ledger:
        ledger.append_many(ready_events(JOBS))
        size = ledger.size()
        arena.execute(f"VACUUM (ANALYZE) {schema_of(name)}.events")
        begin = time.monotonic()
        for _ in islice(ledger.events(), size):
            pass
        ours = time.monotonic() - begin
        begin = time.monotonic()
        arena.psql(f"\\copy {schema_of(name)}.events TO '/dev/null'")
        return size / ours, size / (time.monotonic() - begin)


def bytes_per_event(arena: Arena) -> Pair:
    """On disk with indexes and projections, beside the same events in the library's own table."""
    with arena.ledger() as name, arena.schema() as schema:
        with arena.open(name) as ledger:
            ledger.append_many(ready_events(JOBS))
            size = ledger.size()
        ours = _size(arena, schema_of(name))
        arena.execute(STOCK_TABLE.format(schema=schema))
        arena.execute(STOCK_ROWS.format(schema=schema, ledger=schema_of(name)))
        return ours / size, _size(arena, schema) / size


STOCK_TABLE: Final = """
CREATE TABLE {schema}.stored_events (originator_id text NOT NULL, originator_version bigint NOT NULL,
    topic text, state bytea, notification_id bigserial, PRIMARY KEY (originator_id, originator_version));
CREATE UNIQUE INDEX ON {schema}.stored_events (notification_id ASC)
"""
STOCK_ROWS: Final = """
INSERT INTO {schema}.stored_events (originator_id, originator_version, topic, state)
SELECT name, version, type, convert_to(json_build_object('occurredTime', occurred_time, 'recordedTime', recorded_time,
    'data', convert_from(data, 'UTF8')::json)::text, 'UTF8')
FROM {ledger}.events ORDER BY position
"""


def _size(arena: Arena, schema: str) -> float:
    rows = arena.execute(
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
        f" WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'"
    )
    return float(rows[0][0])


def _per_second(call: Callable[[], object], seconds: float) -> float:
    for _ in range(200):
        call()
    count, begin = 0, time.perf_counter()
    while (taken := time.perf_counter() - begin) < seconds:
        for _ in range(100):
            call()
        count += 100
    return count / taken
