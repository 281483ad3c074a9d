"""Creates or upgrades a ledger: applies numbered files, each once, under a lock.

A released file never changes. Its checksum is stored with its number, and
a program that finds unknown numbers or other checksums refuses to continue.
"""

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from jobledger.infra.errors import LedgerNotFoundError, SchemaError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, schema_of, translated
from jobledger.projections.catalogue import PROJECTIONS, Projection
from psycopg.sql import SQL, Identifier

_PACKAGE: Final = "jobledger.infra.postgres.migrations"
# One lock for all ledgers of a database, because creating one is fast.
CLOSE_TO_PUBLIC: Final = sql.load(__package__, "close_to_public")
GIVE_TO_OWNER: Final = sql.load(__package__, "give_to_owner")
READ_FUNCTIONS_SCHEMA: Final = sql.load(__package__, "read_functions_schema")
READ_GRANTED: Final = sql.load(__package__, "read_granted")
READ_LEDGERS: Final = sql.load(__package__, "read_ledgers")
SIGNING: Final = ("grow_log", "keep_checkpoint")
"""Functions that only signers of the log may call."""
SECRET_TABLES: Final = ("secrets", "subject_keys", "tokens", "tiles")
"""Tables with keys and tokens, which the right READ does not include."""
IS_PLACED: Final = (
    "SELECT EXISTS (SELECT FROM pg_dist_schema WHERE schemaid = current_schema()::regnamespace)"
)
PLACED: Final = (
    "and on a node of a Citus cluster, where tables cannot be changed; bring it up to date with"
)
_LOCK: Final = 0x6A6F626C

Rebuild = Callable[[Connection, Sequence[Projection]], object]
"""Rebuilds projections from the events."""


class Right(StrEnum):
    """What a role may do with a ledger; each right includes those before it."""

    READ = "read"
    APPEND = "append"
    SIGN = "sign"


class Migration(NamedTuple):
    """One migration: its number, its name and its SQL statements."""

    number: int
    name: str
    statements: bytes

    @property
    def checksum(self) -> str:
        """SHA-256 of the statements, in hexadecimal."""
        return hashlib.sha256(self.statements).hexdigest()


