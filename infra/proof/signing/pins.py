"""The pinned name of a ledger's log.

It is stored outside the database, so that its owner cannot change it unnoticed. There is one file
for each server, database and ledger, in the folder of keys.
"""

import hashlib
from pathlib import Path
from typing import Final

from jobledger.infra.errors import ProofError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.signing.keys import keys_folder, read_text, write_private
from jobledger.infra.settings import Settings

READ_SCHEMA: Final = sql.load(__package__, "read_schema")
SUFFIX: Final = ".origin"


def pin_file(settings: Settings, connection: Connection) -> Path:
    """Returns the path of the connected ledger's file."""
    with translated():
        row = connection.execute(READ_SCHEMA).fetchone()
    info = connection.info
    place = f"{info.host}\n{info.port}\n{info.dbname}\n{row[0] if row else ''}"
    name = f"{row[0] if row else ''}.{hashlib.sha256(place.encode()).hexdigest()[:16]}{SUFFIX}"
    return keys_folder(settings) / name


def pinned_origin(settings: Settings, connection: Connection) -> str | None:
    """Returns the log's name when it was last signed or trusted here; None if it never was."""
    file = pin_file(settings, connection)
    return _origin(file) if file.exists() else None


def all_pinned(settings: Settings) -> set[str]:
    """Returns the names of all logs that were signed or trusted here."""
    folder = keys_folder(settings)
    return {_origin(file) for file in folder.glob(f"*{SUFFIX}")} if folder.is_dir() else set()


def pin(settings: Settings, connection: Connection, origin: str, *, again: bool = False) -> None:
    """Pins the log's name on this machine.

    Args:
        settings: Where pins are.
        connection: A connection to the ledger's schema.
        origin: The name.
        again: Allow another name than the pinned one.

    Raises:
        ProofError: Another name is pinned.
    """
    if not again:
        check_pinned(settings, connection, origin)
    if pinned_origin(settings, connection) != origin:
        write_private(pin_file(settings, connection), f"{origin}\n")


def check_pinned(settings: Settings, connection: Connection, origin: str) -> None:
    """Raises ProofError if another name of the log is pinned on this machine."""
    before = pinned_origin(settings, connection)
    if before is not None and before != origin:
        raise ProofError("origin", renamed(before, origin, pin_file(settings, connection)))


def renamed(before: str, origin: str, file: Path) -> str:
    """Returns what is wrong with a renamed log, and what to do if that is right."""
    return (
        f"the log is called {origin!r}, and was {before!r} when it was last signed or trusted here;"
        f" if you replaced the ledger yourself, delete {file}"
    )


def _origin(file: Path) -> str:
    return read_text(file, "origin").strip()
