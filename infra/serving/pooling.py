"""Connections to PostgreSQL for turns (see turns.py): one loop's thread uses them, and none blocks it."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar, cast

import psycopg
from jobledger.infra.postgres.connections import (
    Connection,
    set_up_reader,
    translated,
)
from jobledger.infra.serving.turns import current_turn, in_turn, wait_for
from psycopg.generators import PQGen  # type: ignore[attr-defined]
from psycopg.waiting import Ready, Wait
from psycopg_pool import ConnectionPool

Result = TypeVar("Result")
CONNECTIONS: Final = 8
"""Connections for turns: as many reads as are under way at once; more wait."""
LOOK_AGAIN: Final = 1.0
"""Seconds after which a socket that nothing was heard of is tried all the same."""


class TurnConnection(psycopg.Connection[tuple[Any, ...]]):
    """Waits for its socket as turns do."""

    _asking = False
    _listening: int | None = None
    """The socket under a number of its own, once the loop watches it: libpq closes its own when the
    connection breaks, and the next one's may have that number before the loop has forgotten it."""
    _answer: asyncio.Future[Ready] | None = None

    def wait(
        self, gen: PQGen[Result], interval: float = 0.0, timeout: float | None = None
    ) -> Result:
        if not in_turn():
            return super().wait(gen, interval, timeout)
        self._asking = True
        try:
            wanted = next(gen)
            # What is sent fits the socket's buffer, nearly always: it is tried before it is waited for.
            if wanted & Wait.W:
                wanted = gen.send(Ready.W)
            while True:
                wanted = gen.send(self._ready(wanted))
        except StopIteration as end:
            result: Result = end.value
            return result
        except psycopg.Error:
            if self.broken:
                self._stop_listening()
            raise
        finally:
            self._asking = False

    def close(self) -> None:
        self._stop_listening()
        super().close()

    def _ready(self, wanted: Wait) -> Ready:
        """Waits until the socket can be read, or written."""
        loop = asyncio.get_running_loop()
        self._answer = answer = loop.create_future()
        if self._listening is None:
            self._listening = os.dup(self.pgconn.socket)
            loop.add_reader(self._listening, self._tell, Ready.R)
        if wanted & Wait.W:
            loop.add_writer(self._listening, self._tell, Ready.W)
        # uvloop watches a socket that was reset no longer, and says so to nobody.
        again = loop.call_later(LOOK_AGAIN, self._tell, Ready.R)
        try:
            return cast("Ready", wait_for(answer))
        except BaseException:
            # Given up in the middle: nobody knows what the server is about to say.
            self.close()
            raise
        finally:
            again.cancel()
            if wanted & Wait.W and self._listening is not None:
                loop.remove_writer(self._listening)

    def _tell(self, ready: Ready) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(ready)
        elif not self._asking:
            # Nobody asked it anything: it was closed, and says so to whoever asks next.
            self._stop_listening()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listening)
            loop.remove_writer(self._listening)
            os.close(self._listening)
            self._listening = None


class TurnPool(ConnectionPool[Connection]):
    """A pool for threads that has connections for turns, too."""

    turns: Turns

    def connection(self, timeout: float | None = None) -> AbstractContextManager[Connection]:  # type: ignore[override]
        return self.turns if in_turn() else super().connection(timeout)

    def close(self, timeout: float = 5.0) -> None:
        self.turns.close()
        super().close(timeout)


class Turns(AbstractContextManager[Connection]):
    """Connections on one loop's thread: no locks, and nobody blocks it.

    As a context it lends the turn one; what was lent last is given back first.
    """

    def __init__(self, info: str) -> None:
        self._info = info
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __enter__(self) -> Connection:
        turn = current_turn()
        turn.lent.append(connection := self._take())
        return connection

    def __exit__(self, *_: object) -> None:
        self._give_back(current_turn().lent.pop())

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _take(self) -> Connection:
        while True:
            if self._idle:
                return self._idle.pop()
            if self._open < CONNECTIONS:
                return self._connect()
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            wait_for(waiting)

    def _connect(self) -> Connection:
        self._open += 1
        try:
            # Connecting has waits of its own, and is rare: a thread does it.
            loop = asyncio.get_running_loop()
            return wait_for(loop.run_in_executor(None, connected, self._info, set_up_reader))
        except BaseException:
            self._open -= 1
            self._wake()
            raise

    def _give_back(self, connection: Connection) -> None:
        if connection.broken or connection.closed:
            # The server may be gone: the others would find that out one by one, each for another caller.
            self._open -= 1 + len(self._idle)
            self.close()
        else:
            self._idle.append(connection)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return


def connected(info: str, set_up: Callable[[Connection], None]) -> Connection:
    """A connection for turns; blocks its thread meanwhile."""
    with translated():
        connection = TurnConnection.connect(info, autocommit=True)
        set_up(connection)
    return connection
