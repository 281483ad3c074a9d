"""The ledger for asyncio: the same commands, reports and reads as `Ledger`, with `await`."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from functools import partial, wraps
from itertools import islice
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar, Unpack

from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError
from jobledger.domain.job import Job
from jobledger.domain.moments import Clock
from jobledger.infra.eventstore.async_committer import AsyncCommitter
from jobledger.infra.eventstore.async_writer import AsyncWriter
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import About, AboutReport, Verbs
from jobledger.infra.eventstore.write_path import Recorded, ReportedEvent
from jobledger.infra.forwarding import of_self
from jobledger.infra.ledger import Ledger
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.read.async_reader import AsyncReader
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Shown, holds_encrypted

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
READ_THREADS: Final = 8
CHUNK: Final = 1_000
"""Values of an iteration that are read at a time."""
FIRST_PAUSE_SECONDS: Final = 0.002
LONGEST_PAUSE_SECONDS: Final = 0.05


def in_thread(
    method: Callable[Concatenate[Ledger, Parameters], Result],
) -> Callable[Concatenate[AsyncLedger, Parameters], Coroutine[Any, Any, Result]]:
    """The same method with `await`: it runs in a thread."""

    @wraps(method)
    async def call(
        self: AsyncLedger, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        return await self.run(partial(method, self.ledger, *args, **kwargs))

    return of_self(call)


class AsyncLedger(Verbs[Awaitable[Job]]):
    """One ledger, opened for the tasks of one asyncio loop.

    Its commands and reports are awaited and share commits; `get` of a job as it is now shares
    reads. Everything else runs in threads of its own, and blocks no other task.
    """

    def __init__(self, ledger: Ledger, *, threads: int = READ_THREADS) -> None:
        """`ledger` is closed with it; `threads` is how many reads run at once."""
        self.ledger = ledger
        self.reader = AsyncReader(ledger.conninfo, threads)
        committer = AsyncCommitter(ledger.conninfo, ledger.writer.committer)
        self.writer = AsyncWriter(
            committer, ledger.reader.feed, ledger.reader.keys, ledger.written, self.reader.run
        )
        super().__init__(self._ask)

    @classmethod
    async def open(
        cls,
        dsn: str | None = None,
        ledger: str | None = None,
        *,
        catch_up: bool = True,
        threads: int = READ_THREADS,
    ) -> Self:
        """Opens a ledger; arguments and errors are those of Ledger.open."""
        opening = partial(Ledger.open, dsn, ledger, catch_up=catch_up)
        return cls(await asyncio.to_thread(opening), threads=threads)

    async def close(self) -> None:
        """Writes what still waits, ends all feeds and closes the connections."""
        self.ledger.reader.end_feeds()
        await self.writer.committer.close()
        await self.reader.close()
        await asyncio.to_thread(self.ledger.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def name(self) -> str:
        """The ledger's name."""
        return self.ledger.name

    async def run(self, read: Callable[[], Result]) -> Result:
        """Runs a function that blocks in one of the ledger's threads."""
        return await self.reader.run(read)

    # Write.
    async def command(self, name: str, command: JobCommand, **about: Unpack[About]) -> Recorded:
        """As Ledger.command."""
        return await self.writer.write(name, command, about)

    async def report(self, name: str, data: Data, **about: Unpack[AboutReport]) -> Recorded:
        """As Ledger.report."""
        return await self.writer.write(name, data, about)

    async def command_all(
        self, names: Iterable[str], command: JobCommand, **about: Unpack[About]
    ) -> tuple[list[Job], int]:
        """As Ledger.command_all."""
        return await self.writer.command_all(names, command, about)

    async def report_many(self, reports: Iterable[ReportedEvent]) -> list[Recorded | LedgerError]:
        """As Ledger.report_many."""
        return await self.writer.report_many(reports)

    append_many = in_thread(Ledger.append_many)
    submit = in_thread(Ledger.submit)

    # Read, now or as of a moment.
    async def get(
        self, name: str, *, as_of: Given | None = None, clock: Clock | str | None = None
    ) -> Job:
        """The job as it is, or was. Raises JobNotFoundError if there is none, or it was deleted."""
        if as_of is None and clock is None:
            return await self.reader.get(name)
        return await self.run(partial(self.ledger.get, name, as_of=as_of, clock=clock))

    async def events_after(self, after: int, limit: int) -> Sequence[RecordedEvent]:
        """So many events after a position, in commit order; fewer at the end."""
        return await self.run(lambda: [*islice(self.ledger.events(after, follow=False), limit)])

    async def events(self, after: int = 0, *, follow: bool = True) -> AsyncIterator[RecordedEvent]:
        """The live feed, as Ledger.events."""
        pause = FIRST_PAUSE_SECONDS
        while not self.ledger.reader.closed.is_set():
            page = await self.events_after(after, CHUNK)
            for event in page:
                yield event
            if page:
                after, pause = page[-1].position, FIRST_PAUSE_SECONDS
            elif not follow:
                return
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def scan(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given | None = None,
        clock: Clock | str | None = None,
    ) -> AsyncIterator[Job]:
        """Jobs one by one, as Ledger.scan: one moment's jobs, however long it takes."""
        jobs = await self.run(
            partial(
                self.ledger.scan, filter, limit=limit, order_by=order_by, as_of=as_of, clock=clock
            )
        )
        try:
            while chunk := await self.run(partial(_next_chunk, jobs)):
                for job in chunk:
                    yield job
        finally:
            await self.run(partial(_close, jobs))

    list = in_thread(Ledger.list)
    page = in_thread(Ledger.page)
    count = in_thread(Ledger.count)
    history = in_thread(Ledger.history)
    size = in_thread(Ledger.size)
    moment = in_thread(Ledger.moment)
    follow = in_thread(Ledger.follow)
    read_at = in_thread(Ledger.read_at)
    event_at = in_thread(Ledger.event_at)

    async def read_current(self, name: str) -> Job | None:
        """As Ledger.read_current."""
        return await self.reader.current(name)

    async def decrypt_json(self, encoded: bytes) -> bytes:
        """As Ledger.decrypt_json."""
        if MARKER not in encoded:
            return encoded
        return await self.run(partial(self.ledger.decrypt_json, encoded))

    decrypt = in_thread(Ledger.decrypt)

    async def decrypted(self, shown: Shown) -> Shown:
        """As Ledger.decrypted."""
        if not holds_encrypted(shown):
            return shown
        return await self.run(partial(self.ledger.decrypted, shown))

    # Take apart what happened.
    diff = in_thread(Ledger.diff)
    diff_fleet = in_thread(Ledger.diff_fleet)
    blame = in_thread(Ledger.blame)
    why = in_thread(Ledger.why)
    replay = in_thread(Ledger.replay)
    bisect = in_thread(Ledger.bisect)
    bisect_count = in_thread(Ledger.bisect_count)
    analyze = in_thread(Ledger.analyze)
    export = in_thread(Ledger.export)

    # Prove and forget.
    checkpoint = in_thread(Ledger.checkpoint)
    receipt = in_thread(Ledger.receipt)
    erase = in_thread(Ledger.erase)
    prune = in_thread(Ledger.prune)

    # Evaluate.
    record_predictions = in_thread(Ledger.record_predictions)
    record_truths = in_thread(Ledger.record_truths)
    sampling = in_thread(Ledger.sampling)

    async def _ask(self, name: str, request: JobCommand | Data, about: About) -> Job:
        return (await self.writer.write(name, request, about)).job


def _next_chunk(jobs: Iterator[Job]) -> Sequence[Job]:
    return [*islice(jobs, CHUNK)]


def _close(jobs: Iterator[Job]) -> None:
    if isinstance(jobs, Generator):
        jobs.close()
