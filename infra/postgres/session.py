"""Settings of each session, so that settings of a role or a pooler cannot break guarantees."""

import re
from typing import Any, Final

import psycopg
from jobledger.domain.values import canonical
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.ending import CONNECTIONS
from jobledger.infra.postgres.pooler import check_pooler
from psycopg.types.json import set_json_loads

SET_SESSION: Final = sql.load(__package__, "set_session")
BACKEND: Final = -1
"""The column of `set_session` that is the process of the server."""
WAIT_IN_TRANSACTION: Final = "SET LOCAL idle_in_transaction_session_timeout = 0"
"""Lets the transaction wait as long as its reader needs between two fetches."""
_SEARCH_PATH: Final = re.compile(r"-c search_path=(\S+)")


def set_session(connection: psycopg.Connection[Any]) -> None:
    """Sets a new connection; raises PoolerError if its sessions change between transactions.

    The ledger's schema is that of the connection string's options, which a pooler may ignore.
    """
    CONNECTIONS.add(connection)
    connection.autocommit = True
    set_json_loads(canonical.loads, connection)
    row = connection.execute(SET_SESSION, _schema(connection)).fetchone()
    assert row is not None
    if row[BACKEND] != connection.info.backend_pid:
        check_pooler(connection, row[BACKEND])


async def set_async_session(connection: psycopg.AsyncConnection[Any]) -> None:
    """The same on an asyncio loop; the pooler was checked by the ledger's first connection."""
    CONNECTIONS.add(connection)
    set_json_loads(canonical.loads, connection)
    await connection.execute(SET_SESSION, _schema(connection))


def _schema(connection: psycopg.BaseConnection[Any]) -> tuple[str]:
    found = _SEARCH_PATH.findall(connection.info.options)
    return (found[-1] if found else '"$user", public',)
