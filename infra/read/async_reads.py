"""The reads that `AsyncLedger` does differently from `Ledger`: on the loop, or in chunks."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final

from jobledger.domain.job import Job
from jobledger.domain.values.arguments import parse_count
from jobledger.domain.values.moments import Clock
from jobledger.domain.values.names import parse_name
from jobledger.infra.eventstore.feed import Cursor
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.forwarding import documented
from jobledger.infra.postgres.connections import AsyncConnection, connect_async
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.read.async_reader import CHUNK, AsyncReader, Chunks
from jobledger.infra.read.decryption import Shown, holds_encrypted
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Reader

FIRST_PAUSE_SECONDS: Final = 0.002
MAX_PAUSE_SECONDS: Final = 0.05


class AsyncReads:
    """Reads one ledger for the tasks of one loop."""

    def __init__(self, reader: Reader, loop_reader: AsyncReader) -> None:
        """`loop_reader` reads current jobs on the loop, and runs blocking reads in threads."""
        self._reader = reader
        self._loop_reader = loop_reader

    @documented(Reader.get)
    async def get(
        self, name: str, *, as_of: Given | None = None, clock: Clock | str | None = None
    ) -> Job:
        if as_of is None and clock is None:
            job = await self._loop_reader.current(parse_name(name))
            if job is not None and job.delete_time is None:
                return job
            # There is no such job: a read in a thread raises the right error.
        return await self._loop_reader.run(
            partial(self._reader.get, name, as_of=as_of, clock=clock)
        )

    async def events_after(
        self, after: int, limit: int, *, is_reached: bool = False
    ) -> Sequence[RecordedEvent]:
        """Returns some events after a position, in commit order.

        Args:
            after: Events after this position; 0 is the beginning.
            limit: The most events to return; fewer are returned at the end, or if they are large.
            is_reached: Whether the ledger is known to have reached `after`; skips the check.

        Returns:
            The events, oldest first.

        Raises:
            BeyondEndError: `after` is past the last position.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> import asyncio
            >>> from jobledger import AsyncLedger
            >>> async def main():
            ...     async with await AsyncLedger.open(dsn, ledger_name) as ledger:
            ...         await ledger.create("projects/demo/jobs/a")
            ...         return [event.type for event in await ledger.events_after(0, 100)]
            >>> asyncio.run(main())
            ['Created']
        """
        page = partial(self._reader.feed.events_page, after, limit, is_reached=is_reached)
        return await self._loop_reader.run(page)

    async def history_page(
        self, name: str, after: int, limit: int
    ) -> tuple[list[RecordedEvent], bool]:
        """Returns some events of a job in the order of versions, and whether more follow.

        Args:
            name: The job's resource name (AIP-122).
            after: Events after this version, from 0.
            limit: The most events to return; fewer are returned if they are large.

        Returns:
            The events, oldest first, and whether more follow.

        Raises:
            JobNotFoundError: The job has no events.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> import asyncio
            >>> from jobledger import AsyncLedger
            >>> async def main():
            ...     async with await AsyncLedger.open(dsn, ledger_name) as ledger:
            ...         await ledger.create("projects/demo/jobs/a")
            ...         events, more = await ledger.history_page("projects/demo/jobs/a", 0, 100)
            ...         return len(events), more
            >>> asyncio.run(main())
            (1, False)
        """
        return await self._loop_reader.run(partial(self._reader.history_page, name, after, limit))

    @documented(Reader.events)
    async def events(
        self, after: int = 0, *, follow: bool = True
    ) -> AsyncGenerator[RecordedEvent, None]:
        self._reader.check_open()
        cursor = Cursor(self._reader.feed, parse_count("after", after))
        pause = FIRST_PAUSE_SECONDS
        while not self._reader.closed.is_set():
            page = await self._loop_reader.run(partial(cursor.events, CHUNK))
            for event in page:
                yield event
            if page:
                pause = FIRST_PAUSE_SECONDS
            elif not follow:
                return
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_SECONDS)

    @documented(Reader.scan)
    async def scan(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given | None = None,
        clock: Clock | str | None = None,
    ) -> AsyncGenerator[Job, None]:
        scan = partial(
            self._reader.scan, filter, limit=limit, order_by=order_by, as_of=as_of, clock=clock
        )
        jobs = Chunks(await self._loop_reader.run(scan))
        try:
            while chunk := await self._loop_reader.run(jobs.read):
                for job in chunk:
                    yield job
        finally:
            # The ledger's own threads may be busy, or closed.
            await asyncio.to_thread(jobs.close)

    @documented(Reader.read_current)
    async def read_current(self, name: str) -> Job | None:
        return await self._loop_reader.current(name)

    @documented(Reader.decrypt_json)
    async def decrypt_json(self, encoded: bytes) -> bytes:
        if MARKER not in encoded:
            return encoded
        return await self._loop_reader.run(partial(self._reader.decrypt_json, encoded))

    @documented(Reader.connection)
    async def connection(self) -> AsyncConnection:
        self._reader.check_open()
        return await connect_async(self._reader.conninfo)

    @documented(Reader.decrypted)
    async def decrypted(self, shown: Shown) -> Shown:
        if not holds_encrypted(shown):
            return shown
        return await self._loop_reader.run(partial(self._reader.decrypted, shown))
