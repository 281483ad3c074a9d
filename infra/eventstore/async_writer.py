"""Writes for the tasks of one asyncio loop."""

from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, TypeVar

from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.async_committer import AsyncCommitter
from jobledger.infra.eventstore.commit.pending import JobWrite
from jobledger.infra.eventstore.feed import Feed
from jobledger.infra.eventstore.verbs import About
from jobledger.infra.eventstore.write_path import (
    ObservedEvent,
    Recorded,
    ReportedEvent,
    Step,
    WritePath,
)
from jobledger.infra.privacy.subject_keys import SubjectKeys

Result = TypeVar("Result")
RunRead = Callable[[Callable[[], Any]], Awaitable[Any]]


class AsyncWriter:
    """Writes to one ledger; any number of tasks of its loop may use it."""

    def __init__(
        self,
        committer: AsyncCommitter,
        feed: Feed,
        keys: SubjectKeys,
        run_read: RunRead,
    ) -> None:
        """`run_read` runs what blocks a thread."""
        self.committer = committer
        self._run_read = run_read
        self._path = WritePath(committer.cache, feed, keys)

    async def write(self, name: str, request: Data | JobCommand, about: About) -> JobWrite:
        """As Writer.write."""
        return await self._run(self._path.write(name, request, about))

    async def write_all(
        self, names: Iterable[str], command: JobCommand, about: About
    ) -> tuple[list[Job], int]:
        """As Writer.write_all."""
        return await self._run(self._path.write_all(names, command, about))

    async def report_many(
        self, reports: Iterable[ReportedEvent | ObservedEvent]
    ) -> list[Recorded | LedgerError]:
        """As Writer.report_many."""
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
