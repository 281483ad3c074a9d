"""Migrated schemas that tests take turns with: each is emptied after a test, which is faster than a new one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import psycopg
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import connect, conninfo, schema_of
from jobledger.infra.postgres.placing import place
from jobledger.infra.upkeep.rebuild import rebuild_all
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from tests.checkout import TESTS
from tests.databases import is_on_citus

MAX_ROWS: Final = 1_000
"""When so many rows of a table were deleted, it gets a new file: nothing takes dead rows away from it."""
READ_CATALOG: Final = (TESTS / "read_catalog.sql").read_bytes()
READ_TABLES: Final = b"""
SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r' ORDER BY 1
"""
READ_ANALYZED: Final = b"""
SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND reltuples >= 0
"""
"""Tables whose size was noted, by VACUUM or ANALYZE: what the planner believes of them holds for no other test."""
RANDOM_VALUES: Final = """
UPDATE {schema}.secrets SET value = sha256(convert_to(gen_random_uuid()::text, 'UTF8'));
UPDATE {schema}.log SET origin = format('jobledger/%s/%s', {ledger},
    left(replace(gen_random_uuid()::text, '-', ''), 12))
"""
"""What no two ledgers have in common: keys of one log are not another's."""

_numbers = count(1)


@dataclass
class Schema:
    """One that was made for tests."""

    ledger: str
    insertions: dict[str, Composable]
    """For each of its tables the statement that inserts the rows that a new ledger has."""
    empty: bytes
    """The statements that make it what it was before the test, in one transaction."""
    catalog: str | None
    """What defines it; another value after a test that changed more than rows."""
    deleted: Counter[str] = field(default_factory=Counter)
    """How many rows of each table were deleted since it has its file."""


class Schemas:
    """The schemas of one database; one test has each at a time."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._free: list[Schema] = []
        self._kept: psycopg.Connection[Any] | None = None

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Keeps a connection meanwhile: a new one has to load the catalog, which takes longer than to empty a schema."""
        self._kept = self._connected()
        try:
            yield
        finally:
            self._kept.close()
            self._kept = None

    def _connected(self) -> psycopg.Connection[Any]:
        """A connection that plans each statement once, as all schemas are alike."""
        connection = psycopg.connect(self._dsn, autocommit=True)
        connection.execute("SET plan_cache_mode = force_generic_plan")
        return connection

    @contextmanager
    def taken(self) -> Iterator[str]:
        """The name of an empty ledger, for the length of a test."""
        schema = self._free.pop() if self._free else self._make()
        try:
            yield schema.ledger
        finally:
            # Citus can neither lock all tables at once nor delete past triggers.
            if not is_on_citus() and self._emptied(schema):
                self._free.append(schema)
            else:
                drop_ledger(self._dsn, schema.ledger)

    def _make(self) -> Schema:
        ledger = make_ledger(self._dsn)
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute("SET timezone = 'UTC'")
            _stop_autovacuum(connection, ledger)
            insertions = {
                table: _insertion(connection, Identifier(schema_of(ledger), table))
                for table in _tables(connection, ledger)
            }
            empty = _emptying(connection, ledger, insertions)
            return Schema(ledger, insertions, empty, _catalog(connection, ledger))

    def _emptied(self, schema: Schema) -> bool:
        """Empties it; False for one that is not as good as new afterwards."""
        if self._kept is not None:
            try:
                return _emptied(self._kept, schema)
            except psycopg.OperationalError:  # A test ended all sessions of the database.
                self._kept.close()
                self._kept = self._connected()
                return _emptied(self._kept, schema)
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            return _emptied(connection, schema)


def _emptied(connection: psycopg.Connection[Any], schema: Schema) -> bool:
    if _catalog(connection, schema.ledger) != schema.catalog:
        return False
    done = connection.execute(schema.empty).results()
    deletions = (each.rowcount for each in done if (each.statusmessage or "").startswith("DELETE"))
    schema.deleted.update(dict(zip(schema.insertions, deletions, strict=True)))
    analyzed = connection.execute(READ_ANALYZED, (schema_of(schema.ledger),)).fetchall()
    full = [table for table, rows in schema.deleted.items() if rows > MAX_ROWS]
    if full or analyzed:
        _truncate(connection, schema, {*full, *(table for (table,) in analyzed)})
    return True


