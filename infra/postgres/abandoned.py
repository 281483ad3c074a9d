"""Cancels the query of a thread from another thread."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock, local
from typing import Any, Final, Self

import psycopg

_THIS: Final = local()


class Work:
    """The database work of one thread. It begins in that thread, and any thread may abandon it."""

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
        """Cancels the running query, and prevents further ones."""
        with self._lock:
            self.abandoned = True
            for connection in self._connections:
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=5)

    def take(self, connection: psycopg.Connection[Any]) -> None:
        """Records that the thread uses the connection."""
        with self._lock:
            self._connections.append(connection)

    def give(self, connection: psycopg.Connection[Any]) -> None:
        """Releases the connection; a cancelled one is closed, as the cancellation may arrive late."""
        with self._lock:
            # An iteration may have taken the connection in the work of another thread.
            if connection in self._connections:
                self._connections.remove(connection)
            if self.abandoned:
                connection.close()


def current_work() -> Work | None:
    """Returns the work of this thread, if there is any."""
    work: Work | None = getattr(_THIS, "work", None)
    return work


def used_here(connection: psycopg.Connection[Any]) -> None:
    """Records that the thread's work uses its own connection during the block."""
    if (work := current_work()) is not None:
        work.take(connection)
