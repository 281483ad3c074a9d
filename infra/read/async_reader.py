"""Reads for the tasks of one asyncio loop.

Present jobs are read on the loop: all that are requested while one read runs share the next. Other
reads run in threads.
"""

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import islice
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
from jobledger.infra.read.shared_reads import SharedReads
from jobledger.projections.jobs import job_of

Result = TypeVar("Result")
CHUNK: Final = 1_000
"""How many values of an iteration are read at a time."""


class AsyncReader:
    """Reads one ledger; any number of tasks of its loop may use it."""

    def __init__(self, info: str, threads: int) -> None:
        """`info` is the connection string, and `threads` how many reads run at once in threads."""
        self._info = info
        self._threads = FairThreads(threads, "jobledger-read")
        self._connection: AsyncConnection | None = None
        self._present = SharedReads(self._read)
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
        return await self._present.get(name)

    async def close(self) -> None:
        """Closes the connection and the threads, after the present reads."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        await self._present.end()
        if self._connection is not None:
            await self._connection.close()

    async def _read(self, names: Sequence[str]) -> dict[str, Job]:
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


async def _jobs(connection: AsyncConnection, names: Sequence[str]) -> dict[str, Job]:
    cursor = await connection.execute(READ_JOBS, (list(names),), prepare=True, binary=True)
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
