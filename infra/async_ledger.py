"""The ledger for asyncio: the same commands, reports and reads as `Ledger`, with `await`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial, wraps
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar, overload

from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError
from jobledger.domain.job import Job
from jobledger.domain.running import HEARTBEAT_SECONDS
from jobledger.domain.values.moments import Clock
from jobledger.domain.values.names import parse_name
from jobledger.infra.eventstore.async_writer import AsyncWriter
from jobledger.infra.eventstore.commit.async_committer import AsyncCommitter
from jobledger.infra.eventstore.methods.request import About, about_command, about_report
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import Verbs
from jobledger.infra.eventstore.write_path import ObservedEvent, Recorded, ReportedEvent
from jobledger.infra.forwarding import documented, of_self
from jobledger.infra.ledger import Ledger
from jobledger.infra.postgres.connections import AsyncConnection, connect_async
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.programs.job_function import Function, async_job_function
from jobledger.infra.programs.run_block import Run, new_run, run_async_block
from jobledger.infra.read.async_reader import CHUNK, AsyncReader, Chunks
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Shown, holds_encrypted

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
READ_THREADS: Final = 8
FIRST_PAUSE_SECONDS: Final = 0.002
MAX_PAUSE_SECONDS: Final = 0.05


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


class AsyncLedger(Verbs[Coroutine[Any, Any, Job]]):
    """One ledger, opened for the tasks of one asyncio loop: the methods of `Ledger`, with `await`.

    Commands and reports share commits, and `get` of a present job shares reads. All other methods
    run in the ledger's own threads, and block no task. The examples of the methods use `Ledger`:
    with `AsyncLedger` each call is awaited, and `scan` and `events` are iterated over with `async
    for`.

    Examples:
        >>> import asyncio
        >>> from jobledger import AsyncLedger
        >>> async def main():
        ...     async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        ...         await ledger.create("projects/demo/jobs/a")
        ...         await ledger.started("projects/demo/jobs/a", {"worker": "node-7"})
        ...         return [job.state.name async for job in ledger.scan()]
        >>> asyncio.run(main())
        ['RUNNING']
    """

    def __init__(self, ledger: Ledger, *, threads: int = READ_THREADS) -> None:
        """Makes the asyncio form of an open ledger; call it in the running loop.

        Args:
            ledger: The ledger; `close` closes it too.
            threads: How many reads run at once.
        """
        self.ledger = ledger
        self.reader = AsyncReader(ledger.conninfo, threads)
        committer = AsyncCommitter(ledger.conninfo, ledger.writer.committer)
        self.writer = AsyncWriter(
            committer, ledger.reader.feed, ledger.reader.keys, self.reader.run
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
        """Opens a ledger that `jobledger init` created, for the tasks of the running loop.

        Args:
            dsn: libpq's connection string, or None; see `Ledger.open`.
            ledger: The ledger's name; None is the setting JOBLEDGER_LEDGER, or "default".
            catch_up: Whether a background worker folds new events into the projections that catch
                up; if false, reads catch them up first.
            threads: How many reads run at once in threads.

        Returns:
            The open ledger; close it, or use it with `async with`.

        Raises:
            LedgerNotFoundError: The database has no ledger of that name.
            SchemaError: The ledger's schema is of another version.
            LoginRefusedError: The server refuses the user, the password or the database.
            CancelledError: The task was cancelled; the ledger is closed once it is open.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> import asyncio
            >>> from jobledger import AsyncLedger
            >>> async def main():
            ...     async with await AsyncLedger.open(dsn, ledger_name) as ledger:
            ...         return await ledger.size()
            >>> asyncio.run(main())
            0
        """
        thread = ThreadPoolExecutor(1, "jobledger-open")
        opening = thread.submit(Ledger.open, dsn, ledger, catch_up=catch_up)
        thread.shutdown(wait=False)
        try:
            opened = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise
        return cls(opened, threads=threads)

    @documented(Ledger.close)
    async def close(self) -> None:
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

    @property
    def conninfo(self) -> str:
        """Libpq's connection string, with the search_path that makes it this ledger's."""
        return self.ledger.conninfo

    @overload
    def run(self, read: Callable[[], Result], /) -> Coroutine[Any, Any, Result]: ...

    @overload
    def run(
        self,
        name: str,
        labels: Mapping[str, str] = {},
        spec: Mapping[str, Any] = {},
        *,
        actor: str | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> AbstractAsyncContextManager[Run]: ...

    def run(self, name: Any, labels: Any = {}, spec: Any = {}, **more: Any) -> Any:
        """As `Ledger.run`, with `async with`; a cancelled task leaves the job CANCELLED.

        Args:
            name: The job's resource name (AIP-122); or a blocking function, which is then run in
                one of the ledger's threads.
            labels: The labels of a new job.
            spec: The configuration of a new job, as a JSON object.
            **more: `actor` and `heartbeat_seconds`, as in `Ledger.run`.

        Returns:
            An asynchronous context manager that yields the run; or an awaitable of what the
            function returns.

        Raises:
            InvalidFieldError: A value is not accepted.
            LedgerUnavailableError: When the block is entered: the server cannot be reached.

        Examples:
            >>> import asyncio
            >>> from jobledger import AsyncLedger
            >>> async def main():
            ...     async with await AsyncLedger.open(dsn, ledger_name) as ledger:
            ...         async with ledger.run("projects/demo/jobs/a") as run:
            ...             run.output = {"accuracy": 0.93}
            ...         return (await ledger.get("projects/demo/jobs/a")).output
            >>> asyncio.run(main())
            {'accuracy': 0.93}
        """
        if callable(name):
            return self.reader.run(name)
        heartbeats = self.ledger._heartbeats  # noqa: SLF001 - one thread for both forms
        run = new_run(self.ledger, heartbeats, name, labels, spec, **more)
        return run_async_block(run, self.reader.run)

    @documented(Ledger.job)
    def job(
        self,
        name: str,
        labels: Mapping[str, str] = {},
        spec: Mapping[str, Any] = {},
        *,
        actor: str | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> Callable[[Function], Function]:
        more = {"actor": actor, "heartbeat_seconds": heartbeat_seconds}
        return async_job_function(name, lambda found: self.run(found, labels, spec, **more))  # type: ignore[arg-type]

    # Write.
    @documented(Ledger.command)
    async def command(
        self,
        name: str,
        command: JobCommand,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Recorded:
        about = about_command(occurred_time, actor, request_id, trace_parent)
        return Recorded.by(await self.writer.write(name, command, about))

    @documented(Ledger.report)
    async def report(
        self,
        name: str,
        data: Data,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Recorded:
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return Recorded.by(await self.writer.write(name, data, about))

    @documented(Ledger.command_all)
    async def command_all(
        self,
        names: Iterable[str],
        command: JobCommand,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> tuple[list[Job], int]:
        about = about_command(occurred_time, actor, request_id, trace_parent)
        return await self.writer.write_all(names, command, about)

    @documented(Ledger.report_many)
    async def report_many(
        self, reports: Iterable[ReportedEvent | ObservedEvent]
    ) -> list[Recorded | LedgerError]:
        return await self.writer.report_many(reports)

    append_many = in_thread(Ledger.append_many)
    submit = in_thread(Ledger.submit)

    # Read, now or as of a moment.
    @documented(Ledger.get)
    async def get(
        self, name: str, *, as_of: Given | None = None, clock: Clock | str | None = None
    ) -> Job:
        if as_of is None and clock is None:
            job = await self.reader.current(parse_name(name))
            if job is not None and job.delete_time is None:
                return job
            # Why there is none is found in a thread.
        return await self.run(partial(self.ledger.get, name, as_of=as_of, clock=clock))

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
        page = partial(self.ledger.reader.feed.events_page, after, limit, is_reached=is_reached)
        return await self.run(page)

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
        return await self.run(partial(self.ledger.reader.history_page, name, after, limit))

    @documented(Ledger.events)
    async def events(
        self, after: int = 0, *, follow: bool = True
    ) -> AsyncGenerator[RecordedEvent, None]:
        self.ledger.reader.check_open()
        pause, is_reached = FIRST_PAUSE_SECONDS, False
        while not self.ledger.reader.closed.is_set():
            page = await self.events_after(after, CHUNK, is_reached=is_reached)
            is_reached = True
            for event in page:
                yield event
            if page:
                after, pause = page[-1].position, FIRST_PAUSE_SECONDS
            elif not follow:
                return
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_SECONDS)

    @documented(Ledger.scan)
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
            self.ledger.scan, filter, limit=limit, order_by=order_by, as_of=as_of, clock=clock
        )
        jobs = Chunks(await self.run(scan))
        try:
            while chunk := await self.run(jobs.read):
                for job in chunk:
                    yield job
        finally:
            # Not in the ledger's threads: they may be busy, or closed.
            await asyncio.to_thread(jobs.close)

    list = in_thread(Ledger.list)
    page = in_thread(Ledger.page)
    count = in_thread(Ledger.count)
    history = in_thread(Ledger.history)
    size = in_thread(Ledger.size)
    check_reached = in_thread(Ledger.check_reached)
    pruned = in_thread(Ledger.pruned)
    moment = in_thread(Ledger.moment)
    follow = in_thread(Ledger.follow)
    read_at = in_thread(Ledger.read_at)
    event_at = in_thread(Ledger.event_at)

    @documented(Ledger.read_current)
    async def read_current(self, name: str) -> Job | None:
        return await self.reader.current(name)

    @documented(Ledger.decrypt_json)
    async def decrypt_json(self, encoded: bytes) -> bytes:
        if MARKER not in encoded:
            return encoded
        return await self.run(partial(self.ledger.decrypt_json, encoded))

    decrypt = in_thread(Ledger.decrypt)

    @documented(Ledger.connection)
    async def connection(self) -> AsyncConnection:
        self.ledger.reader.check_open()
        return await connect_async(self.ledger.conninfo)

    @documented(Ledger.decrypted)
    async def decrypted(self, shown: Shown) -> Shown:
        if not holds_encrypted(shown):
            return shown
        return await self.run(partial(self.ledger.decrypted, shown))

    # Take apart what happened.
    diff = in_thread(Ledger.diff)
    diff_fleet = in_thread(Ledger.diff_fleet)
    blame = in_thread(Ledger.blame)
    why = in_thread(Ledger.why)
    tree = in_thread(Ledger.tree)
    replay = in_thread(Ledger.replay)
    bisect = in_thread(Ledger.bisect)
    bisect_count = in_thread(Ledger.bisect_count)
    analyze = in_thread(Ledger.analyze)
    export = in_thread(Ledger.export)
    import_history = in_thread(Ledger.import_history)
    origins = in_thread(Ledger.origins)
    export_origin = in_thread(Ledger.export_origin)

    # Prove and forget.
    checkpoint = in_thread(Ledger.checkpoint)
    receipt = in_thread(Ledger.receipt)
    erase = in_thread(Ledger.erase)
    resume_log = in_thread(Ledger.resume_log)
    prune = in_thread(Ledger.prune)
    compact = in_thread(Ledger.compact)

    # Evaluate.
    record_predictions = in_thread(Ledger.record_predictions)
    record_truths = in_thread(Ledger.record_truths)
    sampling = in_thread(Ledger.sampling)

    async def _ask(self, name: str, make: Callable[[], JobCommand | Data], about: About) -> Job:
        return (await self.writer.write(name, make(), about)).result


def _close_opened(opening: Future[Ledger]) -> None:
    """Closes a ledger that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
