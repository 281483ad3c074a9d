"""Threads for blocking reads, shared fairly among callers.

A caller gets at most half of the threads that others leave free, so the next caller always finds
some. A read whose caller was cancelled is cancelled too, also in the database.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from jobledger.infra.postgres.abandoned import Work

Result = TypeVar("Result")
ASKED_BY: Final[ContextVar[str]] = ContextVar("ASKED_BY", default="")
"""The caller of the current request; "" if callers are not distinguished, and may then use all threads."""


class FairThreads:
    """A number of threads for the tasks of one asyncio loop."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, name)
        self._cancelling = ThreadPoolExecutor(1, f"{name}-cancel")
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(self, read: Callable[[], Result]) -> Result:
        """Runs a function in a thread, as soon as the caller may have one."""
        caller = ASKED_BY.get()
        await self._enter(caller)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        work = Work()
        try:
            self._pool.submit(self._work, work, read, loop, answer, caller)
        except BaseException:
            self._leave(caller)
            raise
        try:
            return await answer
        except asyncio.CancelledError:
            # Abandoning runs in a thread, because cancelling a query opens another connection.
            with suppress(RuntimeError):
                self._cancelling.submit(work.abandon)
            raise

    def shutdown(self) -> None:
        """Ends the threads, after the present reads."""
        self._pool.shutdown()
        self._cancelling.shutdown()

    def _work(
        self,
        work: Work,
        read: Callable[[], Result],
        loop: asyncio.AbstractEventLoop,
        answer: asyncio.Future[Result],
        caller: str,
    ) -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            with work:
                value = read()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # The loop is closed, so no task waits.
            loop.call_soon_threadsafe(self._done, answer, value, error, caller)

    def _done(
        self, answer: asyncio.Future[Any], value: Any, error: BaseException | None, caller: str
    ) -> None:
        self._leave(caller)
        if answer.done():
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    async def _enter(self, caller: str) -> None:
        if caller not in self._waiting and self._may(caller):
            self._running[caller] = self._running.get(caller, 0) + 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(caller)
            raise

    def _leave(self, caller: str) -> None:
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        # The caller with the fewest threads goes first, among equals the one that waits longest.
        for waiting in sorted(self._waiting, key=lambda each: self._running.get(each, 0)):
            self._let_in(waiting)

    def _let_in(self, caller: str) -> None:
        turns = self._waiting[caller]
        while turns and self._may(caller):
            turn = turns.popleft()
            if not turn.done():  # The caller may have been cancelled.
                self._running[caller] = self._running.get(caller, 0) + 1
                turn.set_result(None)
        if not turns:
            del self._waiting[caller]

    def _may(self, caller: str) -> bool:
        mine = self._running.get(caller, 0)
        free = self._threads - sum(self._running.values()) + mine
        return mine < (free if caller == "" else (free + 1) // 2)
