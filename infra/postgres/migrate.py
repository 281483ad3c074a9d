"""Creates or upgrades a ledger: applies numbered files, each once, under a lock.

A released file never changes. Its checksum is stored with its number, and
a program that finds unknown numbers or other checksums refuses to continue.
"""

from collections.abc import Callable, Container, Sequence
from typing import Final

from jobledger.infra.errors import SchemaError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, schema_of, translated
from jobledger.infra.postgres.grants import grant, granted
from jobledger.infra.postgres.schema_versions import (
    Migration,
    applied_migrations,
    check_checksums,
    check_functions,
    check_projections,
    is_current,
    is_placed,
    migrations,
    projection_versions,
)
from jobledger.projections.catalogue import PROJECTIONS, Projection
from psycopg.sql import SQL, Identifier

CLOSE_TO_PUBLIC: Final = sql.load(__package__, "close_to_public")
GIVE_TO_OWNER: Final = sql.load(__package__, "give_to_owner")
PLACED: Final = (
    "and on a node of a Citus cluster, where tables cannot be changed; bring it up to date with"
)
_LOCK: Final = 0x6A6F626C
"""One lock for all ledgers of a database, because creating one is fast."""

Rebuild = Callable[[Connection, Sequence[Projection]], object]
"""Rebuilds projections from the events."""


def migrate(connection: Connection, ledger: str, rebuild: Rebuild) -> bool:
    """Creates or upgrades the ledger. Several processes may do so at the same time.

    Args:
        connection: A connection to the ledger's schema.
        ledger: The ledger's name.
        rebuild: Called in the same transaction with the projections whose stored version differs from
            this program's: with all of them, as writers wait from the first swap until the transaction ends.

    Returns:
        Whether anything was changed.

    Raises:
        SchemaError: The ledger is newer than this program.
    """
    schema = schema_of(ledger)
    with translated(), connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        done = applied_migrations(connection, schema)
        check_checksums(ledger, done)
        check_functions(connection, ledger)
        fresh = migrations()[len(done) :]
        if not done:
            _create_schema(connection, schema)
        elif not is_current(connection, ledger) and is_placed(connection):
            command = f"jobledger --ledger {ledger} init --citus"
            raise SchemaError(ledger, f"is older than this program, {PLACED}: {command}", command)
        _apply(connection, fresh)
        made = projection_versions(connection)
        check_projections(ledger, made)
        stale = [p for p in PROJECTIONS if made.get(p.name) != p.version]
        _make(connection, stale, made, rebuild)
        was_open = _run_all(connection, CLOSE_TO_PUBLIC)
        if fresh or stale:
            for projection in PROJECTIONS:
                connection.execute(projection.comments)
            # The owner of the schema could not use what another role made.
            _run_all(connection, GIVE_TO_OWNER)
            for role, right in granted(connection):
                grant(connection, ledger, role, right)
        return bool(fresh or stale or was_open)


def install(connection: Connection, ledger: str, last: int | None = None) -> None:
    """Creates an empty ledger in the current transaction, and puts its schema into the search_path.

    Args:
        connection: A connection to the database, in a transaction.
        ledger: The ledger's name.
        last: The number of the last migration to apply; None for this program's last.
    """
    schema = schema_of(ledger)
    connection.execute(SQL("SET LOCAL search_path = {}").format(Identifier(schema)))
    _create_schema(connection, schema)
    _apply(connection, migrations()[:last])
    _make(connection, PROJECTIONS)
    for projection in PROJECTIONS:
        connection.execute(projection.comments)


def lock(connection: Connection) -> None:
    """Takes the lock for creating tables until the connection is closed."""
    with translated():
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))


def _apply(connection: Connection, fresh: Sequence[Migration]) -> None:
    for migration in fresh:
        connection.execute(migration.statements)
        connection.execute(
            "INSERT INTO migrations (number, name, checksum) VALUES (%s, %s, %s)",
            (migration.number, migration.name, migration.checksum),
        )


def _create_schema(connection: Connection, schema: str) -> None:
    connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
    connection.execute(
        "CREATE TABLE migrations (number integer PRIMARY KEY, name text NOT NULL,"
        " checksum text NOT NULL, applied_time timestamptz NOT NULL DEFAULT now())"
    )


def _run_all(connection: Connection, making: bytes) -> int:
    """Runs the statements that a statement returns, and returns how many there were."""
    statements = connection.execute(making).fetchall()
    for (statement,) in statements:
        connection.execute(statement.encode())
    return len(statements)


def _make(
    connection: Connection,
    projections: Sequence[Projection],
    made: Container[str] = (),
    rebuild: Rebuild = lambda connection, projections: None,
) -> None:
    """Creates the functions of projections, and their rows: by a rebuild of those that were made before."""
    # Their tables may be created only after these.
    connection.execute("SET LOCAL check_function_bodies = off")
    for projection in projections:
        connection.execute(sql.render(*projection.functions))
        if projection.name not in made:
            connection.execute(projection.schema)
    if known := [projection for projection in projections if projection.name in made]:
        rebuild(connection, known)
    for projection in projections:
        connection.execute(
            "INSERT INTO projections (name, version, position) VALUES (%s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version",
            (projection.name, projection.version, 0 if projection.follows else None),
        )
