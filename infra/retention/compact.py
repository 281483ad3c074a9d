"""Returns the disk space of deleted rows to the system, while the ledger is read and written.

Events move from the end of their table to free pages, VACUUM cuts the end off, and the indexes are
rebuilt while the old ones are used. Rows that are derived from events are rebuilt by `rebuild`.
"""

import time
from typing import Final, NamedTuple

from jobledger.infra.errors import LedgerBusyError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.retention.moving import move_rows, move_values
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.rebuild_lock import only_rebuild, readers_of
from jobledger.projections.catalogue import PROJECTIONS
from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL, Identifier

TABLES: Final = (
    "events",
    *(table for projection in PROJECTIONS for table in projection.tables),
)
"""The tables that pruning deletes rows from."""
READ_TABLE_BYTES: Final = sql.load(__package__, "read_table_bytes")
READ_SNAPSHOTS: Final = sql.load(__package__, "read_snapshots")
READ_INDEXES: Final = sql.load(__package__, "read_indexes")
READ_INVALID_INDEXES: Final = sql.load(__package__, "read_invalid_indexes")
VACUUM: Final = b"VACUUM (ANALYZE, INDEX_CLEANUP ON, TRUNCATE ON) events"
COMPACT_TIMEOUT_SECONDS: Final = 600.0
PAUSE_SECONDS: Final = 0.5
MAX_ROUNDS: Final = 3
"""How often rows are moved, as writers may fill pages at the end in the meantime."""


class Compaction(NamedTuple):
    """The disk that the tables took.

    Attributes:
        before: Bytes before.
        after: Bytes after.
    """

    before: int
    after: int


def compact(connection: Connection, timeout: float = COMPACT_TIMEOUT_SECONDS) -> Compaction:
    """Returns the disk space of pruned rows, in short transactions; no writer waits longer than a second.

    Args:
        connection: A connection to the ledger's schema, in autocommit mode, of the tables' owner.
        timeout: How long to wait for those who still see deleted rows, in seconds, and then for
            those who use a table that is replaced.

    Returns:
        The bytes of the tables before and after.

    Raises:
        LedgerBusyError: The ledger is being rebuilt or compacted by another session, a table was in
            use all the time, or deleted events may still be seen. The error names the sessions.
    """
    with translated():
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
    with only_rebuild(connection, schema):
        before = _bytes(connection)
        held_by = _shrink_events(connection, time.monotonic() + timeout)
        if not held_by:
            _rebuild_indexes(connection, schema, timeout)
        for projection in PROJECTIONS:
            rebuild(connection, projection, swap_timeout=timeout)
        if held_by:
            why = "the disk of events that a session may still see cannot be given back yet"
            raise LedgerBusyError("compacting", why, held_by)
        return Compaction(before, _bytes(connection))


def _shrink_events(connection: Connection, deadline: float) -> str:
    """Moves events to free pages and truncates the rest; returns the sessions that still see deleted ones."""
    held_by = _vacuum(connection, deadline)
    for number in range(MAX_ROUNDS):
        if held_by:
            break
        moved = move_rows(connection) + (0 if number else move_values(connection))
        # Rows that had no room before them were written behind the others, which was undone.
        held_by = _vacuum(connection, deadline)
        if not moved:
            break
    return held_by


def _vacuum(connection: Connection, deadline: float) -> str:
    """Frees the space of deleted rows once no session sees them; returns the sessions that do at the deadline."""
    with translated():
        row = connection.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
    assert row is not None
    while (held_by := _holders(connection, row[0])) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    with translated():
        connection.execute(VACUUM)
    return held_by


def _holders(connection: Connection, deleted: str) -> str:
    with translated():
        found = connection.execute(READ_SNAPSHOTS, {"deleted": deleted}).fetchall()
    return ", ".join(holder for (holder,) in found)


def _rebuild_indexes(connection: Connection, schema: str, timeout: float) -> None:
    """Rebuilds the indexes of events, while the old ones are used."""
    with translated():
        connection.execute(f"SET lock_timeout = {max(1, round(timeout * 1_000))}")
        try:
            _drop_invalid(connection)
            for (name,) in connection.execute(READ_INDEXES).fetchall():
                index = Identifier(schema, name)
                connection.execute(SQL("REINDEX INDEX CONCURRENTLY {}").format(index))
        except LockNotAvailable:
            why = "a session used the table of events all the time"
            raise LedgerBusyError("compacting", why, readers_of(connection, schema)) from None
        finally:
            if not connection.closed:
                _drop_invalid(connection)
                connection.execute("RESET lock_timeout")


def _drop_invalid(connection: Connection) -> None:
    """Drops what a rebuild of an index that failed left behind, which writers would keep up to date."""
    for (name,) in connection.execute(READ_INVALID_INDEXES).fetchall():
        connection.execute(SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(Identifier(name)))


def _bytes(connection: Connection) -> int:
    with translated():
        row = connection.execute(READ_TABLE_BYTES, (list(TABLES),)).fetchone()
    assert row is not None
    return int(row[0])
