"""Turns: callers that wait for PostgreSQL, or for the committer, without a thread each.

A server's requests are answered on one thread. What asks the ledger for them is written as if it
waited; in a turn (a greenlet) it hands the thread over instead, and is taken up again when what it
waits for is there. Threads would wait for the interpreter instead: with 64 writers beside it, a
reader lost it a dozen times a request.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from greenlet import getcurrent, greenlet
from jobledger.infra.committer import MAX_BATCH, Committer, refusal
from jobledger.infra.ledger import Host
from jobledger.infra.postgres.connections import (
    Connection,
    pool_options,
    set_up,
    set_up_reader,
    translated,
)
from jobledger.infra.writes import Write
from psycopg.generators import PQGen  # type: ignore[attr-defined]
from psycopg.waiting import Ready, Wait
from psycopg_pool import ConnectionPool

Result = TypeVar("Result")
CONNECTIONS: Final = 8
"""Connections for turns: as many reads as are under way at once; more wait."""


class Turn(greenlet):  # type: ignore[misc]
    """One piece of work on the loop's thread."""


async def take_turn(work: Callable[[], Result]) -> Result:
    """Does it on this thread, and other things while it waits; raises what it raises."""
    turn = Turn(work)
    said: Any = turn.switch()
    while not turn.dead:
        try:
            came = await said
        except BaseException as error:
            said = turn.throw(error)
        else:
            said = turn.switch(came)
    result: Result = said
    return result


def in_turn() -> bool:
    """Whether the caller is in a turn."""
    return isinstance(getcurrent(), Turn)


def wait_for(awaitable: Awaitable[Result]) -> Result:
    """What it comes to; in a turn only."""
    parent = getcurrent().parent
    assert parent is not None
    result: Result = parent.switch(awaitable)
    return result


class TurnLock:
    """What a write's caller waits on: taken from the start, and released once, by any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._released = self._loop.create_future()

    def acquire(self) -> None:
        if in_turn():
            # Shielded: a caller that gives up leaves its place to another, who still waits for this.
            wait_for(asyncio.shield(self._released))
            return
        done = threading.Event()
        self._loop.call_soon_threadsafe(self._released.add_done_callback, lambda _: done.set())
        done.wait()

    def release(self) -> None:
        if in_turn() or asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - the public one raises
            self._released.set_result(None)
        else:
            self._loop.call_soon_threadsafe(self._released.set_result, None)


class TurnConnection(psycopg.Connection[tuple[Any, ...]]):
    """Waits for its socket as turns do."""

    def wait(
        self, gen: PQGen[Result], interval: float = 0.0, timeout: float | None = None
    ) -> Result:
        if not in_turn():
            return super().wait(gen, interval, timeout)
        loop, socket = asyncio.get_running_loop(), self.pgconn.socket
        try:
            wanted = next(gen)
            # What is sent fits the socket's buffer, nearly always: it is tried before it is waited for.
            if wanted & Wait.W:
                wanted = gen.send(Ready.W)
            while True:
                wanted = gen.send(_ready(loop, socket, wanted))
        except StopIteration as end:
            result: Result = end.value
            return result
        except BaseException:
            # Given up in the middle: nobody knows what the server is about to say.
            self.pgconn.finish()
            raise


def _ready(loop: asyncio.AbstractEventLoop, socket: int, wanted: Wait) -> Ready:
    """Waits until the socket can be read, or written."""
    ready: asyncio.Future[Ready] = loop.create_future()
    if wanted & Wait.R:
        loop.add_reader(socket, _tell, ready, Ready.R)
    if wanted & Wait.W:
        loop.add_writer(socket, _tell, ready, Ready.W)
    try:
        return wait_for(ready)
    finally:
        loop.remove_reader(socket)
        if wanted & Wait.W:
            loop.remove_writer(socket)


def _tell(ready: asyncio.Future[Ready], how: Ready) -> None:
    if not ready.done():
        ready.set_result(how)


class TurnPool(ConnectionPool[Connection]):
    """A pool for threads that has connections for turns, too."""

    turns: _Turns

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection]:
        if not in_turn():
            with super().connection(timeout) as connection:
                yield connection
            return
        with self.turns.connection() as connection:
            yield connection

    def close(self, timeout: float = 5.0) -> None:
        self.turns.close()
        super().close(timeout)


class _Turns:
    """Connections on one loop's thread: no locks, and nobody blocks it."""

    def __init__(self, info: str) -> None:
        self._info = info
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

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
            return wait_for(loop.run_in_executor(None, _connected, self._info, set_up_reader))
        except BaseException:
            self._open -= 1
            self._wake()
            raise

    def _give_back(self, connection: Connection) -> None:
        if connection.broken or connection.closed:
            self._open -= 1
        else:
            self._idle.append(connection)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return


def _connected(info: str, set_up: Callable[[Connection], None]) -> Connection:
    """A connection for turns; blocks its thread meanwhile."""
    with translated():
        connection = TurnConnection.connect(info, autocommit=True)
        set_up(connection)
    return connection


class TurnCommitter(Committer):
    """Commits on the loop's thread, as a turn of its own: while a batch is on its way the next one gathers."""

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._gathered: deque[Write] = deque()
        self._committing: asyncio.Task[None] | None = None

    def submit(self, write: Write) -> None:
        self._put(write)
        write.wait()

    def submit_all(self, writes: Sequence[Write]) -> list[BaseException | None]:
        for write in writes:
            self._put(write)
        return [refusal(write) for write in writes]

    def close(self) -> None:
        """Nobody waits any more: the server has answered them all."""
        if self._appender is not None:
            self._appender.close()

    def _put(self, write: Write) -> None:
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - the public one raises
            self._gather(write)
        else:
            self._loop.call_soon_threadsafe(self._gather, write)

    def _gather(self, write: Write) -> None:
        self._gathered.append(write)
        if self._committing is None:
            self._committing = self._loop.create_task(take_turn(self._commit_all))

    def _commit_all(self) -> None:
        try:
            while self._gathered:
                most = min(len(self._gathered), MAX_BATCH)
                self._commit([self._gathered.popleft() for _ in range(most)])
        finally:
            self._committing = None

    def _pause(self, seconds: float) -> None:
        wait_for(asyncio.sleep(seconds))


class TurnHost(Host):
    """Lets a ledger's callers wait in turns where they are in one, and in threads elsewhere.

    The ledger is opened and closed on the loop's thread.
    """

    def pool(self, info: str, size: int) -> ConnectionPool[Connection]:
        pool = TurnPool(info, **pool_options(size))
        pool.turns = _Turns(info)
        return pool

    def committer(self, info: str) -> Committer:
        loop = asyncio.get_running_loop()
        return TurnCommitter(lambda: wait_for(loop.run_in_executor(None, _connected, info, set_up)))

    def lock(self) -> TurnLock | None:
        return TurnLock() if in_turn() else None
