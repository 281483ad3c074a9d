"""Replaces the live rows by rebuilt ones while writers continue."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from jobledger.infra.errors import LedgerBusyError
from jobledger.infra.eventstore.commit.appender import LOCK_HEAD
from jobledger.infra.eventstore.feed import READ_SIZE
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.upkeep.rebuild_lock import readers_of
from jobledger.projections.catalogue import Projection
from psycopg import Rollback
from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL, Identifier

CHUNK: Final = 100_000
"""How many positions are folded in one statement."""
LOCK_TIMEOUT_MILLISECONDS: Final = 250
"""How long one attempt to swap the tables waits for locks in all; writers wait behind it."""
MAX_LOCKED_EVENTS: Final = 2_000
"""The most events that are folded while writers wait; if more are left, they are folded before."""
FIRST_PAUSE_SECONDS: Final = 0.25
MAX_PAUSE_SECONDS: Final = 5.0
READ_OWNER: Final = sql.load(__package__, "read_owner")
READ_PRUNINGS: Final = sql.load(__package__, "read_prunings")
READ_RIGHTS: Final = sql.load(__package__, "read_rights")
WRITE_FOLLOWED: Final = sql.load(__package__, "write_followed")
Progress = Callable[[int, int], object]
"""Is called with the number of events folded and their total."""


class Rebuild(NamedTuple):
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


def fold_and_swap(work: Rebuild, done: int, prunings: int, swap_timeout: float) -> int:
    """Folds until few events are left, then tries to swap; repeats until it succeeds."""
    deadline, pause = time.monotonic() + swap_timeout, FIRST_PAUSE_SECONDS
    while True:
        done = work.fold(done, read_size(work.connection))
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


def _try_swap(work: Rebuild, done: int, prunings: int) -> int | None:
    """Tries once to swap the tables, in one transaction.

    Args:
        work: The rebuild.
        done: The position up to which the new rows are folded.
        prunings: How many prunings there were before.

    Returns:
        How many events were folded; None if writers were too far ahead.

    Raises:
        LockNotAvailable: Another session held one of the locks for too long.
        PrunedError: Jobs were pruned since, and the new rows may still have them.
    """
    connection = work.connection
    with connection.transaction():
        limit_wait = partial(_limit_wait, connection, time.monotonic())
        limit_wait()
        size = _lock_head(connection, done, prunings)
        _lock_rows(work, size, limit_wait)
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
        PrunedError: Jobs were pruned since.
    """
    connection.execute(LOCK_HEAD)
    if read_prunings(connection) != prunings:
        raise PrunedError
    size = read_size(connection)
    if size - done > MAX_LOCKED_EVENTS:
        raise Rollback
    return size


def _lock_rows(work: Rebuild, size: int, limit_wait: Callable[[], None]) -> None:
    """Locks the live rows, in the order in which `follow` does: first how far each projection has come."""
    for projection in work.projections:
        if projection.follows:
            limit_wait()
            work.connection.execute(WRITE_FOLLOWED, (size, projection.name))
    for table in work.tables:
        limit_wait()
        lock = SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier(work.live, table))
        work.connection.execute(lock)


def _limit_wait(connection: Connection, since: float) -> None:
    """Limits the wait for the next lock to what is left of the attempt's time for all locks."""
    left = LOCK_TIMEOUT_MILLISECONDS - (time.monotonic() - since) * 1_000
    connection.execute(f"SET LOCAL lock_timeout = {max(1, round(left))}")


def _swap(connection: Connection, table: str, schema: str, live: str) -> None:
    """Replaces the live table by the new one, with the same rights; the ledger's owner owns it."""
    rights = connection.execute(READ_RIGHTS, (live, table)).fetchall()
    owner = str(read_row(connection, READ_OWNER, live)[0])
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


def read_prunings(connection: Connection) -> int:
    """Returns how many prunings there were."""
    return int(read_row(connection, READ_PRUNINGS)[0])


def read_size(connection: Connection) -> int:
    """Returns the last position."""
    return int(read_row(connection, READ_SIZE)[0])


def read_row(connection: Connection, statement: bytes, *given: str) -> tuple[Any, ...]:
    """Returns the only row of a statement."""
    with translated():
        row = connection.execute(statement, given or None).fetchone()
    assert row is not None
    return row


class PrunedError(Exception):
    """Jobs were pruned while their events were folded."""
