"""Limits by address for the gRPC server: how many connections one has, and how many calls.

gRPC's core limits neither, and closes no connection on request. Its sockets are files of this
process, though: one that is too many is shut down there, which the core takes for a client that left.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.errors import OverloadedError
from jobledger.infra.serving.connections import HEAD_SECONDS, Connections

FILES: Final = Path("/dev/fd")
"""The open files of a process, on Linux and macOS."""
SWEEP_SECONDS: Final = 0.25
"""How long a connection may be open before it is counted."""

Address = tuple[str, int]


class _Peer:
    """One connection, known by the address and port of its client."""

    in_body: Final = False

    def __init__(self, address: Address) -> None:
        self.address = address
        self.waits_since: float | None = None
        self.in_work = 0
        """Calls whose message has arrived."""
        self.file: int | None = None
        """Where its socket was found last."""
        self.is_ending = False

    def abort(self) -> None:
        """Shuts its socket down, if the file is still that; a later sweep does if it is not found yet."""
        self.is_ending = True
        if self.file is not None and (found := _socket(self.file)) is not None:
            with found, suppress(OSError):
                if found.getpeername()[:2] == self.address:
                    found.shutdown(socket.SHUT_RDWR)


class _Call:
    """One call, whose message may not have arrived yet."""

    in_body: Final = False

    def __init__(self, peer: _Peer) -> None:
        self.waits_since: float | None = None
        self._peer = peer
        self._is_refused = False
        self._timeout: asyncio.Timeout | None = None

    def abort(self) -> None:
        """Ends the wait for its message."""
        self._is_refused = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def message(self, messages: AsyncIterator[bytes]) -> bytes:
        """The call's message; raises OverloadedError if it does not come in time."""
        if self._is_refused:
            raise OverloadedError("too many calls of this address are on their way")
        try:
            async with asyncio.timeout(HEAD_SECONDS) as self._timeout:
                data = await anext(messages, None)
        except TimeoutError:
            raise OverloadedError("the call's message did not come in time") from None
        if data is None:
            raise InvalidFieldError("request", "the call has no message; send exactly one")
        self._timeout = self.waits_since = self._peer.waits_since = None
        self._peer.in_work += 1
        return data

    def close(self, now: float) -> None:
        """The call is over."""
        if self.waits_since is None:
            self._peer.in_work -= 1
            self._peer.waits_since = None if self._peer.in_work else now


class Peers:
    """The clients of one gRPC server; used in its event loop only."""

    def __init__(self, most_calls: int) -> None:
        """Sets how many calls may be open at once; half of them may come from one address."""
        self._clock = asyncio.get_running_loop().time
        self._connections = Connections(self._clock)
        self._calls = Connections(self._clock, lambda: most_calls)
        self._peers: dict[Address, _Peer] = {}

    @contextmanager
    def call(self, peer: str) -> Iterator[_Call]:
        """While this holds, a client has a call; neither makes way once its message has come.

        Args:
            peer: The client's address and port, as the core writes them.

        Yields:
            The call, which waits for its message.
        """
        address = _parse(peer)
        call = _Call(self._find(address))
        self._calls.open(call, address[0])
        try:
            yield call
        finally:
            self._calls.close(call)
            call.close(self._clock())

    def sweep(self, port: int) -> None:
        """Counts the connections to `port`, and closes those that are too many."""
        found = dict(_connections(port))
        for address in self._peers.keys() - found.keys():
            self._connections.close(self._peers.pop(address))
        for address, file in found.items():
            peer = self._find(address, file)
            if peer.is_ending:
                peer.abort()

    async def serve(self, port: int) -> None:
        """Sweeps until it is cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(port)

    def _find(self, address: Address, file: int | None = None) -> _Peer:
        found = self._peers.get(address)
        if found is None:
            found = self._peers[address] = _Peer(address)
            found.file = file
            self._connections.open(found, address[0])
        if file is not None:
            found.file = file
        return found


def _connections(port: int) -> Iterator[tuple[Address, int]]:
    """The clients of this process's sockets on a port, and the file of each."""
    for path in FILES.iterdir():
        if (found := _socket(int(path.name))) is None:
            continue
        with found, suppress(OSError, TypeError, IndexError):  # It listens, or is of a path.
            if found.getsockname()[1] == port:
                yield found.getpeername()[:2], int(path.name)


def _socket(file: int) -> socket.socket | None:
    """A second handle of a file that is a socket of the internet; None of another one."""
    try:
        copy = os.dup(file)
    except OSError:  # It was closed meanwhile.
        return None
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None
    if found.family in {socket.AF_INET, socket.AF_INET6}:
        return found
    found.close()
    return None


def _parse(peer: str) -> Address:
    """Address and port of `ipv4:127.0.0.1:1234` or `ipv6:%5B::1%5D:1234`."""
    host, _, port = unquote(peer).partition(":")[2].rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else 0
