"""Lets projections follow what this process writes, so that nobody who reads the past has to wait for them."""

from __future__ import annotations

from contextlib import suppress
from threading import Event as Signal
from threading import Lock, Thread
from typing import Final

from jobledger.domain.errors import LedgerError
from jobledger.infra.past.moments import Moments

PAUSE: Final = 1.0
"""Seconds that events may wait before they are followed."""


class Follower:
    """A thread that begins with the first write. What it leaves undone, the next reader does."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self._written = Signal()
        self._closed = Signal()
        self._starting = Lock()
        self._thread: Thread | None = None

    def wake(self) -> None:
        """Something was written."""
        if self._written.is_set():
            return
        self._written.set()
        with self._starting:
            if self._thread is None and not self._closed.is_set():
                self._thread = Thread(target=self._follow, name="jobledger-follower", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ends once what it is folding is folded."""
        self._closed.set()
        with self._starting:
            thread = self._thread
        if thread is not None:
            self._written.set()
            thread.join()

    def _follow(self) -> None:
        while not self._closed.wait(PAUSE):
            self._written.wait()
            self._written.clear()
            # Whoever writes or reads will say what is wrong with the server.
            with suppress(LedgerError):
                self._moments.follow_all(self._closed)
