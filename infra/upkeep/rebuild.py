"""Rebuilds projections in a separate schema, and swaps them in while writers continue."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from jobledger.infra.errors import LedgerBusyError
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
from jobledger.infra.upkeep.rebuild_lock import can_execute, only_rebuild
from jobledger.infra.upkeep.swap import (
    Progress,
    PrunedError,
    Rebuild,
    fold,
    fold_and_swap,
    read_prunings,
    read_row,
    read_size,
)
from jobledger.projections.catalogue import Projection
from psycopg.sql import SQL, Identifier

SWAP_TIMEOUT_SECONDS: Final = 3_600.0
"""How long to wait for long transactions that read the live rows."""
MAX_FOLDS: Final = 5
"""How often all events are folded, as jobs may be pruned in the meantime, of which the new rows would not know."""

REFOLD: Final = "SELECT refold(%s, %s)"


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
        work = Rebuild(connection, second, projections, schema, live, progress)
        try:
            for _ in range(MAX_FOLDS):
                _make_schema(work)
                prunings = read_prunings(connection)
                done = _fold_all(work)
                with suppress(PrunedError):
                    return fold_and_swap(work, done, prunings, swap_timeout)
            why = "jobs were pruned each time before the rows could be replaced"
            raise LedgerBusyError(work.name, why, "")
        finally:
            _drop_schema(connection, schema, live)


def _refold(connection: Connection, projection: Projection) -> int:
    """Folds all events into the live tables, in one transaction."""
    with translated():
        row = connection.execute(REFOLD, (projection.name, list(projection.tables))).fetchone()
    assert row is not None
    return int(row[0])


def _make_schema(work: Rebuild) -> None:
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


def _fold_all(work: Rebuild) -> int:
    """Folds the current events into the new tables; returns the last position."""
    size = read_size(work.connection)
    with indexes_last(work.connection, work.schema):
        for projection in work.projections:
            _fold_one(work, projection, size)
    for table in work.tables:
        with translated():
            work.connection.execute(SQL("ANALYZE {}").format(Identifier(work.schema, table)))
    return size


def _fold_one(work: Rebuild, projection: Projection, size: int) -> None:
    """Folds the events up to a position into the new tables of one projection."""

    def fold_seen(connection: Connection) -> int:
        shown = work.progress if connection is work.connection else lambda done, size: None
        return fold(connection, projection, 0, size, shown)

    if work.second is None or not projection.by_job:
        fold_seen(work.connection)
    else:
        fold_in_halves([work.connection, work.second], work.schema, work.live, fold_seen)


def _schema(connection: Connection) -> str:
    return str(read_row(connection, b"SELECT current_schema()")[0])
