"""What the log of a ledger is called, kept outside its database: who owns that cannot call it otherwise unseen.

One file for each server, database and ledger, as they are connected to, in the folder of keys.
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
    """The file of the ledger that is connected to, whether it is there or not."""
    with translated():
        row = connection.execute(READ_SCHEMA).fetchone()
    info = connection.info
    place = f"{info.host}\n{info.port}\n{info.dbname}\n{row[0] if row else ''}"
    name = f"{row[0] if row else ''}.{hashlib.sha256(place.encode()).hexdigest()[:16]}{SUFFIX}"
    return keys_folder(settings) / name


def pinned_origin(settings: Settings, connection: Connection) -> str | None:
    """What the log was called when it was last signed or trusted here; None if it never was."""
    file = pin_file(settings, connection)
    return _origin(file) if file.exists() else None


def all_pinned(settings: Settings) -> set[str]:
    """What the logs of all ledgers are called that were signed or trusted here."""
    folder = keys_folder(settings)
    return {_origin(file) for file in folder.glob(f"*{SUFFIX}")} if folder.is_dir() else set()


def pin(settings: Settings, connection: Connection, origin: str, *, again: bool = False) -> None:
    """Keeps what the log is called; `again` lets it be called otherwise than before.

    Raises ProofError where it was called otherwise.
    """
    before = pinned_origin(settings, connection)
    if before is not None and before != origin and not again:
        raise ProofError("origin", renamed(before, origin, pin_file(settings, connection)))
    if before != origin:
        write_private(pin_file(settings, connection), f"{origin}\n")


def renamed(before: str, origin: str, file: Path) -> str:
    """What is wrong with a log that was called otherwise, and what to do where that is right."""
    return (
        f"the log is called {origin!r}, and was {before!r} when it was last signed or trusted here;"
        f" if you replaced the ledger yourself, delete {file}"
    )


def _origin(file: Path) -> str:
    return read_text(file, "origin").strip()
