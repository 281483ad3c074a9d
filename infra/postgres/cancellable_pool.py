"""Readers' connections: one that broke is not given out, and what a thread's query uses can be cancelled."""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import psycopg
from jobledger.infra.postgres.abandoned import current_work
from psycopg_pool import ConnectionPool

FRESH_SECONDS: Final = 0.01
"""A connection that was used so recently is given out without a look at its socket."""


class PooledConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection of a pool."""

    made_after = -1
    """How many connections of the pool had been lost when it was made."""
    used = 0.0
    """When it was last used, on the monotonic clock."""
    polling: select.poll
    """Finds out whether the server sent something."""


class CancellablePool(ConnectionPool[psycopg.Connection[tuple[Any, ...]]]):
    """A pool that registers its connections with the work of the thread, so that they can be cancelled.

    It gives out none that broke. If one breaks while it is used, all that were made before are
    replaced when their turn comes: what ended it may be about to end them.
    """

    def __init__(
        self, info: str, configure: Callable[[psycopg.Connection[Any]], None], **options: Any
    ) -> None:
        """As ConnectionPool; `configure` sets a new connection up."""
        self._losses = 0

        def note(connection: psycopg.Connection[Any]) -> None:
            assert isinstance(connection, PooledConnection)
            losses = self._losses
            configure(connection)
            connection.polling = select.poll()
            connection.polling.register(connection.fileno(), select.POLLIN)
            connection.made_after = losses

        super().__init__(info, connection_class=PooledConnection, configure=note, **options)

    def connection(self, timeout: float | None = None) -> Lent:  # type: ignore[override] # It is entered, and no more.
        """As ConnectionPool.connection, without a transaction around the block: all are autocommit."""
        return Lent(self, timeout)

    def getconn(self, timeout: float | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """As ConnectionPool.getconn; raises QueryCanceled in work that was abandoned."""
        work = current_work()
        if work is not None and work.abandoned:
            raise psycopg.errors.QueryCanceled("the caller gave up")
        connection = super().getconn(timeout)
        while not self._is_usable(connection):
            connection.close()
            super().putconn(connection)  # It makes another.
            connection = super().getconn(timeout)
        if work is not None:
            work.take(connection)
        return connection

    def _is_usable(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether it was made after the last loss, and the server did not end it."""
        assert isinstance(connection, PooledConnection)
        if connection.made_after != self._losses or connection.closed:
            return False
        if monotonic() - connection.used < FRESH_SECONDS or not connection.polling.poll(0):
            return True  # The server sent nothing since the last answer.
        try:
            connection.pgconn.consume_input()  # A notice, the value of a parameter, or the end.
        except psycopg.OperationalError:
            return False
        return not connection.broken

    def putconn(self, conn: psycopg.Connection[tuple[Any, ...]]) -> None:
        """As ConnectionPool.putconn."""
        assert isinstance(conn, PooledConnection)
        conn.used = monotonic()
        if conn.broken:
            self._losses += 1
        work = current_work()
        if work is not None:
            work.give(conn)
        super().putconn(conn)


class Lent:
    """A connection of a pool for a block; a class, because entering a generator takes twice as long."""

    __slots__ = ("_connection", "_pool", "_timeout")

    def __init__(self, pool: CancellablePool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout

    def __enter__(self) -> psycopg.Connection[tuple[Any, ...]]:
        self._connection = self._pool.getconn(self._timeout)
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._pool.putconn(self._connection)