@cache
def migrations() -> tuple[Migration, ...]:
    """Returns all migrations of this program, in order."""
    files = sorted(
        (file for file in resources.files(_PACKAGE).iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return tuple(Migration(int(f.name[:4]), f.name[5:-4], f.read_bytes()) for f in files)


def newest() -> int:
    """Returns the schema version that this program makes: the number of its last migration."""
    return migrations()[-1].number


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
        done = _applied(connection, schema)
        _check_checksums(ledger, done)
        _check_functions(connection, ledger)
        fresh = migrations()[len(done) :]
        if not done:
            _create_schema(connection, schema)
        elif not is_current(connection, ledger) and is_placed(connection):
            raise SchemaError(
                ledger,
                f"is older than this program, {PLACED}: jobledger --ledger {ledger} init --citus",
            )
        _apply(connection, fresh)
        made = _projections(connection)
        _check_projections(ledger, made)
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


def granted(connection: Connection) -> list[tuple[str, Right]]:
    """Returns the roles that the ledger was granted to, and their rights."""
    return [(role, Right(right)) for role, right in connection.execute(READ_GRANTED)]


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


def check(connection: Connection, ledger: str) -> None:
    """Raises SchemaError, with instructions, unless the ledger has the version that this program needs."""
    with translated():
        done = _applied(connection, schema_of(ledger))
        if not done:
            raise LedgerNotFoundError(ledger, ledgers(connection))
        _check_checksums(ledger, done)
        _check_functions(connection, ledger)
        made = _projections(connection)
    _check_projections(ledger, made)
    if (behind := _behind(done, made)) is not None:
        raise SchemaError(
            ledger, f"{behind}; bring it up to date with: jobledger --ledger {ledger} init"
        )


def is_placed(connection: Connection) -> bool:
    """Whether Citus keeps the ledger of the search_path on one of its nodes."""
    with translated():
        if connection.execute("SELECT to_regclass('pg_dist_schema')").fetchone() == (None,):
            return False
        return connection.execute(IS_PLACED).fetchone() == (True,)


def applied(connection: Connection, ledger: str) -> int:
    """Returns the number of the last migration that was applied to the ledger; 0 if it does not exist."""
    with translated():
        return len(_applied(connection, schema_of(ledger)))


def is_current(connection: Connection, ledger: str) -> bool:
    """Whether the ledger has the version of this program."""
    with translated():
        done = _applied(connection, schema_of(ledger))
        return bool(done) and _behind(done, _projections(connection)) is None


def exists(connection: Connection, ledger: str) -> bool:
    """Whether there is a ledger of that name, of any version."""
    with translated():
        return bool(_applied(connection, schema_of(ledger)))


def ledgers(connection: Connection) -> list[str]:
    """Returns the names of the ledgers in the database, in alphabetical order."""
    with translated():
        return [name for (name,) in connection.execute(READ_LEDGERS)]


def grant(connection: Connection, ledger: str, role: str, right: Right = Right.APPEND) -> None:
    """Grants one right to a role, and revokes its other rights on the ledger.

    READ includes tables, views and functions that change nothing, but no tokens and no keys of personal values.
    APPEND adds those, and writing through functions that check their arguments. SIGN adds the log's tree.
    """
    schema, to = Identifier(schema_of(ledger)), Identifier(role)
    statements = [
        "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role}",
        "REVOKE ALL ON SCHEMA {schema} FROM {role}",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
    ]
    if right == Right.READ:
        statements += [f"REVOKE ALL ON {{schema}}.{table} FROM {{role}}" for table in SECRET_TABLES]
    else:
        statements.append("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}")
    if right == Right.APPEND:
        statements += [
            f"REVOKE ALL ON FUNCTION {{schema}}.{function} FROM {{role}}" for function in SIGNING
        ]
    for statement in statements:
        with translated():
            connection.execute(SQL(statement).format(schema=schema, role=to))


def _applied(connection: Connection, schema: str) -> list[tuple[int, str]]:
    """Returns the number and checksum of each applied migration; empty if the ledger does not exist."""
    found = connection.execute("SELECT to_regclass(%s)", (f"{schema}.migrations",)).fetchone()
    if found is None or found[0] is None:
        return []
    return connection.execute("SELECT number, checksum FROM migrations ORDER BY number").fetchall()


def _check_checksums(ledger: str, done: list[tuple[int, str]]) -> None:
    if len(done) > len(migrations()):
        raise SchemaError(
            ledger,
            f"is at schema version {done[-1][0]}, newer than the {newest()} this program knows;"
            " use a newer jobledger",
        )
    for (number, checksum), migration in zip(done, migrations(), strict=False):
        if number != migration.number or checksum != migration.checksum:
            raise SchemaError(ledger, f"was made by another migration {number} than this program's")


def _check_functions(connection: Connection, ledger: str) -> None:
    """Functions name their schema: those of a renamed one would write to another ledger, or to none."""
    row = connection.execute(READ_FUNCTIONS_SCHEMA).fetchone()
    if row is not None:
        schema = schema_of(ledger)
        raise SchemaError(
            ledger,
            f"is a schema that was renamed, and its functions still write to {row[0]}; rename it back"
            f" with: ALTER SCHEMA {schema} RENAME TO {row[0]}",
        )


def _check_projections(ledger: str, made: Mapping[str, int]) -> None:
    for name, version, known in _versions(made):
        if version > known:
            raise SchemaError(
                ledger,
                f"has version {version} of the projection {name}, newer than the {known} this program"
                " knows; use a newer jobledger",
            )


def _behind(done: list[tuple[int, str]], made: Mapping[str, int]) -> str | None:
    """Returns what is older than this program needs; None if nothing is."""
    if len(done) < len(migrations()):
        return f"is at schema version {done[-1][0]} and this program needs {newest()}"
    for name, version, needed in _versions(made):
        if version < needed:
            return f"has version {version} of the projection {name} and this program needs {needed}"
    return None


def _versions(made: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Each projection, with the version that the ledger has, 0 for none, and the one of this program."""
    return [(each.name, made.get(each.name, 0), each.version) for each in PROJECTIONS]


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


def _projections(connection: Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT name, version FROM projections").fetchall())


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
