"""Rebuilds projections in a separate schema, and swaps them in while writers continue."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from jobledger.infra.errors import LedgerBusyError
from jobledger.infra.eventstore.commit.appender import LOCK_HEAD
from jobledger.infra.eventstore.feed import READ_SIZE
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.postgres.schema_versions import is_placed
from jobledger.infra.upkeep.fold_fast import (
    WORK_MEMORY,
    drop_schema,
    fold_in_halves,
    indexes_last,
    look_in,
    make_schema,
)
from jobledger.infra.upkeep.rebuild_lock import can_execute, only_rebuild, readers_of
from jobledger.projections.catalogue import Projection
from psycopg import Rollback
from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL, Identifier

CHUNK: Final = 100_000
"""How many positions are folded in one statement."""
LOCK_TIMEOUT_MILLISECONDS: Final = 250
"""How long one attempt to swap the tables waits for a lock; writers wait behind it."""
MAX_LOCKED_EVENTS: Final = 2_000
"""The most events that are folded while writers wait; if more are left, they are folded before."""
FIRST_PAUSE_SECONDS: Final = 0.25
MAX_PAUSE_SECONDS: Final = 5.0
SWAP_TIMEOUT_SECONDS: Final = 3_600.0
"""How long to wait for long transactions that read the live rows."""
MAX_FOLDS: Final = 5
"""How often all events are folded, as jobs may be pruned in the meantime, of which the new rows would not know."""

REFOLD: Final = "SELECT refold(%s, %s)"
READ_OWNER: Final = sql.load(__package__, "read_owner")
READ_PRUNINGS: Final = sql.load(__package__, "read_prunings")
READ_RIGHTS: Final = sql.load(__package__, "read_rights")
WRITE_FOLLOWED: Final = sql.load(__package__, "write_followed")

Progress = Callable[[int, int], object]


def rebuild(
    connection: Connection,
    projection: Projection,
    progress: Progress = lambda done, size: None,
    *,
    swap_timeout: float = SWAP_TIMEOUT_SECONDS,
    second: Connection | None = None,
) -> int:
    """Does the same as `rebuild_all` for one projection."""
    return rebuild_all(connection, [projection], progress, swap_timeout=swap_timeout, second=second)


def rebuild_all(
    connection: Connection,
    projections: Sequence[Projection],
    progress: Progress = lambda done, size: None,
    *,
    swap_timeout: float = SWAP_TIMEOUT_SECONDS,
    second: Connection | None = None,
) -> int:
    """Folds all events into new rows, and replaces the live rows of all projections at once.

    Writers wait only while the last few events are folded and the tables change places. If a long
    transaction reads the live rows, the swap is tried again. On a node of a Citus cluster, writers
    wait for all of it.

    Args:
        connection: A connection to the ledger's schema, in autocommit mode or in a transaction.
        projections: The projections.
        progress: Called for each projection with the number of events folded and their total.
        swap_timeout: How long to try the swap, in seconds.
        second: Another connection, in autocommit mode as well: half of the jobs are folded on it
            at the same time.

    Returns:
        How many events were folded.

    Raises:
        LedgerBusyError: Another session rebuilds this ledger, the swap took too long, or jobs were
            pruned all the time. Nothing has changed then.
    """
    if is_placed(connection):
        return max(_refold(connection, projection) for projection in projections)
    live = _schema(connection)
    with only_rebuild(connection, live) as schema:
        work = _Rebuild(connection, second, projections, schema, live, progress)
        try:
            for _ in range(MAX_FOLDS):
                _make_schema(work)
                prunings = _prunings(connection)
                done = _fold_all(work)
                with suppress(_PrunedError):
                    return _fold_and_swap(work, done, prunings, swap_timeout)
            why = "jobs were pruned each time before the rows could be replaced"
            raise LedgerBusyError(work.name, why, "")
        finally:
            _drop_schema(connection, schema, live)


class _Rebuild(NamedTuple):
    """What is rebuilt, and where: see `rebuild_all`."""

    connection: Connection
    second: Connection | None
    projections: Sequence[Projection]
    schema: str
    """The schema of the new tables."""
    live: str
    """The ledger's schema."""
    progress: Progress

    @property
    def name(self) -> str:
        """The rebuild, in words."""
        return f"rebuild of {', '.join(projection.name for projection in self.projections)}"

    @property
    def tables(self) -> list[str]:
        """The tables of all projections."""
        return [table for projection in self.projections for table in projection.tables]

    def fold(self, done: int, size: int) -> int:
        """Folds the events after the position `done` up to `size` into the new tables."""
        for projection in self.projections:
            fold(self.connection, projection, done, size, self.progress)
        return size


def _refold(connection: Connection, projection: Projection) -> int:
    """Folds all events into the live tables, in one transaction."""
    with translated():
        row = connection.execute(REFOLD, (projection.name, list(projection.tables))).fetchone()
    assert row is not None
    return int(row[0])


def fold(
    connection: Connection, projection: Projection, done: int, size: int, progress: Progress
) -> int:
    """Folds the events after the position `done` up to `size` into the tables of the search_path."""
    statement = SQL("SELECT {}(%s, %s)").format(Identifier(f"fold_{projection.name}"))
    while done < size:
        last = min(done + CHUNK, size)
        with translated():
            connection.execute(statement, (done + 1, last))
        done = last
        progress(done, size)
    return done


