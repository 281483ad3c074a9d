"""The pool of readers' connections. Broken connections are not given out, and a thread's query can be cancelled."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import psycopg
from jobledger.infra.postgres.abandoned import current_work
from psycopg_pool import ConnectionPool

FRESH_SECONDS: Final = 0.01
"""A connection that was used within this time is given out without checking its socket."""


class PooledConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection of a pool."""

    made_after = -1
    """How many connections the pool had lost when this one was opened."""
    used = 0.0
    """When it was last used, on the monotonic clock."""
    polling: select.poll
    """Polls whether the server sent something."""


class CancellablePool(ConnectionPool[psycopg.Connection[tuple[Any, ...]]]):
    """A pool that registers its connections with the work of the thread, so that they can be cancelled.

    Broken connections are not given out. If one breaks while it is used, all that were opened before are
    replaced before they are used again, because the same cause may end them.
    """

    def __init__(
        self, info: str, configure: Callable[[psycopg.Connection[Any]], None], **options: Any
    ) -> None:
        """Takes the arguments of ConnectionPool; `configure` sets up a new connection."""
        self._losses = 0
        self._process = os.getpid()

        def note(connection: psycopg.Connection[Any]) -> None:
            assert isinstance(connection, PooledConnection)
            losses = self._losses
            configure(connection)
            connection.polling = select.poll()
            connection.polling.register(connection.fileno(), select.POLLIN)
            connection.made_after = losses

        super().__init__(info, connection_class=PooledConnection, configure=note, **options)

    def __del__(self) -> None:
        # In a forked child, the pool of its parent has no threads, and its lock may be held.
        if self._process == os.getpid():
            super().__del__()

    def connection(self, timeout: float | None = None) -> Lent:  # type: ignore[override] # It is entered, and no more.
        """Does the same as ConnectionPool.connection, without a transaction: all connections are in autocommit mode."""
        return Lent(self, timeout)

    def getconn(self, timeout: float | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """Does the same as ConnectionPool.getconn; raises QueryCanceled in abandoned work."""
        work = current_work()
        if work is not None and work.abandoned:
            raise psycopg.errors.QueryCanceled("the caller gave up")
        connection = super().getconn(timeout)
        while not self._is_usable(connection):
            connection.close()
            super().putconn(connection)  # The pool then opens another one.
            connection = super().getconn(timeout)
        if work is not None:
            work.take(connection)
        return connection

    def _is_usable(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether the connection was opened after the last loss, and the server did not close it."""
        assert isinstance(connection, PooledConnection)
        if connection.made_after != self._losses or connection.closed:
            return False
        if monotonic() - connection.used < FRESH_SECONDS or not connection.polling.poll(0):
            return True  # The server sent nothing since the last answer.
        try:
            connection.pgconn.consume_input()  # The server sent a notice or a parameter's value, or closed the connection.
        except psycopg.OperationalError:
            return False
        return not connection.broken

    def putconn(self, conn: psycopg.Connection[tuple[Any, ...]]) -> None:
        """Does the same as ConnectionPool.putconn."""
        assert isinstance(conn, PooledConnection)
        conn.used = monotonic()
        if conn.broken:
            self._losses += 1
        work = current_work()
        if work is not None:
            work.give(conn)
        super().putconn(conn)


class Lent:
    """Lends a connection for a block. It is a class, because entering a generator takes twice as long."""

    __slots__ = ("_connection", "_pool", "_timeout")

    def __init__(self, pool: CancellablePool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout

    def __enter__(self) -> psycopg.Connection[tuple[Any, ...]]:
        self._connection = self._pool.getconn(self._timeout)
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._pool.putconn(self._connection)
