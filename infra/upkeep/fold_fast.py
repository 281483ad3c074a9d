"""Folds all events into new tables as fast as the server can: on two sessions, and indexes last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

import psycopg
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from psycopg.sql import SQL, Identifier, Literal

READ_SECONDARY_INDEXES: Final = sql.load(__package__, "read_secondary_indexes")
HALVES: Final = (0, 1)
WORK_MEMORY: Final = "256MB"
"""The memory for sorting a whole chunk."""
CANCEL_SECONDS: Final = 5.0

Fold = Callable[[Connection], int]


def look_in(connection: Connection, *schemas: str) -> None:
    """Sets the search_path: unqualified names are looked up in these schemas, in this order."""
    path = SQL(", ").join(Literal(schema) for schema in schemas)
    connection.execute(SQL("SET search_path = {}").format(path))


def make_schema(connection: Connection, schema: str) -> None:
    """Creates an empty schema; drops one that a killed rebuild left, and those of its halves."""
    drop_schema(connection, schema)
    connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))


def drop_schema(connection: Connection, schema: str) -> None:
    """Drops a schema, and those of its halves."""
    for name in (schema, *(_half(schema, n) for n in HALVES)):
        connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))


@contextmanager
def indexes_last(connection: Connection, schema: str) -> Iterator[None]:
    """A block that fills a schema's tables; their indexes, except those of keys, are created after it."""
    with translated():
        made = connection.execute(READ_SECONDARY_INDEXES, {"schema": schema}).fetchall()
        for name, _ in made:
            connection.execute(SQL("DROP INDEX {}").format(Identifier(schema, name)))
    yield
    with translated():
        for _, statement in made:
            connection.execute(statement.encode())


def fold_in_halves(connections: Sequence[Connection], schema: str, live: str, fold: Fold) -> None:
    """Folds each half of the jobs on a separate session, into the same tables.

    Rows of different jobs do not depend on each other, so each session reads the events through
    a view of its half.

    Args:
        connections: Two connections to the ledger's schema that are in no transaction.
        schema: The schema of the new tables.
        live: The ledger's schema.
        fold: Folds the events that a connection sees.
    """
    first, second = connections
    with ThreadPoolExecutor(1) as threads:
        try:
            for half, connection in zip(HALVES, connections, strict=True):
                _look_at_half(connection, schema, live, half)
            other = threads.submit(fold, second)
            fold(first)
            other.result()
        except BaseException:
            with suppress(psycopg.Error):
                second.cancel_safe(timeout=CANCEL_SECONDS)
            raise
        finally:
            threads.shutdown()
            _look_at_all(first, schema, live)
            _look_at_all(second, live)


def _look_at_half(connection: Connection, schema: str, live: str, half: int) -> None:
    name = _half(schema, half)
    view = SQL(
        "CREATE VIEW {}.events AS SELECT * FROM {}.events WHERE hashtext(name) & 1 = {}"
    ).format(Identifier(name), Identifier(live), Literal(half))
    with translated():
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        connection.execute(view)
        look_in(connection, name, schema, live)
        connection.execute(f"SET work_mem = '{WORK_MEMORY}'")


def _look_at_all(connection: Connection, *schemas: str) -> None:
    if not connection.closed:
        with translated():
            look_in(connection, *schemas)
            connection.execute("RESET work_mem")


def _half(schema: str, half: int) -> str:
    return f"{schema}_{half}"