def _make_schema(work: _Rebuild) -> None:
    """Creates the schema with the empty new tables; drops one that a killed rebuild left."""
    connection = work.connection
    with translated(), connection.transaction():
        make_schema(connection, work.schema)
        look_in(connection, work.schema, work.live)
        connection.execute(f"SET work_mem = '{WORK_MEMORY}'")
        for projection in work.projections:
            connection.execute(projection.schema)
            connection.execute(projection.comments)


def _drop_schema(connection: Connection, schema: str, live: str) -> None:
    """Drops the schema. If the connection is lost, the next rebuild does; a transaction that failed made none."""
    if not can_execute(connection):
        return
    with translated():
        look_in(connection, live)
        connection.execute("RESET work_mem")
        drop_schema(connection, schema)


def _fold_all(work: _Rebuild) -> int:
    """Folds the current events into the new tables; returns the last position."""
    size = _size(work.connection)
    with indexes_last(work.connection, work.schema):
        for projection in work.projections:
            _fold_one(work, projection, size)
    for table in work.tables:
        with translated():
            work.connection.execute(SQL("ANALYZE {}").format(Identifier(work.schema, table)))
    return size


def _fold_one(work: _Rebuild, projection: Projection, size: int) -> None:
    """Folds the events up to a position into the new tables of one projection."""

    def fold_seen(connection: Connection) -> int:
        shown = work.progress if connection is work.connection else lambda done, size: None
        return fold(connection, projection, 0, size, shown)

    if work.second is None or not projection.by_job:
        fold_seen(work.connection)
    else:
        fold_in_halves([work.connection, work.second], work.schema, work.live, fold_seen)


def _fold_and_swap(work: _Rebuild, done: int, prunings: int, swap_timeout: float) -> int:
    """Folds until few events are left, then tries to swap; repeats until it succeeds."""
    deadline, pause = time.monotonic() + swap_timeout, FIRST_PAUSE_SECONDS
    while True:
        done = work.fold(done, _size(work.connection))
        try:
            swapped = _try_swap(work, done, prunings)
        except LockNotAvailable:
            swapped = None
        if swapped is not None:
            return swapped
        if time.monotonic() > deadline:
            why = f"the rows could not be replaced within {swap_timeout:g} s"
            raise LedgerBusyError(work.name, why, _readers(work.connection, work.live))
        time.sleep(pause)
        pause = min(pause * 2, MAX_PAUSE_SECONDS)


def _try_swap(work: _Rebuild, done: int, prunings: int) -> int | None:
    """Tries once to swap the tables, in one transaction.

    Args:
        work: The rebuild.
        done: The position up to which the new rows are folded.
        prunings: How many prunings there were before.

    Returns:
        How many events were folded; None if writers were too far ahead.

    Raises:
        LockNotAvailable: Another session held one of the locks for too long.
        _PrunedError: Jobs were pruned since, and the new rows may still have them.
    """
    connection = work.connection
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}")
        size = _lock_head(connection, done, prunings)
        _lock_rows(work, size)
        work.fold(done, size)
        for table in work.tables:
            _swap(connection, table, work.schema, work.live)
        return size
    return None


def _lock_head(connection: Connection, done: int, prunings: int) -> int:
    """Lets writers wait until the transaction ends.

    Args:
        connection: A connection to the ledger's schema.
        done: The position up to which the new rows are folded.
        prunings: How many prunings there were before.

    Returns:
        The last position.

    Raises:
        Rollback: Writers were too far ahead. It gives the lock back, also within another transaction.
        _PrunedError: Jobs were pruned since.
    """
    connection.execute(LOCK_HEAD)
    if _prunings(connection) != prunings:
        raise _PrunedError
    size = _size(connection)
    if size - done > MAX_LOCKED_EVENTS:
        raise Rollback
    return size


def _lock_rows(work: _Rebuild, size: int) -> None:
    """Locks the live rows, in the order in which `follow` does: first how far each projection has come."""
    for projection in work.projections:
        if projection.follows:
            work.connection.execute(WRITE_FOLLOWED, (size, projection.name))
    for table in work.tables:
        lock = SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier(work.live, table))
        work.connection.execute(lock)


def _swap(connection: Connection, table: str, schema: str, live: str) -> None:
    """Replaces the live table by the new one, with the same rights; the ledger's owner owns it."""
    rights = connection.execute(READ_RIGHTS, (live, table)).fetchall()
    owner = str(_row(connection, READ_OWNER, live)[0])
    connection.execute(SQL("DROP TABLE {}").format(Identifier(live, table)))
    move = SQL("ALTER TABLE {} SET SCHEMA {}")
    connection.execute(move.format(Identifier(schema, table), Identifier(live)))
    own = SQL("ALTER TABLE {} OWNER TO {}")
    connection.execute(own.format(Identifier(live, table), Identifier(owner)))
    for role, right in rights:
        grant = SQL("GRANT {} ON {} TO {}")
        to = SQL("PUBLIC") if role == "PUBLIC" else Identifier(role)
        connection.execute(grant.format(SQL(right), Identifier(live, table), to))


def _readers(connection: Connection, live: str) -> str:
    with translated():
        return readers_of(connection, live)


def _schema(connection: Connection) -> str:
    return str(_row(connection, b"SELECT current_schema()")[0])


def _prunings(connection: Connection) -> int:
    return int(_row(connection, READ_PRUNINGS)[0])


def _size(connection: Connection) -> int:
    return int(_row(connection, READ_SIZE)[0])


def _row(connection: Connection, statement: bytes, *given: str) -> tuple[Any, ...]:
    with translated():
        row = connection.execute(statement, given or None).fetchone()
    assert row is not None
    return row


class _PrunedError(Exception):
    """Jobs were pruned while their events were folded."""
