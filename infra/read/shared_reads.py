"""Reads that tasks of one asyncio loop share: requests during one read are served together by the next."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Wanted = dict[Key, list["asyncio.Future[Value | None]"]]


class SharedReads(Generic[Key, Value]):
    """Reads values by key, one read at a time, for any number of tasks."""

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        """`read` reads the values of some keys; a key that it leaves out has none."""
        self._read = read
        self._wanted: Wanted[Key, Value] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Value | None:
        """Returns the value by a read that begins after this call; raises the read's errors."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Value | None] = loop.create_future()
        self._wanted.setdefault(key, []).append(found)
        if self._reading is None:
            self._reading = loop.create_task(self._read_all())
        return await found

    async def end(self) -> None:
        """Returns after the present reads."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _read_all(self) -> None:
        wanted: Wanted[Key, Value] = {}
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                await self._answer(wanted)
        except BaseException:
            # The loop is ending, so no task waits for the read.
            for found in chain(*wanted.values(), *self._wanted.values()):
                found.cancel()
            self._wanted = {}
            raise
        finally:
            self._reading = None

    async def _answer(self, wanted: Mapping[Key, Iterable["asyncio.Future[Value | None]"]]) -> None:
        waiting = [(key, found) for key, each in wanted.items() for found in each]
        try:
            values = await self._read([*wanted])
        except Exception as error:
            for _, found in waiting:
                if not found.done():  # The task may have been cancelled.
                    found.set_exception(error)
        else:
            for key, found in waiting:
                if not found.done():
                    found.set_result(values.get(key))
