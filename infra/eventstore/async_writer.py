"""Writes for the tasks of one asyncio loop."""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from datetime import datetime
from typing import Any, TypeVar

from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.async_committer import AsyncCommitter
from jobledger.infra.eventstore.feed import Feed
from jobledger.infra.eventstore.methods.request import About, about_command, about_report
from jobledger.infra.eventstore.write_path import (
    ObservedEvent,
    Recorded,
    ReportedEvent,
    Step,
    WritePath,
)
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.eventstore.writes.job_write import JobWrite
from jobledger.infra.forwarding import documented
from jobledger.infra.privacy.subject_keys import SubjectKeys

Result = TypeVar("Result")
RunRead = Callable[[Callable[[], Any]], Awaitable[Any]]


class AsyncWriter:
    """Writes to one ledger. Any number of tasks of its event loop may use it."""

    def __init__(
        self,
        committer: AsyncCommitter,
        feed: Feed,
        keys: SubjectKeys,
        run_read: RunRead,
    ) -> None:
        """`run_read` runs a blocking function in a thread."""
        self.committer = committer
        self._run_read = run_read
        self._path = WritePath(committer.cache, feed, keys)

    def write(
        self, name: str, request: Data | JobCommand, about: About
    ) -> Coroutine[Any, Any, JobWrite]:
        """Does the same as Writer.write, and returns an awaitable."""
        return self._run(self._path.write(name, request, about))

    @documented(Writer.command)
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
        return Recorded.by(await self.write(name, command, about))

    @documented(Writer.report)
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
        return Recorded.by(await self.write(name, data, about))

    @documented(Writer.command_all)
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
        return await self.write_all(names, command, about)

    async def write_all(
        self, names: Iterable[str], command: JobCommand, about: About
    ) -> tuple[list[Job], int]:
        """Does the same as Writer.write_all, and returns an awaitable."""
        return await self._run(self._path.write_all(names, command, about))

    @documented(Writer.report_many)
    async def report_many(
        self, reports: Iterable[ReportedEvent | ObservedEvent]
    ) -> list[Recorded | LedgerError]:
        return await self._run(self._path.write_many(reports))

    async def _run(self, steps: Generator[Step, Any, Result]) -> Result:
        answer = None
        try:
            while True:
                step = steps.send(answer)
                answer = await (
                    self._run_read(step) if callable(step) else self.committer.submit(step)
                )
        except StopIteration as end:
            result: Result = end.value
            return result
