"""A proxy to the server that can be cut, blocked and opened again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread

import psycopg
from psycopg.conninfo import make_conninfo


class Proxy:
    """Passes connections on to the server of a DSN; `dsn` leads through it."""

    def __init__(self, dsn: str) -> None:
        with psycopg.connect(dsn) as connection:
            self._host, self._port = connection.info.host, connection.info.port
        self._open: list[socket.socket] = []
        self._lock = Lock()
        self._is_up = True
        self._answers = True
        self._server = socket.create_server(("127.0.0.1", 0))
        port = self._server.getsockname()[1]
        self.dsn = make_conninfo(dsn, host="127.0.0.1", hostaddr="", port=port, sslmode="disable")
        Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends all connections, and refuses others."""
        self._is_up = False
        self._end()

    def block(self) -> None:
        """Ends all connections; others are accepted and never answered."""
        self._answers = False
        self._end()

    def mend(self) -> None:
        """Lets connections through again."""
        self._is_up = self._answers = True
        self._end()

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _end(self) -> None:
        with self._lock:
            ended, self._open = self._open, []
        for one in ended:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                if not self._is_up:
                    client.close()
                    continue
                with self._lock:
                    self._open.append(client)
                if self._answers:
                    self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        if self._host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            server = socket.create_connection((self._host, self._port))
        with self._lock:
            self._open.append(server)
        for one, other in ((client, server), (server, client)):
            Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(dsn: str) -> Iterator[Proxy]:
    """A proxy to the server of a DSN."""
    proxy = Proxy(dsn)
    try:
        yield proxy
    finally:
        proxy.close()
