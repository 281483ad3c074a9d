"""Allows one rebuild of a ledger at a time, by a session lock; names the sessions that it waits for."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from jobledger.infra.errors import LedgerBusyError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.projections.catalogue import PROJECTIONS
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Identifier

TRY_REBUILD_LOCK: Final = sql.load(__package__, "try_rebuild_lock")
END_REBUILD_LOCK: Final = sql.load(__package__, "end_rebuild_lock")
READ_REBUILDER: Final = sql.load(__package__, "read_rebuilder")
READ_LOCK_HOLDERS: Final = sql.load(__package__, "read_lock_holders")
READ_ROW_TABLES: Final = sql.load(__package__, "read_row_tables")
REBUILD: Final = 0x72656275
"""The first key of the lock ("rebu"); the second is the schema's number."""


@contextmanager
def only_rebuild(connection: Connection, schema: str) -> Iterator[str]:
    """Prevents other rebuilds of the ledger during the block.

    Args:
        connection: A connection to the ledger's schema.
        schema: The ledger's schema.

    Yields:
        The schema for the new rows, named by the ledger's number.

    Raises:
        LedgerBusyError: The ledger is being rebuilt by another session, which the error names.
    """
    with translated():
        oid, taken = connection.execute(TRY_REBUILD_LOCK, (REBUILD, schema)).fetchone() or (
            0,
            False,
        )
        if not taken:
            holder = connection.execute(READ_REBUILDER, (REBUILD, oid)).fetchone()
            who = "a session that has just ended" if holder is None else str(holder[0])
            raise LedgerBusyError("rebuild", "this ledger is being rebuilt already", who)
    try:
        yield f"rebuild_{oid}"
    finally:
        # The lock ends with the session.
        if can_execute(connection):
            with translated():
                connection.execute(END_REBUILD_LOCK, (REBUILD, oid))


def can_execute(connection: Connection) -> bool:
    """Whether the connection is open, and in no transaction that failed."""
    failed = TransactionStatus.UNKNOWN, TransactionStatus.INERROR
    return connection.info.transaction_status not in failed


def row_tables(connection: Connection) -> list[str]:
    """Returns the tables of projections that the ledger has; an older ledger may lack some."""
    known = [table for projection in PROJECTIONS for table in projection.tables]
    with translated():
        return [name for (name,) in connection.execute(READ_ROW_TABLES, (known,))]


def lock_rows(connection: Connection, tables: Iterable[str]) -> None:
    """Prevents a rebuild from replacing these tables until the transaction ends. It must be the first statement.

    A transaction with a snapshot would see a table that was replaced after it as empty.
    """
    for table in tables:
        statement = SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(Identifier(table))
        connection.execute(statement)


def readers_of(connection: Connection, schema: str) -> str:
    """Returns the sessions that hold locks on the ledger's tables, in words; "" if there are none."""
    return ", ".join(row[0] for row in connection.execute(READ_LOCK_HOLDERS, (schema,)))
