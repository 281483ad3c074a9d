"""The database that a log was last signed in; a copy of it elsewhere is not signed under the same name.

If both were signed, their histories would differ under one name. The file is next to the log's keys.
A standby that took over has the identity of its primary, and a database that was restored in the
same place has that place.
"""

from typing import Final, NamedTuple

from jobledger.infra.errors import ProofError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.signing.keys import database_file, read_text, write_private
from jobledger.infra.settings import Settings

READ_DATABASE: Final = sql.load(__package__, "read_database")


class SignedDatabase(NamedTuple):
    """A database, by its place and by its identity."""

    place: str
    identity: str

    def is_copy_of(self, other: "SignedDatabase") -> bool:
        """Whether both the place and the identity differ."""
        return self.place != other.place and self.identity != other.identity


def copied_from(settings: Settings, connection: Connection, origin: str) -> str | None:
    """Returns the place of the other database that the log was last signed in; None if it was this one."""
    before = _last(settings, origin)
    is_copy = before is not None and _connected(connection).is_copy_of(before)
    return before.place if before is not None and is_copy else None


def check_database(settings: Settings, connection: Connection, origin: str) -> None:
    """Raises ProofError if the log was last signed in another database."""
    if (place := copied_from(settings, connection, origin)) is not None:
        raise ProofError(
            "database",
            f"{origin} was last signed in another database ({place}), and this one may be a copy of it,"
            " which would contradict it under the same name;"
            " if this one takes the other's place: jobledger init",
        )


def keep_database(settings: Settings, connection: Connection, origin: str) -> None:
    """Stores that the log is signed in this database."""
    now = _connected(connection)
    if now != _last(settings, origin):
        write_private(database_file(settings, origin), f"{now.place}\n{now.identity}\n")


def _last(settings: Settings, origin: str) -> SignedDatabase | None:
    file = database_file(settings, origin)
    if not file.exists():
        return None
    place, _, identity = read_text(file, "database").strip().partition("\n")
    return SignedDatabase(place, identity)


def _connected(connection: Connection) -> SignedDatabase:
    with translated():
        system, number, schema = connection.execute(READ_DATABASE).fetchone() or ("", "", "")
    info = connection.info
    place = f"host={info.host} port={info.port} dbname={info.dbname} schema={schema}"
    return SignedDatabase(place, f"system={system} database={number} schema={schema}")
