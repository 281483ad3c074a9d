"""Reads for the tasks of one asyncio loop.

Present jobs are read on the loop: all that are requested while one read runs share the next. Other
reads run in threads.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from threading import Lock
from typing import Final, Generic, TypeVar

import psycopg
from jobledger.domain.job import Job
from jobledger.infra.errors import LedgerClosedError
from jobledger.infra.eventstore.commit.appender import READ_JOBS
from jobledger.infra.postgres.connections import (
    AsyncConnection,
    connect_async,
    set_up_async_reader,
    translated,
)
from jobledger.infra.read.fair_threads import FairThreads
from jobledger.projections.jobs import job_of

Result = TypeVar("Result")
CHUNK: Final = 1_000
"""Values of an iteration that are read at a time."""


class AsyncReader:
    """Reads one ledger; any number of tasks of its loop may use it."""

    def __init__(self, info: str, threads: int) -> None:
        """`info` is the connection string, and `threads` how many reads run at once in threads."""
        self._info = info
        self._threads = FairThreads(threads, "jobledger-read")
        self._connection: AsyncConnection | None = None
        self._wanted: dict[str, list[asyncio.Future[Job | None]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, read: Callable[[], Result]) -> Result:
        """Runs a blocking function in a thread; raises LedgerClosedError after `close`."""
        if self._closed:
            raise LedgerClosedError
        return await self._threads.run(read)

    async def current(self, name: str) -> Job | None:
        """Returns the job as it is now, also a deleted one; None if there is none."""
        if self._closed:
            raise LedgerClosedError
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Job | None] = loop.create_future()
        self._wanted.setdefault(name, []).append(found)
        if self._reading is None:
            self._reading = loop.create_task(self._read_all())
        return await found

    async def close(self) -> None:
        """Closes the connection and the threads, after the present reads."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if self._connection is not None:
            await self._connection.close()

    async def _read_all(self) -> None:
        wanted: dict[str, list[asyncio.Future[Job | None]]] = {}
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                await self._answer(wanted)
        except BaseException:
            # The loop is ending: no task waits for the read.
            for found in chain(*wanted.values(), *self._wanted.values()):
                found.cancel()
            self._wanted = {}
            raise
        finally:
            self._reading = None

    async def _answer(self, wanted: Mapping[str, Iterable[asyncio.Future[Job | None]]]) -> None:
        waiting = [(name, found) for name, each in wanted.items() for found in each]
        try:
            jobs = await self._read([*wanted])
        except Exception as error:
            for _, found in waiting:
                if not found.done():  # Its task may be cancelled.
                    found.set_exception(error)
        else:
            for name, found in waiting:
                if not found.done():
                    found.set_result(jobs.get(name))

    async def _read(self, names: list[str]) -> dict[str, Job]:
        with translated():
            if self._connection is not None:
                # The connection may have broken since; the read can be repeated.
                with suppress(psycopg.OperationalError):
                    return await _jobs(self._connection, names)
                await self._connection.close()
            self._connection = None
            self._connection = await connect_async(self._info)
            await set_up_async_reader(self._connection)
            return await _jobs(self._connection, names)


async def _jobs(connection: AsyncConnection, names: list[str]) -> dict[str, Job]:
    cursor = await connection.execute(READ_JOBS, (names,), prepare=True, binary=True)
    return {row[0]: job_of(row) for row in await cursor.fetchall()}


class Chunks(Generic[Result]):
    """An iteration over rows whose chunks are read by any threads, one after the other."""

    def __init__(self, values: Iterator[Result]) -> None:
        self._values = values
        self._reading = Lock()

    def read(self) -> Sequence[Result]:
        """Returns the next values; none at the end."""
        with self._reading:
            return [*islice(self._values, CHUNK)]

    def close(self) -> None:
        """Ends the iteration, after the present chunk."""
        with self._reading:
            if isinstance(self._values, Generator):
                self._values.close()
