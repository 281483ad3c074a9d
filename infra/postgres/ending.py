"""Ends a process in time, even if the database does not answer.

Callers that wait for a server that does not answer, or for a lock, are answered: a
statement is cancelled first, so that its write is certain not to be recorded. A connection on which
that has no effect is cut.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import psycopg
from psycopg import pq

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

CANCEL_SECONDS: Final = 1.0
"""How long a cancelled statement may take to end before its connection is cut."""
LOOK_SECONDS: Final = 0.02
LEAST_SECONDS: Final = 3.0
GRACE_SECONDS: Final = 5.0
"""How long callers may wait for a database after the process was asked to stop."""
STOPPING: Final = "this process is stopping, and the database did not answer before"
"""The error for callers that still wait."""


class OpenConnections:
    """All connections of a process to any database, so that they can be closed when it ends."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = Lock()
        self._open: WeakSet[psycopg.BaseConnection[Any]] = WeakSet()
        self._pools: WeakSet[ConnectionPool[Any]] = WeakSet()
        self._ended = Event()

    @property
    def ended(self) -> bool:
        """Whether `end` was called: no connection is opened, and no write is repeated, any more."""
        return self._ended.is_set()

    def add(self, connection: psycopg.BaseConnection[Any]) -> None:
        """Registers a new connection; raises OperationalError after `end` was called."""
        self.check()
        with self._lock:
            self._open.add(connection)

    def add_pool(self, pool: ConnectionPool[Any]) -> None:
        """Registers a pool: waiting for one of its connections counts as waiting for the database."""
        with self._lock:
            self._pools.add(pool)

    def check(self) -> None:
        """Raises OperationalError after `end` was called."""
        if self.ended:
            raise psycopg.OperationalError(STOPPING)

    def end(self) -> None:
        """Cancels the running statements, and cuts connections that are still busy a second later."""
        self._ended.set()
        with self._lock:
            still_open = [each for each in self._open if not each.closed]
            pools = [*self._pools]
        busy = [each for each in still_open if _is_busy(each)]
        cancelling = [Thread(target=_cancel, args=(each,), daemon=True) for each in busy]
        for thread in cancelling:
            thread.start()
        deadline = time.monotonic() + CANCEL_SECONDS
        while time.monotonic() < deadline and any(map(_is_busy, busy)):
            time.sleep(LOOK_SECONDS)
        for connection in still_open:
            _cut(connection)
        for pool in pools:
            pool.close(timeout=LOOK_SECONDS)

    def leave_to_parent(self) -> None:
        """Replaces the sockets of a forked child by the null device; its parent goes on to use them."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for connection in list(self._open):
            with suppress(OSError, psycopg.Error):
                os.dup2(null, connection.fileno(), inheritable=False)
        os.close(null)
        self._begin()


CONNECTIONS: Final = OpenConnections()
"""The connections of this process."""
os.register_at_fork(after_in_child=CONNECTIONS.leave_to_parent)


class Ending:
    """Ends this process in time after it was asked to stop."""

    def __init__(
        self, grace_seconds: float, last_words: Callable[[], object] = lambda: None
    ) -> None:
        """`grace_seconds` is how long callers may still wait for a database.

        After the same time again, or three seconds if that is longer, the process ends with
        exit code 0: everything that was acknowledged is recorded. `last_words` is called before that.
        """
        self._grace_seconds = grace_seconds
        self._last_words = last_words
        self._has_begun = Event()

    def begin(self) -> None:
        """Starts the countdown and returns at once. It may be called in a signal handler, and repeatedly."""
        if not self._has_begun.is_set():
            self._has_begun.set()
            Thread(target=self._end, name="jobledger-ending", daemon=True).start()

    def _end(self) -> None:
        time.sleep(self._grace_seconds)
        CONNECTIONS.end()
        time.sleep(max(self._grace_seconds, LEAST_SECONDS))
        self._last_words()
        os._exit(0)


def _is_busy(connection: psycopg.BaseConnection[Any]) -> bool:
    return connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE


def _cancel(connection: psycopg.BaseConnection[Any]) -> None:
    with suppress(psycopg.Error):
        connection.cancel()


def _cut(connection: psycopg.BaseConnection[Any]) -> None:
    """Cuts the connection of a thread that waits on it."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
