"""Connections of a short-lived program: opened when none is free, without a thread for the pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from jobledger.infra.errors import LedgerClosedError
from jobledger.infra.postgres.connections import Connection, connect, set_up_reader


class FewConnections:
    """Gives out connections for reading to any number of threads; it starts faster than a pool."""

    def __init__(self, info: str, first: Connection | None = None) -> None:
        """`info` is the connection string; `first` is a connection that is open already."""
        self.closed = False
        self._info = info
        self._lock = Lock()
        self._free: list[Connection] = []
        if first is not None:
            set_up_reader(first)
            self._free.append(first)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lends a connection for the block; raises LedgerClosedError and LedgerUnavailableError."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._give(connection)

    def close(self) -> None:
        """Closes the connections that are not in use; the others are closed when they are given back."""
        with self._lock:
            self.closed, free, self._free = True, self._free, []
        for connection in free:
            connection.close()

    def _take(self) -> Connection:
        with self._lock:
            if self.closed:
                raise LedgerClosedError
            while self._free:
                if not (connection := self._free.pop()).closed:
                    return connection
        connection = connect(self._info)
        set_up_reader(connection)
        return connection

    def _give(self, connection: Connection) -> None:
        with self._lock:
            if not self.closed:
                self._free.append(connection)
                return
        connection.close()
