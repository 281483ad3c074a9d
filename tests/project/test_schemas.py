"""Schemas shared by tests: an emptied one equals a new one, and a changed one is not reused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.postgres.connections import schema_of
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.settings import Settings
from jobledger.infra.transfer.traces.simulation import simulate
from psycopg.sql import SQL, Identifier

from tests.ledgers import odd_jobs
from tests.schemas import MAX_ROWS, READ_TABLES, Schemas, drop_ledger, make_ledger

RANDOM = {"secrets": "value", "log": "origin", "migrations": "applied_time"}
"""Columns whose values differ from ledger to ledger."""


@pytest.fixture
def schemas(dsn: str) -> Iterator[Schemas]:
    made = Schemas(dsn)
    yield made
    for schema in made._free:
        drop_ledger(dsn, schema.ledger)


def rows(dsn: str, ledger: str) -> dict[str, list[Any]]:
    """All rows of a ledger, without what is random."""
    found = {}
    with psycopg.connect(dsn) as connection:
        for (table,) in connection.execute(READ_TABLES, (schema_of(ledger),)).fetchall():
            read = SQL("SELECT to_jsonb(t) FROM {} AS t").format(
                Identifier(schema_of(ledger), table)
            )
            held = [row for (row,) in connection.execute(read).fetchall()]
            for row in held:
                row.pop(RANDOM.get(table), None)
            found[table] = sorted(held, key=str)
    return found


def random_values(dsn: str, ledger: str) -> tuple[Any, ...]:
    with psycopg.connect(dsn) as connection:
        connection.execute(f"SET search_path = {schema_of(ledger)}".encode())
        row = connection.execute("SELECT origin, value FROM log, secrets").fetchone()
    assert row is not None
    return row


def fill(dsn: str, name: str, home: Path) -> None:
    """Writes to as many tables as a ledger's own ways do."""
    with Ledger.open(dsn, name) as ledger, ledger.connection() as connection:
        name_log(connection, Settings(home=home))
        ledger.append_many(simulate(20, 7, "p"))
        ledger.append_many(odd_jobs())
        ledger.count(as_of="2026-01-05")
        ledger.seal()


@pytest.mark.slow
def test_an_emptied_ledger_is_as_a_new_one_with_another_log(
    dsn: str, schemas: Schemas, tmp_path: Path
) -> None:
    with schemas.taken() as name:
        before = rows(dsn, name)
        named = random_values(dsn, name)
        fill(dsn, name, tmp_path)
        filled = rows(dsn, name)
    assert sum(filled[table] != held for table, held in before.items()) >= 6
    with schemas.taken() as again:
        assert again == name
        assert rows(dsn, again) == before
        assert all(a != b for a, b in zip(random_values(dsn, again), named, strict=True))
        new = make_ledger(dsn)
        try:
            assert rows(dsn, new) == before
        finally:
            drop_ledger(dsn, new)


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE jobs ADD COLUMN more text",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "ALTER TABLE jobs ALTER COLUMN labels SET DEFAULT '{}'",
        "CREATE INDEX ON events (data)",
        "ALTER VIEW job_intervals RENAME TO another",
        "ALTER FUNCTION lock_head RESET ALL",
        "GRANT SELECT ON events TO PUBLIC",
        "GRANT USAGE ON SCHEMA {schema} TO PUBLIC",
        "CREATE TABLE more ()",
        "DROP SCHEMA {schema} CASCADE",
    ],
)
def test_a_schema_that_was_changed_is_not_used_again(
    dsn: str, schemas: Schemas, statement: str
) -> None:
    with schemas.taken() as name, psycopg.connect(dsn) as connection:
        connection.execute(f"SET search_path = {schema_of(name)}".encode())
        connection.execute(statement.replace("{schema}", schema_of(name)).encode())
    assert schemas._free == []
    with schemas.taken() as other:
        assert other != name


@pytest.mark.slow
def test_a_schema_whose_tables_got_new_files_is_used_again(dsn: str, schemas: Schemas) -> None:
    """Because one was analyzed, or because many rows were deleted, also of those that a new ledger has."""
    with schemas.taken() as name, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"VACUUM ANALYZE {schema_of(name)}.events".encode())
    for _ in range(MAX_ROWS // 20):
        with schemas.taken() as again:
            assert again == name
