"""The ledgers of a database: their content, the disk that they take, and dropping one."""

from typing import Final, NamedTuple

from jobledger.infra.errors import LedgerBusyError, LedgerNotFoundError, OwnerNeededError
from jobledger.infra.postgres import schema_versions, sql
from jobledger.infra.postgres.connections import Connection, schema_of, translated
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from psycopg.sql import SQL, Identifier

READ_SIZES: Final = sql.load(__package__, "read_ledger_sizes")
READ_EXTENT: Final = sql.load(__package__, "read_ledger_extent")
READ_USERS: Final = sql.load(__package__, "read_ledger_users")
LOCK_TIMEOUT_MILLISECONDS: Final = 2_000
"""How long dropping a ledger waits for its users."""


class LedgerSize(NamedTuple):
    """The content of a ledger.

    Attributes:
        name: The ledger's name.
        events: The number of its events; pruned ones count.
        signed: The number of events that its log's tree covers.
        origin: Its log's name.
        bytes: The disk that it takes, with indexes.
        tables: The same by table, largest first.
    """

    name: str
    events: int
    signed: int
    origin: str
    bytes: int
    tables: dict[str, int]


def describe(connection: Connection, ledger: str) -> LedgerSize:
    """Returns the content of a ledger of the connected database.

    Raises LedgerNotFoundError, MissingGrantError, and SchemaError for one of another version.
    """
    schema = _existing(connection, ledger)
    with translated(), connection.transaction():
        connection.execute(SQL("SET LOCAL search_path = {}").format(Identifier(schema)))
        tables: dict[str, int] = dict(connection.execute(READ_SIZES, {"schema": schema}).fetchall())
        row = connection.execute(READ_EXTENT).fetchone()
    events, signed, origin = row if row is not None else (0, 0, "")
    return LedgerSize(ledger, events, signed, origin, sum(tables.values()), tables)


def drop(connection: Connection, ledger: str) -> LedgerSize:
    """Drops a ledger with its whole history, permanently, and returns what its content was.

    The keys and the last checkpoint of its log are files, which are kept.

    Args:
        connection: A connection to the database.
        ledger: The ledger's name.

    Returns:
        What its content was.

    Raises:
        LedgerNotFoundError: There is no such ledger.
        LedgerBusyError: Somebody uses its tables.
        OwnerNeededError: The database user does not own it.
    """
    held = describe(connection, ledger)
    schema = schema_of(ledger)
    with translated():
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}")
                connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
        except InsufficientPrivilege:
            raise OwnerNeededError(f"to drop {ledger!r}") from None
        except LockNotAvailable:
            users = connection.execute(READ_USERS, {"schema": schema}).fetchall()
            holder = ", ".join(f"{name or 'a session'} (process {pid})" for pid, name in users)
            why = "another session uses its tables"
            raise LedgerBusyError(f"dropping {ledger!r}", why, holder) from None
    return held


def _existing(connection: Connection, ledger: str) -> str:
    schema = schema_of(ledger)
    if ledger not in (others := schema_versions.ledgers(connection)):
        raise LedgerNotFoundError(ledger, others)
    return schema
