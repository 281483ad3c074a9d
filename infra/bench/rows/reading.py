"""Rows of reading, rebuilding and verifying, and of the disk space of events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.loads import loading
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.bench.peers.load import ready_events
from jobledger.infra.ledger import Ledger
from jobledger.infra.postgres.connections import Connection, schema_of
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.swap import fold
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import PROJECTIONS

JOB: Final = "projects/bench/jobs/ready_00000050"
FEW_JOBS: Final = 1_000
STOCK_JOBS_PER_SECOND: Final = 2_000
"""More than the library's projection can catch up with in one turn."""
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


def written(arena: Arena) -> Ledger:
    """A ledger with the workload's events, made once a run; nothing works in its background."""
    if "written" not in arena.kept:
        ledger = arena.stay(arena.open(arena.stay(arena.ledger()), catch_up=False))
        ledger.append_many(ready_events(arena.sizes.events // 3))
        ledger.follow(ledger.size())
        ledger.checkpoint()
        for table in ("events", "jobs", "intervals"):
            arena.execute(f"VACUUM (ANALYZE) {schema_of(ledger.name)}.{table}")
        arena.kept["written"] = ledger
    made: Ledger = arena.kept["written"]
    return made


@contextmanager
def rebuild_jobs(arena: Arena) -> Iterator[Sides]:
    """The rebuild of `jobs`, beside the library's ProjectionRunner catching up."""
    ledger = written(arena)
    jobs = round(STOCK_JOBS_PER_SECOND * arena.seconds)
    with (
        arena.schema(),
        ledger.connection() as connection,
        loading(arena, "stock projection", str(jobs)) as theirs,
    ):
        yield Sides(lambda: _rebuilt(arena, connection, ledger), theirs.run)


@contextmanager
def rebuild_fold(arena: Arena) -> Iterator[Sides]:
    """The rebuild of `jobs`, beside the same statements that fold, into an empty temporary table."""
    ledger = written(arena)
    with ledger.connection() as connection, ledger.connection() as other:
        yield Sides(
            lambda: _rebuilt(arena, connection, ledger), lambda: _folded(arena, other, ledger)
        )


@contextmanager
def verify_rows(arena: Arena) -> Iterator[Sides]:
    """`verify`, whose meaning is the fold in Python, beside a rebuild of `jobs`."""
    ledger = written(arena)

    def ours() -> Reading:
        with ledger.connection() as connection, ledger.connection() as second:
            return arena.once(lambda: verify(connection, second=second), ledger.size())

    with ledger.connection() as connection:
        yield Sides(ours, lambda: _rebuilt(arena, connection, ledger))


def _rebuilt(arena: Arena, connection: Connection, ledger: Ledger) -> Reading:
    with ledger.connection() as second:
        return arena.once(lambda: rebuild(connection, PROJECTIONS[0], second=second), ledger.size())


def _folded(arena: Arena, connection: Connection, ledger: Ledger) -> Reading:
    """Folds all events in one transaction that is rolled back."""
    size = ledger.size()
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE SCHEMA bench_fold")
        connection.execute(f"SET LOCAL search_path = bench_fold, {schema_of(ledger.name)}")
        connection.execute("SET LOCAL work_mem = '256MB'")
        connection.execute(PROJECTIONS[0].schema)
        return arena.once(lambda: fold(connection, PROJECTIONS[0], 0, size, lambda *_: None), size)


@contextmanager
def get(arena: Arena) -> Iterator[Sides]:
    """`get` of one job, beside psycopg's select of the same row."""
    statement = "SELECT * FROM jobs WHERE name = %s"
    with arena.opened() as ledger, ledger.connection() as connection:
        ledger.append_many(ready_events(FEW_JOBS))
        ledger.follow(ledger.size())
        yield Sides(
            lambda: arena.repeated(lambda: ledger.get(JOB)),
            lambda: arena.repeated(
                lambda: connection.execute(statement, (JOB,), prepare=True).fetchone()
            ),
        )


@contextmanager
def feed(arena: Arena) -> Iterator[Sides]:
    """Events read from Python's live feed, beside COPY of the same rows to psql."""
    ledger = written(arena)
    size = ledger.size()
    copy = f"\\copy (SELECT * FROM {schema_of(ledger.name)}.events) TO '/dev/null'"

    def read() -> None:
        for _ in islice(ledger.events(), size):
            pass

    yield Sides(lambda: arena.once(read, size), lambda: arena.once(lambda: arena.psql(copy), size))


@contextmanager
def bytes_per_event(arena: Arena) -> Iterator[Sides]:
    """On disk with indexes, projections and proof, beside the same events in the library's own table."""
    with arena.schema() as schema, arena.opened() as ledger:
        ledger.append_many(ready_events(arena.sizes.events // 3))
        ledger.follow(ledger.size())
        ledger.checkpoint()
        arena.execute(STOCK_TABLE.format(schema=schema))
        arena.execute(STOCK_ROWS.format(schema=schema, ledger=schema_of(ledger.name)))
        ours, size = schema_of(ledger.name), ledger.size()
        yield Sides(
            lambda: Reading(_bytes(arena, ours) / size),
            lambda: Reading(_bytes(arena, schema) / size),
        )


def _bytes(arena: Arena, schema: str) -> float:
    rows = arena.execute(
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
        f" WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'"
    )
    return float(rows[0][0])
