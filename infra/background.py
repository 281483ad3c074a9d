"""What is done behind the writers' backs: projections follow what is written, and the log's tree grows over it.

So nobody who reads has to wait for it. What is left undone, the next process that writes does, or
who needs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event as Signal
from threading import Lock, Thread
from typing import Final

JUST_NOW: Final = 0.1
SOON: Final = 0.5
"""Seconds that events wait, at most, before the work on them begins."""

PATIENCE: Final = 30.0
"""Seconds that closing waits for work that has begun."""


class Behind:
    """A thread that begins with the first write, and works after every stretch of them."""

    def __init__(
        self,
        name: str,
        work: Callable[[Signal], object],
        *,
        pause: float = SOON,
        at_end: bool = False,
    ) -> None:
        """`work`, which must not raise, is given what says that the ledger is closed.

        It begins at most every `pause` seconds; with `at_end` once more when the ledger is closed.
        """
        self._name = name
        self._work = work
        self._pause = pause
        self._at_end = at_end
        self._written = Signal()
        self._closed = Signal()
        self._starting = Lock()
        self._thread: Thread | None = None
        self._woken = -JUST_NOW

    def is_busy(self) -> bool:
        """Whether something was written just now."""
        return time.monotonic() - self._woken < JUST_NOW

    def wake(self) -> None:
        """Something was written."""
        self._woken = time.monotonic()
        if self._written.is_set():
            return
        self._written.set()
        with self._starting:
            if self._thread is None and not self._closed.is_set():
                self._thread = Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ends once what it is at is done, but does not wait for ever for a server that is stuck."""
        self._closed.set()
        with self._starting:
            thread = self._thread
        if thread is not None:
            self._written.set()
            thread.join(PATIENCE)
            if self._at_end and not thread.is_alive():
                self._work(self._closed)

    def _serve(self) -> None:
        while not self._closed.wait(self._pause):
            self._written.wait()
            if self._closed.is_set():
                return
            self._written.clear()
            self._work(self._closed)
