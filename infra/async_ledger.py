"""The ledger for asyncio: the same commands, reports and reads as `Ledger`, with `await`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial, wraps
from operator import attrgetter
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar, overload

from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.job import Job
from jobledger.domain.running import HEARTBEAT_SECONDS
from jobledger.infra.eventstore.async_writer import AsyncWriter
from jobledger.infra.eventstore.commit.async_committer import AsyncCommitter
from jobledger.infra.eventstore.methods.request import About
from jobledger.infra.eventstore.verbs import Verbs
from jobledger.infra.forking import make_again_in_children
from jobledger.infra.forwarding import documented, of_self, to_part
from jobledger.infra.ledger import Ledger
from jobledger.infra.programs.job_function import Function, async_job_function
from jobledger.infra.programs.run_block import Run, new_run, run_async_block
from jobledger.infra.read.async_reader import AsyncReader
from jobledger.infra.read.async_reads import AsyncReads

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
READ_THREADS: Final = 8
_reads: Final = attrgetter("reads")
_writer: Final = attrgetter("writer")


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
        self._threads = threads
        super().__init__(self._ask)
        self._make_parts()
        make_again_in_children(self, AsyncLedger._make_parts)

    def _make_parts(self) -> None:
        ledger = self.ledger
        self.reader = AsyncReader(ledger.conninfo, self._threads)
        committer = AsyncCommitter(ledger.conninfo, ledger.writer.committer)
        self.writer = AsyncWriter(
            committer, ledger.reader.feed, ledger.reader.keys, self.reader.run
        )
        self.reads = AsyncReads(ledger.reader, self.reader)

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
        """Runs a block as a job, like `Ledger.run`, with `async with`; a cancelled task leaves the job CANCELLED.

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
        run = new_run(self.ledger, self.ledger.heartbeats, name, labels, spec, **more)
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
    command = to_part(_writer, AsyncWriter.command)
    report = to_part(_writer, AsyncWriter.report)
    command_all = to_part(_writer, AsyncWriter.command_all)
    report_many = to_part(_writer, AsyncWriter.report_many)
    append_many = in_thread(Ledger.append_many)
    submit = in_thread(Ledger.submit)

    # Read on the loop, or piece by piece.
    get = to_part(_reads, AsyncReads.get)
    read_current = to_part(_reads, AsyncReads.read_current)
    scan = to_part(_reads, AsyncReads.scan)
    events = to_part(_reads, AsyncReads.events)
    events_after = to_part(_reads, AsyncReads.events_after)
    history_page = to_part(_reads, AsyncReads.history_page)
    decrypted = to_part(_reads, AsyncReads.decrypted)
    decrypt_json = to_part(_reads, AsyncReads.decrypt_json)
    connection = to_part(_reads, AsyncReads.connection)

    # Read in threads, now or as of a moment.
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
    decrypt = in_thread(Ledger.decrypt)

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

    # Prove and erase.
    checkpoint = in_thread(Ledger.checkpoint)
    receipt = in_thread(Ledger.receipt)
    erase = in_thread(Ledger.erase)
    resume_log = in_thread(Ledger.resume_log)
    prune = in_thread(Ledger.prune)
    compact = in_thread(Ledger.compact)
    hold = in_thread(Ledger.hold)
    release = in_thread(Ledger.release)
    holds = in_thread(Ledger.holds)
    retention_rules = in_thread(Ledger.retention_rules)
    set_retention_rule = in_thread(Ledger.set_retention_rule)
    drop_retention_rule = in_thread(Ledger.drop_retention_rule)
    apply_retention = in_thread(Ledger.apply_retention)

    # Evaluate.
    record_predictions = in_thread(Ledger.record_predictions)
    record_truths = in_thread(Ledger.record_truths)
    sampling = in_thread(Ledger.sampling)

    async def _ask(self, name: str, make: Callable[[], JobCommand | Data], about: About) -> Job:
        return (await self.writer.write(name, make(), about)).result


def _close_opened(opening: Future[Ledger]) -> None:
    """Closes a ledger whose opening was cancelled."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
