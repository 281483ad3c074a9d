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
"""How long one attempt waits for a table; whoever uses the table waits behind it."""
COMPACT_TIMEOUT_SECONDS: Final = 600.0
PAUSE_SECONDS: Final = 2.0


class Compaction(NamedTuple):
    """How many bytes the tables took before and after."""

    before: int
    after: int


def compact(
    connection: Connection, tables: Sequence[str], timeout: float = COMPACT_TIMEOUT_SECONDS
) -> Compaction:
    """Rewrites the tables without the rows that were deleted; nobody reads or writes one meanwhile.

    It needs room for a copy of the largest table. A table that somebody reads for long is tried
    again, for `timeout` seconds at most; then LedgerBusyError names who holds it. Raises
    LedgerBusyError, too, while the ledger is being rebuilt. Rows that a transaction of before still
    sees are kept, and go the next time.
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
