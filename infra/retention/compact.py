"""Gives the disk of deleted rows back to the system, by rewriting the tables they were in."""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from jobledger.infra.errors import LedgerBusyError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.upkeep.rebuild_lock import only_rebuild, readers_of
from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL, Identifier

READ_TABLE_BYTES: Final = sql.load(__package__, "read_table_bytes")
LOCK_TIMEOUT_MILLISECONDS: Final = 250
"""How long one attempt waits for a table; other users of the table wait behind it."""
COMPACT_TIMEOUT_SECONDS: Final = 600.0
PAUSE_SECONDS: Final = 2.0


class Compaction(NamedTuple):
    """How many bytes the tables took before and after."""

    before: int
    after: int


def compact(
    connection: Connection, tables: Sequence[str], timeout: float = COMPACT_TIMEOUT_SECONDS
) -> Compaction:
    """Rewrites tables without the rows that were deleted; a table is not readable meanwhile.

    It needs room for a copy of the largest table. A table that is in use is tried again. Rows that an
    earlier transaction still sees are kept until the next time.

    Args:
        connection: A connection to the ledger's schema.
        tables: The tables.
        timeout: How long to try each table, in seconds.

    Returns:
        The bytes of the tables before and after.

    Raises:
        LedgerBusyError: A table was in use all the time, by the session that the error names, or the
            ledger is being rebuilt.
    """
    with translated():
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
    with only_rebuild(connection, schema):
        before = _bytes(connection, tables)
        with translated():
            connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}")
        try:
            with translated():
                for table in tables:
                    _rewrite(connection, table, schema, time.monotonic() + timeout)
        finally:
            if not connection.closed:
                connection.execute("RESET lock_timeout")
        return Compaction(before, _bytes(connection, tables))


def _rewrite(connection: Connection, table: str, schema: str, deadline: float) -> None:
    statement = SQL("VACUUM (FULL, ANALYZE) {}").format(Identifier(table))
    while True:
        try:
            connection.execute(statement)
        except LockNotAvailable:
            if time.monotonic() > deadline:
                why = f"the table {table} is used all the time"
                raise LedgerBusyError("compacting", why, readers_of(connection, schema)) from None
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _bytes(connection: Connection, tables: Sequence[str]) -> int:
    with translated():
        row = connection.execute(READ_TABLE_BYTES, (list(tables),)).fetchone()
    assert row is not None
    return int(row[0])
