"""Finds since when events have not been under a checkpoint."""

from typing import Final

from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection

UNSIGNED_SINCE: Final = sql.load(__package__, "unsigned_since")


def unsigned_since(connection: Connection, size: int) -> float | None:
    """Returns when the first event after `size` events was recorded (POSIX seconds); None without one."""
    row = connection.execute(UNSIGNED_SINCE, {"size": size}).fetchone()
    return None if row is None else float(row[0])
