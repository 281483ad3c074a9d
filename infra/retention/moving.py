"""Moves events from the end of their table to free pages at its beginning, in short transactions.

An event is rewritten unchanged, which its trigger allows. Readers and writers go on meanwhile. A
plain VACUUM cuts the emptied pages off afterwards.
"""

from typing import Final

from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated

MOVE_ROWS: Final = sql.load(__package__, "move_rows")
MOVE_VALUES: Final = sql.load(__package__, "move_values")
READ_VALUES: Final = sql.load(__package__, "read_values")
READ_PAGES: Final = sql.load(__package__, "read_pages")
STEP_PAGES: Final = 64
"""Pages emptied in one transaction."""
STEP_VALUES: Final = 20
"""Long values moved in one transaction."""
LONG_BYTES: Final = 1_900
"""Data of as many bytes may be in the TOAST table."""
OVERHEAD: Final = 1.1
"""The bytes of the TOAST table that a byte of a value takes, at most."""
WORTH: Final = 0.2
"""The part of the TOAST table that must be free, for values to be moved."""
MIN_FREE_BYTES: Final = 512 * 1024
"""The bytes of the TOAST table that must be free: in a small table, values may need more pages after they are moved."""


def move_rows(connection: Connection) -> int:
    """Empties the last pages of `events`, until there is no room before them.

    Args:
        connection: A connection to the ledger's schema, in autocommit mode, of the tables' owner.

    Returns:
        How many events were moved.
    """
    moved, end = 0, _pages(connection)
    while end > 0:
        first = max(0, end - STEP_PAGES)
        count = _empty(connection, first, end)
        if count is None:
            break
        moved, end = moved + count, first
    return moved


def move_values(connection: Connection) -> int:
    """Moves long data of events, the newest first, as far as it fits into free space.

    Args:
        connection: A connection to the ledger's schema, in autocommit mode, of the tables' owner.

    Returns:
        How many bytes were moved.
    """
    with translated():
        row = connection.execute(READ_VALUES, {"length": LONG_BYTES}).fetchone()
    assert row is not None
    size, used = row
    free = size - used * OVERHEAD
    if free < max(size * WORTH, MIN_FREE_BYTES):
        return 0
    moved, before = 0, None
    while moved * OVERHEAD < free:
        step = {"before": before or 2**62, "length": LONG_BYTES, "limit": STEP_VALUES}
        with translated():
            found = connection.execute(MOVE_VALUES, step).fetchall()
        if not found:
            break
        moved += sum(length for _, length in found)
        before = min(position for position, _ in found)
    return moved


def _empty(connection: Connection, first: int, end: int) -> int | None:
    """Moves all events of the pages from `first` to before `end`; None if there is no room before them."""
    try:
        with translated(), connection.transaction():
            return _turns(connection, first, end)
    except _NoRoomError:
        return None


def _turns(connection: Connection, first: int, end: int) -> int:
    """Writes the events of these pages until none is left: a row stays on its page while that has room."""
    moved, left = 0, 1
    while left:
        row = connection.execute(MOVE_ROWS, {"first": first, "end": end}).fetchone()
        assert row is not None
        count, before, behind = row
        if behind:
            raise _NoRoomError
        moved, left = moved + before, count - before
    return moved


class _NoRoomError(Exception):
    """Rows went behind the pages that they were in."""


def _pages(connection: Connection) -> int:
    with translated():
        row = connection.execute(READ_PAGES).fetchone()
    assert row is not None
    return int(row[0])
