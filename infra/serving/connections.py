"""Limits connections without a complete request: their number, per address, and their time.

A connection takes a file and memory before its caller is known. A connection
that waits (for its first byte, the rest of a head or of a body, or the next request) is closed for
a new one when there are too many. A connection with a complete request is never closed.
"""

import ipaddress
import resource
from collections.abc import Callable
from operator import itemgetter
from typing import Final, Protocol

HEAD_SECONDS: Final = 10.0
"""How long a head may take."""
BODY_SECONDS: Final = 60.0
"""How long a request may take to arrive whole; servers have shorter deadlines for bodies."""
SWEEP_SECONDS: Final = 1.0
MAX_CONNECTIONS: Final = 4_096
RESERVED_FILES: Final = 128
"""Open files that a process needs for other purposes: its database, its log, its modules."""


class Connection(Protocol):
    """The part of a protocol that is used here."""

    waits_since: float | None
    """Since when the server waits for a request or a part of one, in seconds; None while a request is processed."""

    @property
    def in_body(self) -> bool:
        """Whether the head of a request was received, but not its body."""
        ...

    def abort(self) -> None:
        """Closes the connection at once."""
        ...


class Connections:
    """All connections of one server."""

    def __init__(self, clock: Callable[[], float], most: Callable[[], int] | None = None) -> None:
        """`clock` returns seconds; `most` is how many connections may be open."""
        self._clock = clock
        self._most = most_connections if most is None else most
        self._address: dict[Connection, str] = {}
        self._of: dict[str, int] = {}
        self._oldest: dict[str, list[tuple[float, Connection]]] = {}
        """For each address: the waiting connections when they were last sorted, the longest waiting last."""

    def __len__(self) -> int:
        return len(self._address)

    def open(self, connection: Connection, address: str) -> None:
        """Counts an accepted connection; if there are too many, closes another one, or this one."""
        network = _network(address)
        self._address[connection] = network
        self._of[network] = self._of.get(network, 0) + 1
        connection.waits_since = self._clock()
        most = self._most()
        if self._of[network] > max(1, most // 2):
            self._make_room(network)
        elif len(self._address) > most:
            self._make_room(max(self._of, key=self._of.__getitem__))

    def close(self, connection: Connection) -> None:
        """Stops counting a connection; does nothing if it is not counted."""
        network = self._address.pop(connection, None)
        if network is None:
            return
        self._of[network] -= 1
        if not self._of[network]:
            del self._of[network]
            self._oldest.pop(network, None)

    def sweep(self) -> None:
        """Closes the connections that took too long."""
        now = self._clock()
        late = [
            connection
            for connection in self._address
            if connection.waits_since is not None
            and now - connection.waits_since
            > (BODY_SECONDS if connection.in_body else HEAD_SECONDS)
        ]
        for connection in late:
            self._abort(connection)

    def _make_room(self, network: str) -> None:
        """Closes the connection of that address that has waited longest."""
        found = self._longest_waiting(network)
        if found is None:
            self._oldest[network] = self._sorted(network)
            found = self._longest_waiting(network)
        # If all others are processing requests, the newest connection is closed.
        self._abort(found or next(reversed(self._address)))

    def _longest_waiting(self, network: str) -> Connection | None:
        """Finds the longest waiting connection; they are sorted by time."""
        oldest = self._oldest.get(network, [])
        while oldest:
            since, connection = oldest.pop()
            if connection.waits_since == since and connection in self._address:
                return connection
        return None

    def _sorted(self, network: str) -> list[tuple[float, Connection]]:
        waiting = [
            (connection.waits_since, connection)
            for connection, address in reversed(self._address.items())
            if address == network and connection.waits_since is not None
        ]
        return sorted(waiting, key=itemgetter(0), reverse=True)

    def _abort(self, connection: Connection) -> None:
        self.close(connection)
        connection.abort()


def most_connections() -> int:
    """Returns the limit of open files, less those that the process needs itself."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(16, min(MAX_CONNECTIONS, files - RESERVED_FILES))


def _network(address: str) -> str:
    """Returns the address by which connections are counted; for IPv6 the first 64 bits, which one subscriber has."""
    if ":" not in address:
        return address
    try:
        packed = ipaddress.IPv6Address(address.partition("%")[0]).packed
    except ValueError:
        return address
    return packed[:8].hex()
