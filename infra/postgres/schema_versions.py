"""Which version a ledger has, and whether this program can use it."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from jobledger.infra.errors import LedgerNotFoundError, SchemaError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, schema_of, translated
from jobledger.projections.catalogue import PROJECTIONS

_PACKAGE: Final = "jobledger.infra.postgres.migrations"
READ_FUNCTIONS_SCHEMA: Final = sql.load(__package__, "read_functions_schema")
READ_LEDGERS: Final = sql.load(__package__, "read_ledgers")
IS_PLACED: Final = (
    "SELECT EXISTS (SELECT FROM pg_dist_schema WHERE schemaid = current_schema()::regnamespace)"
)


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


def check(connection: Connection, ledger: str) -> None:
    """Raises SchemaError, with instructions, unless the ledger has the version that this program needs."""
    with translated():
        done = applied_migrations(connection, schema_of(ledger))
        if not done:
            raise LedgerNotFoundError(ledger, ledgers(connection))
        check_checksums(ledger, done)
        check_functions(connection, ledger)
        made = projection_versions(connection)
    check_projections(ledger, made)
    if (behind := _behind(done, made)) is not None:
        command = f"jobledger --ledger {ledger} init"
        raise SchemaError(ledger, f"{behind}; bring it up to date with: {command}", command)


def is_placed(connection: Connection) -> bool:
    """Whether Citus keeps the ledger of the search_path on one of its nodes."""
    with translated():
        if connection.execute("SELECT to_regclass('pg_dist_schema')").fetchone() == (None,):
            return False
        return connection.execute(IS_PLACED).fetchone() == (True,)


def applied(connection: Connection, ledger: str) -> int:
    """Returns the number of the last migration that was applied to the ledger; 0 if it does not exist."""
    with translated():
        return len(applied_migrations(connection, schema_of(ledger)))


def is_current(connection: Connection, ledger: str) -> bool:
    """Whether the ledger has the version of this program."""
    with translated():
        done = applied_migrations(connection, schema_of(ledger))
        return bool(done) and _behind(done, projection_versions(connection)) is None


def exists(connection: Connection, ledger: str) -> bool:
    """Whether there is a ledger of that name, of any version."""
    with translated():
        return bool(applied_migrations(connection, schema_of(ledger)))


def ledgers(connection: Connection) -> list[str]:
    """Returns the names of the ledgers in the database, in alphabetical order."""
    with translated():
        return [name for (name,) in connection.execute(READ_LEDGERS)]


def applied_migrations(connection: Connection, schema: str) -> list[tuple[int, str]]:
    """Returns the number and checksum of each applied migration; empty if the ledger does not exist."""
    found = connection.execute("SELECT to_regclass(%s)", (f"{schema}.migrations",)).fetchone()
    if found is None or found[0] is None:
        return []
    return connection.execute("SELECT number, checksum FROM migrations ORDER BY number").fetchall()


def check_checksums(ledger: str, done: list[tuple[int, str]]) -> None:
    """Raises SchemaError if the ledger has migrations that this program does not know, or others."""
    if len(done) > len(migrations()):
        raise SchemaError(
            ledger,
            f"is at schema version {done[-1][0]}, newer than the {newest()} this program knows;"
            " use a newer jobledger",
        )
    for (number, checksum), migration in zip(done, migrations(), strict=False):
        if number != migration.number or checksum != migration.checksum:
            raise SchemaError(ledger, f"was made by another migration {number} than this program's")


def check_functions(connection: Connection, ledger: str) -> None:
    """Raises SchemaError if the schema was renamed: its functions would write to another ledger, or to none."""
    row = connection.execute(READ_FUNCTIONS_SCHEMA).fetchone()
    if row is not None:
        statement = f"ALTER SCHEMA {schema_of(ledger)} RENAME TO {row[0]}"
        raise SchemaError(
            ledger,
            f"is a schema that was renamed, and its functions still write to {row[0]}; rename it back"
            f" with: {statement}",
            statement,
        )


def check_projections(ledger: str, made: Mapping[str, int]) -> None:
    """Raises SchemaError if a projection is newer than this program's."""
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


def projection_versions(connection: Connection) -> dict[str, int]:
    """Returns the version of each projection that the ledger has."""
    return dict(connection.execute("SELECT name, version FROM projections").fetchall())
