"""The group commit for the tasks of one asyncio loop.

While a batch is on its way, the callers of the one before are answered, and the next one gathers
and is decided: the loop and the server work at the same time. The common path runs on the loop. If
anything fails, `Committer` commits the writes again, in a thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from jobledger.infra.eventstore.commit.async_appender import AsyncAppender
from jobledger.infra.eventstore.commit.batch import (
    MAX_BATCH_BYTES,
    MAX_BATCH_WRITES,
    Batch,
    JobCache,
    encoded_bytes,
    refuse_closed,
)
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.eventstore.commit.gathering import Gathering
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.postgres.ending import CONNECTIONS


class AsyncCommitter:
    """Commits for all tasks of the event loop that uses it first."""

    def __init__(self, info: str, fallback: Committer) -> None:
        """`info` is the connection string. `fallback` commits writes that the common path cannot commit."""
        self.cache = JobCache()
        self._gathering = Gathering()
        self._info = info
        self._fallback = fallback
        self._thread = ThreadPoolExecutor(1, "jobledger-fallback")
        self._waiting: deque[_Caller] = deque()
        self._next: list[_Caller] = []
        """The callers of the batch that was decided ahead."""
        self._ahead: Batch | None = None
        """The next batch, decided while another one is on its way."""
        self._settled: deque[_Caller] = deque()
        """Callers to be answered once the next batch is on its way."""
        self._committing: asyncio.Task[None] | None = None
        self._appender: AsyncAppender | None = None
        self._closed = False

    def submit(self, writes: Sequence[Pending]) -> asyncio.Future[None]:
        """Commits one caller's writes together with all other waiting writes.

        A caller that is cancelled before that does not learn whether they were written.

        Args:
            writes: The writes.

        Returns:
            A future that is done when all of the writes are settled.
        """
        caller = _Caller(writes)
        if self._closed:
            refuse_closed(writes)
            caller.answer()
            return caller.settled
        self._waiting.append(caller)
        if self._committing is None:
            self._committing = asyncio.get_running_loop().create_task(self._commit_all())
        return caller.settled

    async def close(self) -> None:
        """Commits the writes that still wait, and closes. Later writes are refused."""
        self._closed = True
        if self._committing is not None:
            # `wait` does not cancel the task, so the commit goes on if the caller is cancelled.
            await asyncio.wait([self._committing])
        if self._appender is not None:
            await self._appender.close()
        self._thread.shutdown()

    async def _commit_all(self) -> None:
        callers: list[_Caller] = []
        try:
            while self._waiting or self._next:
                await self._gather()
                ahead, self._ahead = self._ahead, None
                callers = self._next_callers()
                await self._settle(_writes(callers), ahead)
                self._gathering.expect(len(callers) + len(self._next) + len(self._waiting))
                self._fallback.written()
                self._settled.extend(callers)
                if not (self._waiting or self._next):
                    # All callers waited for one commit. Half of them are answered first, and can
                    # write again before the others do, so from now on two batches alternate.
                    self._answer((len(callers) + 1) // 2)
                    await asyncio.sleep(0)
        except BaseException:
            self._answer(len(self._settled))
            # The loop is ending, so nothing would settle the waiting writes.
            for caller in (*callers, *self._next, *self._waiting):
                caller.settled.cancel()
            self._waiting.clear()
            self._next, self._ahead = [], None
            raise
        finally:
            self._answer(len(self._settled))
            self._committing = None

    async def _gather(self) -> None:
        """Waits for more callers while other processes write."""
        for seconds in self._gathering.pauses(lambda: len(self._next) + len(self._waiting)):
            # Callers that were just answered may write again.
            self._answer(len(self._settled))
            await asyncio.sleep(seconds)

    def _answer(self, count: int) -> None:
        for _ in range(count):
            self._settled.popleft().answer()

    def _next_callers(self) -> list[_Caller]:
        """Takes the callers of the batch that was decided ahead, and as many waiting callers as fit."""
        callers, self._next = self._next, []
        writes = _writes(callers)
        size, weight = len(writes), encoded_bytes(writes)
        while self._waiting and size < MAX_BATCH_WRITES and weight < MAX_BATCH_BYTES:
            callers.append(self._waiting.popleft())
            size += len(callers[-1].writes)
            weight += encoded_bytes(callers[-1].writes)
        return callers

    async def _settle(self, writes: Sequence[Pending], ahead: Batch | None) -> None:
        """Settles all of these writes; never raises. `ahead` is a batch of the first of them that is decided already."""
        if alone := [write for write in writes if write.alone]:
            await self._fall_back(alone, may_be_written=False)
        together = [write for write in writes if not write.alone]
        for start in range(0, len(together), MAX_BATCH_WRITES):
            waiting: Sequence[Pending] = together[start : start + MAX_BATCH_WRITES]
            batch, ahead = ahead or Batch(self.cache), None
            if self._fallback.contention.among(waiting):
                await self._fall_back(waiting, may_be_written=False)
                continue
            try:
                while waiting:
                    batch.add(waiting[len(batch.writes) :])
                    waiting = await self._commit_together(batch)
                    batch = Batch(self.cache)
            except Exception:
                may_be_written = self._appender is not None and self._appender.outcome_unknown
                await self._fall_back(waiting, may_be_written=may_be_written)

    async def _commit_together(self, batch: Batch) -> Sequence[Pending]:
        """Commits a batch; returns the writes that must be decided again."""
        appender = await self._connected()
        if batch.unknown_requests or batch.unknown_jobs:
            self._answer(len(self._settled))
        batch.decide(
            await appender.find_requests(batch.unknown_requests),
            await appender.load(batch.unknown_jobs),
        )
        rows, placed = batch.rows, None
        if rows:
            appender.send(rows, batch.requests, batch.changes)
            await self._work_meanwhile(batch)
            placed = await appender.placed(len(rows))
            self._gathering.note(placed, len(rows))
        self.cache.store(batch.jobs.values(), placed, batch.added_bytes)
        batch.settle(placed)
        for write in batch.retry_alone:
            self.cache.evict(write.names)
        return batch.retry_alone

    async def _work_meanwhile(self, sent: Batch) -> None:
        """Answers callers while a batch is being committed, and decides what they write next."""
        if self._settled:
            self._answer(len(self._settled))
            await asyncio.sleep(0)
        if self._waiting and self._ahead is None and not self._gathering.waits:
            # The same error will be raised when the batch is decided normally.
            with suppress(Exception):
                self._decide_ahead(sent)

    def _decide_ahead(self, sent: Batch) -> None:
        """Decides the next batch, unless that needs a read, or a job that `sent` changes."""
        callers, batch = self._next_callers(), Batch(self.cache)
        try:
            batch.add(_writes(callers))
            if self._is_apart(batch, sent):
                batch.decide({}, {})
                self._next, self._ahead = callers, batch
        finally:
            if self._ahead is None:
                self._waiting.extendleft(reversed(callers))

    def _is_apart(self, batch: Batch, sent: Batch) -> bool:
        """Whether a batch can be decided from the cache while another batch is being committed."""
        return not (
            len(batch.writes) > MAX_BATCH_WRITES
            or batch.unknown_requests
            or batch.unknown_jobs
            or self._fallback.contention.among(batch.writes)
            or any(
                write.alone or write.touches or not sent.jobs.keys().isdisjoint(write.names)
                for write in batch.writes
            )
        )

    async def _fall_back(self, writes: Sequence[Pending], *, may_be_written: bool) -> None:
        self._answer(len(self._settled))
        loop = asyncio.get_running_loop()
        settle = partial(self._fallback.recommit, writes, may_be_written=may_be_written)
        await loop.run_in_executor(self._thread, settle)
        for write in writes:
            self.cache.evict([*write.names, *write.touches])

    async def _connected(self) -> AsyncAppender:
        """Returns the connection for writing, and opens a new one if it broke."""
        CONNECTIONS.check()
        if self._appender is None or self._appender.broken:
            self._answer(len(self._settled))
            self._appender = None
            self._appender = await AsyncAppender.connect(self._info)
        return self._appender


class _Caller:
    """A task that waits until its writes are settled."""

    __slots__ = ("settled", "writes")

    def __init__(self, writes: Sequence[Pending]) -> None:
        self.writes = writes
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self) -> None:
        """Resumes the task, unless it was cancelled."""
        if not self.settled.done():
            self.settled.set_result(None)


def _writes(callers: Sequence[_Caller]) -> list[Pending]:
    return [write for caller in callers for write in caller.writes]
