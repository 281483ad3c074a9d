"""Rights of `init --grant-to` that a role lacks."""

from typing import Final

from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, schema_of

MISSING_RIGHTS: Final = sql.load(__package__, "missing_rights")


def missing_rights(connection: Connection, ledger: str) -> list[tuple[str, str]]:
    """Returns tables, views and functions that the current role may not use, with the missing right: SELECT or EXECUTE."""
    return connection.execute(MISSING_RIGHTS, {"schema": schema_of(ledger)}).fetchall()
