"""The query of a thread can be given up from outside."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock, local
from typing import Any, Final, Self

import psycopg

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


def current_work() -> Work | None:
    """The work of this thread, if it has any."""
    work: Work | None = getattr(_THIS, "work", None)
    return work


def used_here(connection: psycopg.Connection[Any]) -> None:
    """The thread's work uses a connection of its own."""
    if (work := current_work()) is not None:
        work.take(connection)
