"""Readers' connections: one that broke is not given out, and the query of a thread can be given up from outside."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock, local
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

import psycopg
from psycopg_pool import ConnectionPool

_THIS: Final = local()


class Work:
    """The work of one thread; begun in that thread, and abandoned from any."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._connections: list[psycopg.Connection[Any]] = []
        self.abandoned = False

    def __enter__(self) -> Self:
        if self.abandoned:
            raise psycopg.errors.QueryCanceled("the caller gave up")
        _THIS.work = self
        return self

    def __exit__(self, *_: object) -> None:
        _THIS.work = None
        with self._lock:
            self._connections.clear()

    def abandon(self) -> None:
        """Cancels the query that runs, and lets no further one begin."""
        with self._lock:
            self.abandoned = True
            for connection in self._connections:
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=5)

    def take(self, connection: psycopg.Connection[Any]) -> None:
        """The thread uses the connection from now on."""
        with self._lock:
            self._connections.append(connection)

    def give(self, connection: psycopg.Connection[Any]) -> None:
        """Releases the connection; a cancelled one is closed, as the cancellation may arrive late."""
        with self._lock:
            # An iteration may have taken it in the work of another thread.
            if connection in self._connections:
                self._connections.remove(connection)
            if self.abandoned:
                connection.close()


def used_here(connection: psycopg.Connection[Any]) -> None:
    """The thread's work uses a connection of its own."""
    work: Work | None = getattr(_THIS, "work", None)
    if work is not None:
        work.take(connection)


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
        self._made_after: WeakKeyDictionary[psycopg.Connection[Any], int] = WeakKeyDictionary()
        """How many had been lost when each connection was made."""

        def note(connection: psycopg.Connection[Any]) -> None:
            losses = self._losses
            configure(connection)
            self._made_after[connection] = losses

        super().__init__(info, configure=note, **options)

    @contextmanager
    def connection(
        self, timeout: float | None = None
    ) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """As ConnectionPool.connection, without a transaction around the block: all are autocommit."""
        connection = self.getconn(timeout)
        try:
            yield connection
        finally:
            self.putconn(connection)

    def getconn(self, timeout: float | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """As ConnectionPool.getconn; raises QueryCanceled in work that was abandoned."""
        work: Work | None = getattr(_THIS, "work", None)
        if work is not None and work.abandoned:
            raise psycopg.errors.QueryCanceled("the caller gave up")
        connection = super().getconn(timeout)
        while self._made_after.get(connection) != self._losses or not _is_alive(connection):
            connection.close()
            super().putconn(connection)  # It makes another.
            connection = super().getconn(timeout)
        if work is not None:
            work.take(connection)
        return connection

    def putconn(self, conn: psycopg.Connection[tuple[Any, ...]]) -> None:
        """As ConnectionPool.putconn."""
        if conn.broken:
            self._losses += 1
        work: Work | None = getattr(_THIS, "work", None)
        if work is not None:
            work.give(conn)
        super().putconn(conn)


def _is_alive(connection: psycopg.Connection[Any]) -> bool:
    """Whether an idle connection still is one: the server did not end it."""
    if connection.closed:
        return False
    polling = select.poll()
    polling.register(connection.fileno(), select.POLLIN)
    if not polling.poll(0):
        return True  # The server sent nothing since the last answer.
    try:
        connection.pgconn.consume_input()  # A notice, the value of a parameter, or the end.
    except psycopg.OperationalError:
        return False
    return not connection.broken
