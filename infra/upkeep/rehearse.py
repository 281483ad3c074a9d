"""Rehearses a rebuild: folds all events with the installed code, and returns which rows would change, and how.

It runs in one transaction with one snapshot, which is rolled back: nothing changes, and no writer waits.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
from jobledger.infra.errors import SchemaError
from jobledger.infra.eventstore.feed import READ_SIZE
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.postgres.schema_versions import is_placed
from jobledger.infra.upkeep.fold_fast import look_in
from jobledger.infra.upkeep.rebuild_lock import lock_rows, row_tables
from jobledger.infra.upkeep.swap import fold
from jobledger.projections.catalogue import PROJECTIONS, Projection
from psycopg.sql import SQL, Composable, Identifier

READ_COLUMNS: Final = sql.load(__package__, "read_columns")
READ_REACHED: Final = sql.load(__package__, "read_reached")
COMPARE_ROWS: Final = sql.template(__package__, "compare_rows")
SUFFIX: Final = "rehearsal"
ON_CITUS: Final = (
    "is on a node of a Citus cluster, where rehearsals of intervals and search, and certified reports,"
    " are not possible; export it, and import it into a ledger elsewhere"
)

Progress = Callable[[int, int], object]


class RowChange(NamedTuple):
    """A row that would change: `fields` has (current value, new value) of the fields that differ.

    A row that would be added or removed has None on one side of all fields.
    """

    table: str
    key: str
    fields: dict[str, tuple[Any, Any]]


class Rehearsal(NamedTuple):
    """The changes that a rebuild would make, with the number of events and rows; `changes` are the first of `changed`."""

    events: int
    rows: int
    changed: int
    changes: list[RowChange]


def rehearse(
    connection: Connection,
    projection: Projection,
    *,
    limit: int = 100,
    progress: Progress = lambda done, size: None,
) -> Rehearsal:
    """Folds all events into new rows, compares them with the live ones, and discards them."""
    with folded(connection, [projection], None, progress) as made:
        rows = changed = 0
        changes: list[RowChange] = []
        for table in projection.tables:
            compared = _compare(connection, table, made.live, made.rebuilt, limit - len(changes))
            rows, changed = rows + compared[0], changed + compared[1]
            changes += compared[2]
        return Rehearsal(made.size, rows, changed, changes)


class Folded(NamedTuple):
    """The live schema, the schema with the rebuilt rows, and how many events they are from."""

    live: str
    rebuilt: str
    size: int


@contextmanager
def folded(
    connection: Connection,
    projections: Sequence[Projection],
    size: int | None = None,
    progress: Progress = lambda done, size: None,
) -> Iterator[Folded]:
    """Folds events into new rows by the installed code, in a transaction that is rolled back.

    Args:
        connection: A connection to the ledger's schema.
        projections: The projections.
        size: Only the first events up to this position; None for all that the live rows have.
        progress: Called with the number of events folded and their total.

    Yields:
        The schemas of the live and of the new rows; unqualified names mean the new rows.

    Raises:
        SchemaError: The ledger is on Citus, where only `jobs` can be folded into another schema.
    """
    if any(each.follows for each in projections) and is_placed(connection):
        raise SchemaError("", ON_CITUS)
    tables = row_tables(connection)
    with translated(), _taken_back(connection):
        lock_rows(connection, tables)
        live = str(connection.execute("SELECT current_schema()").fetchone()[0])  # type: ignore[index]
        ends = {
            each.name: _reached(connection, each) if size is None else size for each in projections
        }
        if size is None:
            size = int(connection.execute(READ_SIZE).fetchone()[0])  # type: ignore[index]
        rebuilt = f"{live}_{SUFFIX}"
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(rebuilt)))
        look_in(connection, rebuilt, live)
        connection.execute("SET LOCAL work_mem = '256MB'")
        connection.execute("SET LOCAL check_function_bodies = off")
        # This version's functions; the ledger's own may be older, and a fold may call those of another projection.
        given = {projection.name: projection for projection in projections}
        for projection in PROJECTIONS:
            functions = given.get(projection.name, projection).functions
            connection.execute(sql.render(*functions))
        for projection in projections:
            connection.execute(projection.schema)
            end = ends[projection.name]
            fold(connection, projection, 0, size if end is None else min(end, size), progress)
        yield Folded(live, rebuilt, size)


def _reached(connection: Connection, projection: Projection) -> int | None:
    """Returns the position of a projection's live rows; None for all events."""
    row = connection.execute(READ_REACHED, (projection.name,)).fetchone()
    return None if row is None else row[0]


@contextmanager
def _taken_back(connection: Connection) -> Iterator[None]:
    """A transaction with one snapshot that is rolled back."""
    isolation = connection.isolation_level
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction(force_rollback=True):
            yield
    finally:
        connection.isolation_level = isolation


def _compare(
    connection: Connection, table: str, live: str, rebuilt: str, limit: int
) -> tuple[int, int, list[RowChange]]:
    """Returns how many rows there are, how many differ, and the first of those that differ."""
    columns = connection.execute(READ_COLUMNS, {"table": table, "live": live, "rebuilt": rebuilt})
    described = columns.fetchall()
    common = [name for name, in_both, _ in described if in_both]
    keys = [name for name, _, is_key in described if is_key]
    statement = COMPARE_ROWS.format(
        live=Identifier(live, table),
        rebuilt=Identifier(rebuilt, table),
        same=SQL(" AND ").join(_both("{} = {}", key) for key in keys),
        was=_row("live", common),
        would_be=_row("rebuilt", common),
    )
    rows = changed = 0
    changes: list[RowChange] = []
    with connection.cursor("compared") as cursor:
        cursor.itersize = 10_000
        for is_same, was, would_be in cursor.execute(statement):
            rows += 1
            # Documents of the same value may be spaced differently.
            if not is_same and (change := _change(table, keys, common, was, would_be)).fields:
                changed += 1
                if len(changes) < limit:
                    changes.append(change)
    return rows, changed, changes


def _change(
    table: str,
    keys: list[str],
    columns: list[str],
    was: dict[str, Any] | None,
    would_be: dict[str, Any] | None,
) -> RowChange:
    one = was or would_be or {}
    fields = {
        column: ((was or {}).get(column), (would_be or {}).get(column))
        for column in columns
        if was is None or would_be is None or was[column] != would_be[column]
    }
    return RowChange(table, "/".join(str(one[key]) for key in keys), fields)


def _both(comparison: str, column: str) -> Composable:
    sides = Identifier("live", column), Identifier("rebuilt", column)
    return SQL(comparison).format(*sides)


def _row(side: str, columns: list[str]) -> Composable:
    return SQL(", ").join(SQL("{}").format(Identifier(side, column)) for column in columns)
