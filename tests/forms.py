"""The two forms of a ledger, so that one test is about both: `Ledger` itself, and `AsyncLedger` behind its methods."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from threading import Thread
from typing import Any, Final, TypeVar, cast

from jobledger import AsyncLedger, Ledger
from jobledger.infra.postgres.connections import conninfo, schema_of

FORMS: Final = ("threads", "asyncio")
TIMEOUT_SECONDS: Final = 90.0
"""After which a call that was not answered counts as lost."""

Result = TypeVar("Result")
Opener = Callable[..., AbstractContextManager[Ledger]]
"""Opens a ledger with the arguments of `Ledger.open`."""


def opened(form: str, *args: Any, **kwargs: Any) -> AbstractContextManager[Ledger]:
    """A ledger of that form, opened with the arguments of `Ledger.open` and closed afterwards."""
    if form == "threads":
        return Ledger.open(*args, **kwargs)
    return _driven(lambda: AsyncLedger.open(*args, **kwargs))


def opened_unchecked(form: str, dsn: str, name: str) -> AbstractContextManager[Ledger]:
    """The same without a look at the ledger's schema, for which `open` makes a connection of its own."""
    info = conninfo(dsn, schema_of(name))
    if form == "threads":
        return Ledger(info, name)

    async def opening() -> AsyncLedger:
        return AsyncLedger(Ledger(info, name))

    return _driven(opening)


@contextmanager
def _driven(opening: Callable[[], Awaitable[AsyncLedger]]) -> Iterator[Ledger]:
    driven = DrivenLedger(opening)
    try:
        yield cast(Ledger, driven)
    finally:
        driven.close()


class DrivenLedger:
    """An AsyncLedger on a loop in a thread; its methods are called like those of a Ledger.

    Awaitables are awaited on the loop, and async iterators become iterators. Any number of threads
    may call it: each call is a task of the loop.
    """

    def __init__(self, opening: Callable[[], Awaitable[AsyncLedger]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="tests-loop")
        self._thread.start()
        try:
            self._ledger = self._wait(opening())
        except BaseException:
            self._end_loop()
            raise

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._ledger, name)
        if not callable(attribute):
            return attribute

        @wraps(attribute)
        def call(*args: Any, **kwargs: Any) -> Any:
            answer: Any = self._wait(_called(attribute, args, kwargs))
            return self._iterated(answer) if isinstance(answer, AsyncGenerator) else answer

        return call

    @property
    def reader(self) -> Any:
        """What the test looks at with functions that take a Reader."""
        return self._ledger.ledger.reader

    @property
    def writer(self) -> Any:
        """The writer for threads, which commits again what the common path cannot."""
        return self._ledger.ledger.writer

    def connection(self) -> Any:
        """A connection for the test itself."""
        return self._ledger.ledger.connection()

    def close(self) -> None:
        """Closes it; all that was under way has to end with it."""
        if self._loop.is_closed():
            return
        try:
            self._wait(self._close())
        finally:
            self._end_loop()

    async def _close(self) -> None:
        await self._ledger.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, late = await asyncio.wait(others, timeout=TIMEOUT_SECONDS / 3)
            assert not late, late

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _iterated(self, values: AsyncGenerator[Result]) -> Iterator[Result]:
        end = object()
        try:
            while (value := self._wait(_called(anext, (values, end), {}))) is not end:
                yield value
        finally:
            self._wait(values.aclose())

    def _wait(self, awaitable: Awaitable[Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop).result(
            TIMEOUT_SECONDS
        )


async def _called(method: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    answer = method(*args, **kwargs)
    return await answer if inspect.isawaitable(answer) else answer


async def _awaited(awaitable: Awaitable[Result]) -> Result:
    return await awaitable
