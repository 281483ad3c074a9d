"""Work of a thread in the database that can be given up from outside: its query is cancelled."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock, local
from typing import Any, Final, Self

import psycopg
from psycopg_pool import ConnectionPool

_THIS: Final = local()


class Work:
    """What one thread does; entered in that thread, and abandoned from any."""

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
        """It does so no longer; what was cancelled is closed, for that may come late."""
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
    """A pool that tells the work of the thread which connections it uses."""

    def getconn(self, timeout: float | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """As ConnectionPool.getconn; raises QueryCanceled in work that was abandoned."""
        work: Work | None = getattr(_THIS, "work", None)
        if work is not None and work.abandoned:
            raise psycopg.errors.QueryCanceled("the caller gave up")
        connection = super().getconn(timeout)
        if work is not None:
            work.take(connection)
        return connection

    def putconn(self, conn: psycopg.Connection[tuple[Any, ...]]) -> None:
        """As ConnectionPool.putconn."""
        work: Work | None = getattr(_THIS, "work", None)
        if work is not None:
            work.give(conn)
        super().putconn(conn)
