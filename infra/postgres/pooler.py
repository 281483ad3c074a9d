"""Connection poolers: detects and refuses those that give each transaction another session.

A pooler is recognized by a process number that is not the server's. Sessions are needed for
prepared statements, settings, and the lock of a rebuild.
"""

import select
import time
from typing import Any, Final

import psycopg
from jobledger.infra.errors import PoolerError
from psycopg import pq

PROBES: Final = 3
PROBE_TIMEOUT_SECONDS: Final = 2.0
"""In session mode a second client may wait for a free session; in transaction mode it does not."""
_BACKEND: Final = b"SELECT pg_backend_pid()"
_checked: set[str] = set()


def check_pooler(connection: psycopg.Connection[Any], backend: int) -> None:
    """Checks that the pooler of a connection, if there is one, keeps sessions. Each pooler is checked only once.

    Args:
        connection: The connection.
        backend: The id of the server process that served the connection so far.

    Raises:
        PoolerError: The pooler shares sessions between transactions.
    """
    about = connection.info
    place = f"{about.host}:{about.port}/{about.dbname}?{about.user}"
    if place in _checked:
        return
    if _is_shared(connection, backend):
        why = f"the pooler at {about.host}:{about.port} gives each transaction another session"
        raise PoolerError(
            why, "set pool_mode = session for this database, or connect to PostgreSQL itself"
        )
    _checked.add(place)


def _is_shared(connection: psycopg.Connection[Any], backend: int) -> bool:
    """Whether another client gets this connection's session, or this one gets another."""
    about = connection.info
    with psycopg.connect(about.dsn, password=about.password, autocommit=True) as second:
        # In transaction mode, a session is given to the next client between transactions.
        if _served_by(second) == backend:
            return True
        while_held = _served_by(connection)
        if while_held not in (backend, None):
            return True
    return any(_served_by(connection) != backend for _ in range(PROBES))


def _served_by(connection: psycopg.Connection[Any]) -> int | None:
    """Returns the id of the process that serves a transaction; None if the probe timed out."""
    pgconn = connection.pgconn
    pgconn.send_query(_BACKEND)
    pgconn.flush()
    deadline = time.monotonic() + PROBE_TIMEOUT_SECONDS
    while pgconn.is_busy():
        if not select.select([pgconn.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            pgconn.finish()
            return None
        pgconn.consume_input()
    backend = None
    while (result := pgconn.get_result()) is not None:
        if result.status == pq.ExecStatus.TUPLES_OK:
            backend = int(result.get_value(0, 0) or 0)
    return backend