def _truncate(connection: psycopg.Connection[Any], schema: Schema, tables: set[str]) -> None:
    """Gives tables new files, which changes the catalog and takes longer than to delete a few rows."""
    every = [Identifier(schema_of(schema.ledger), table) for table in tables]
    insertions = [schema.insertions[table] for table in tables]
    truncation = SQL("TRUNCATE {}").format(SQL(", ").join(every))
    connection.execute(_in_transaction([truncation, *insertions, _random_values(schema.ledger)]))
    for table in tables:
        del schema.deleted[table]
    schema.catalog = _catalog(connection, schema.ledger)


def make_ledger(dsn: str) -> str:
    """Makes a ledger that nobody had before; its name."""
    ledger = f"test_{os.getpid()}_{next(_numbers)}"
    with connect(conninfo(dsn, schema_of(ledger))) as connection:
        migrate.migrate(connection, ledger, rebuild_all)
        if is_on_citus():
            place(connection)
    return ledger


def _stop_autovacuum(connection: psycopg.Connection[Any], ledger: str) -> None:
    """Keeps autovacuum from noting that the emptied tables have no rows.

    Their pages stay, so the planner would expect no rows however many the next test inserts, and
    scan a whole table for each event that it folds.
    """
    change = SQL("ALTER TABLE {} SET (autovacuum_enabled = false)")
    for table in _tables(connection, ledger):
        connection.execute(change.format(Identifier(schema_of(ledger), table)))


def drop_ledger(dsn: str, ledger: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema_of(ledger)} CASCADE".encode())


def _catalog(connection: psycopg.Connection[Any], ledger: str) -> str | None:
    """What defines a schema; None if there is none of that name."""
    found = connection.execute("SELECT to_regnamespace(%s)", (schema_of(ledger),)).fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute(READ_CATALOG, {"schema": schema_of(ledger)}).fetchone()
    assert row is not None
    return str(row[0])


def _tables(connection: psycopg.Connection[Any], ledger: str) -> list[str]:
    return [name for (name,) in connection.execute(READ_TABLES, (schema_of(ledger),))]


def _emptying(
    connection: psycopg.Connection[Any], ledger: str, insertions: dict[str, Composable]
) -> bytes:
    """The statements that empty the tables, and insert the rows of a new ledger."""
    schema = schema_of(ledger)
    tables = [Identifier(schema, table) for table in insertions]
    statements = [
        # Waits for whatever a process that was killed had begun to write.
        SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(SQL(", ").join(tables)),
        *(SQL("DELETE FROM {}").format(table) for table in tables),
        *insertions.values(),
        _random_values(ledger),
    ]
    return _in_transaction(statements).as_bytes(connection)


def _random_values(ledger: str) -> Composable:
    return SQL(RANDOM_VALUES).format(schema=Identifier(schema_of(ledger)), ledger=Literal(ledger))


def _in_transaction(statements: Iterable[Composable]) -> Composed:
    """The statements as one transaction, past all triggers."""
    past_triggers = SQL("SET LOCAL session_replication_role = replica")
    return SQL("; ").join([SQL("BEGIN"), past_triggers, *statements, SQL("COMMIT")])


def _insertion(connection: psycopg.Connection[Any], table: Identifier) -> Composable:
    """The statement that inserts the rows that a table has now."""
    read = SQL("SELECT coalesce(json_agg(t), '[]')::text FROM {} AS t").format(table)
    row = connection.execute(read).fetchone()
    assert row is not None
    insert = SQL("INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, {1})")
    return insert.format(table, Literal(row[0])) if row[0] != "[]" else SQL("SELECT 1")
