"""Where a server's ledger waits: how it commits and reads for turns (see turns.py).

The ledger is opened and closed on the loop's thread. Threads can use it, too: they wait as ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from jobledger.domain.job import Job
from jobledger.infra.eventstore.appender import READ_JOBS, Appender
from jobledger.infra.eventstore.committer import MAX_BATCH, Committer, refusal
from jobledger.infra.eventstore.pending import Write
from jobledger.infra.ledger import Host
from jobledger.infra.postgres.connections import (
    Connection,
    pool_options,
    set_up,
    translated,
)
from jobledger.infra.read.reader import Reads
from jobledger.infra.serving.pooling import TurnPool, Turns, connected
from jobledger.infra.serving.turns import TurnLock, in_turn, take_turn, wait_for
from jobledger.projections.jobs import job_of
from psycopg import pq
from psycopg.generators import execute
from psycopg_pool import ConnectionPool


class TurnAppender(Appender):
    """Lets the thread go on while PostgreSQL commits."""

    def _execute(self, parameters: Sequence[bytes | None]) -> pq.abc.PGresult:
        self._pg.send_query_prepared(b"append", parameters)
        results: list[pq.abc.PGresult] = self.connection.wait(execute(self._pg))
        return results[-1]


class TurnCommitter(Committer):
    """Commits on the loop's thread, as a turn of its own: while a batch is on its way the next one gathers."""

    appender = TurnAppender

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


class Gathering:
    """Reads jobs as they are: what is asked for while one read is on its way is read together by the next."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._wanted: dict[str, list[asyncio.Future[Job | None]]] = {}
        self._reading: asyncio.Task[None] | None = None

    def read(self, name: str) -> Job | None:
        """In a turn only."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Job | None] = loop.create_future()
        self._wanted.setdefault(name, []).append(found)
        if self._reading is None:
            self._reading = loop.create_task(take_turn(self._read_all))
        return wait_for(found)

    def _read_all(self) -> None:
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                try:
                    jobs = self._read(list(wanted))
                except Exception as error:
                    for _, found in _waiting(wanted):
                        found.set_exception(error)
                else:
                    for name, found in _waiting(wanted):
                        found.set_result(jobs.get(name))
        finally:
            self._reading = None

    def _read(self, names: list[str]) -> dict[str, Job]:
        with translated(), self._pool.connection() as connection:
            return {
                row[0]: job_of(row) for row in connection.execute(READ_JOBS, (names,), binary=True)
            }


def _waiting(
    wanted: Mapping[str, list[asyncio.Future[Job | None]]],
) -> Iterator[tuple[str, asyncio.Future[Job | None]]]:
    """Those who did not give up."""
    for name, asking in wanted.items():
        yield from ((name, found) for found in asking if not found.done())


class TurnHost(Host):
    """Lets a ledger's callers wait in turns where they are in one, and in threads elsewhere."""

    def pool(self, info: str, size: int) -> ConnectionPool[Connection]:
        pool = TurnPool(info, **pool_options(size))
        pool.turns = Turns(info)
        self._gathering = Gathering(pool)
        return pool

    def committer(self, info: str) -> Committer:
        loop = asyncio.get_running_loop()
        return TurnCommitter(lambda: wait_for(loop.run_in_executor(None, connected, info, set_up)))

    def current(self, ledger: Reads, name: str) -> Job | None:
        return self._gathering.read(name) if in_turn() else super().current(ledger, name)

    def lock(self) -> TurnLock | None:
        return TurnLock() if in_turn() else None
