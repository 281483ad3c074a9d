"""Makes a projection again from nothing, beside the live one, and swaps it in while writers go on."""

from collections.abc import Callable
from typing import Final

from jobledger.infra.eventstore.commit.appender import LOCK_HEAD
from jobledger.infra.eventstore.feed import READ_SIZE
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.projections.catalogue import Projection
from psycopg.sql import SQL, Identifier, Literal

CHUNK: Final = 100_000
"""Positions folded in one statement."""

READ_RIGHTS: Final = sql.load(__package__, "read_rights")
WRITE_FOLLOWED: Final = sql.load(__package__, "write_followed")

Progress = Callable[[int, int], object]


def rebuild(
    connection: Connection, projection: Projection, progress: Progress = lambda done, size: None
) -> int:
    """Folds all events into new rows and puts them in the place of the live ones; returns how many events.

    Writers are kept out only while the last few events are folded and the tables change places.
    """
    with translated(), connection.transaction():
        live = str(connection.execute("SELECT current_schema()").fetchone()[0])  # type: ignore[index]
        beside = f"{live}_rebuild"
        connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(beside)))
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(beside)))
        look_in(connection, beside, live)
        connection.execute("SET work_mem = '256MB'")  # One sort of a whole chunk, in memory.
        connection.execute(projection.schema)
    try:
        done = fold(connection, projection, 0, _size(connection), progress)
        with translated(), connection.transaction():
            connection.execute(LOCK_HEAD)
            done = fold(connection, projection, done, _size(connection), progress)
            if projection.follows:
                # Before the tables are taken: who follows locks in this order, too.
                connection.execute(WRITE_FOLLOWED, (done, projection.name))
            for table in projection.tables:
                _swap(connection, table, beside, live)
    finally:
        with translated():
            look_in(connection, live)
            connection.execute("RESET work_mem")
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(beside)))
    return done


def fold(
    connection: Connection, projection: Projection, done: int, size: int, progress: Progress
) -> int:
    """Folds the events after the position `done` up to `size`, into the tables that are looked in."""
    statement = SQL("SELECT {}(%s, %s)").format(Identifier(f"fold_{projection.name}"))
    while done < size:
        last = min(done + CHUNK, size)
        with translated():
            connection.execute(statement, (done + 1, last))
        done = last
        progress(done, size)
    return done


def _swap(connection: Connection, table: str, beside: str, live: str) -> None:
    """Puts the new table where the live one was, with the rights it had."""
    rights = connection.execute(READ_RIGHTS, (live, table)).fetchall()
    connection.execute(SQL("DROP TABLE {}").format(Identifier(live, table)))
    move = SQL("ALTER TABLE {} SET SCHEMA {}")
    connection.execute(move.format(Identifier(beside, table), Identifier(live)))
    for role, right in rights:
        grant = SQL("GRANT {} ON {} TO {}")
        to = SQL("PUBLIC") if role == "PUBLIC" else Identifier(role)
        connection.execute(grant.format(SQL(right), Identifier(live, table), to))
    connection.execute(SQL("ANALYZE {}").format(Identifier(live, table)))


def look_in(connection: Connection, *schemas: str) -> None:
    """Makes unqualified names mean what is in the first of these schemas that has it."""
    path = SQL(", ").join(Literal(schema) for schema in schemas)
    connection.execute(SQL("SET search_path = {}").format(path))


def _size(connection: Connection) -> int:
    with translated():
        row = connection.execute(READ_SIZE).fetchone()
    assert row is not None
    return int(row[0])
