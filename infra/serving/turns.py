"""Turns: callers that wait for PostgreSQL, or for the committer, without a thread each.

A server's requests are answered on one thread. What asks the ledger for them is written as if it
waited; in a turn (a greenlet) it hands the thread over instead, and is taken up again when what it
waits for is there. Threads would wait for the interpreter instead: with 64 writers beside it, a
reader lost it a dozen times a request.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

Result = TypeVar("Result")


class Turn(greenlet):  # type: ignore[misc]
    """One piece of work on the loop's thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(work)
        self.lent: list[Any] = []
        """Connections it has, the last one last."""


async def take_turn(work: Callable[[], Result]) -> Result:
    """Does it on this thread, and other things while it waits; raises what it raises."""
    turn = Turn(work)
    said: Any = turn.switch()
    while not turn.dead:
        try:
            came = await said
        except BaseException as error:
            said = turn.throw(error)
        else:
            said = turn.switch(came)
    result: Result = said
    return result


def in_turn() -> bool:
    """Whether the caller is in a turn."""
    return isinstance(getcurrent(), Turn)


def current_turn() -> Turn:
    """The caller's turn; in one only."""
    turn: Turn = getcurrent()
    return turn


def wait_for(awaitable: Awaitable[Result]) -> Result:
    """What it comes to; in a turn only."""
    parent = getcurrent().parent
    assert parent is not None
    result: Result = parent.switch(awaitable)
    return result


class TurnLock:
    """What a write's caller waits on: taken from the start, and released once, by any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._released = self._loop.create_future()

    def acquire(self) -> None:
        if in_turn():
            # Shielded: a caller that gives up leaves its place to another, who still waits for this.
            wait_for(asyncio.shield(self._released))
            return
        done = threading.Event()
        self._loop.call_soon_threadsafe(self._released.add_done_callback, lambda _: done.set())
        done.wait()

    def release(self) -> None:
        if in_turn() or asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - the public one raises
            self._released.set_result(None)
        else:
            self._loop.call_soon_threadsafe(self._released.set_result, None)
