"""Background workers: they work after writes, so that readers need not wait for that work.

All ledgers of a process share a few threads; a worker that was woken earlier goes first.

Unfinished work is done by the next process that writes, or by the reader that needs it.
"""

import heapq
import logging
import os
import time
from collections.abc import Callable
from itertools import count
from threading import Condition, Thread
from threading import Event as Signal
from typing import Final

LOG: Final = logging.getLogger("jobledger.background")
RECENT_SECONDS: Final = 0.1
PAUSE_SECONDS: Final = 0.5
CLOSE_TIMEOUT_SECONDS: Final = 30.0
"""How long closing waits for work that has begun."""
MAX_THREADS: Final = 4
"""Threads of a process for the workers of all its ledgers."""


class Activity:
    """When this process last wrote."""

    def __init__(self) -> None:
        self._last = -RECENT_SECONDS

    def note(self) -> None:
        """Notes a write."""
        self._last = time.monotonic()

    def is_recent(self) -> bool:
        """Whether the process wrote within the last tenth of a second."""
        return time.monotonic() - self._last < RECENT_SECONDS


class Crew:
    """The threads that work for all workers of a process; they start when there is work."""

    def __init__(self) -> None:
        self.changed = Condition()
        """Guards the workers' times."""
        self._due: list[tuple[float, int, BackgroundWorker]] = []
        self._order = count()
        self._idle = 0
        self._threads = 0

    def put(self, worker: "BackgroundWorker", due: float) -> None:
        """Schedules a worker for a time (`time.monotonic`); the caller holds `changed`."""
        heapq.heappush(self._due, (due, next(self._order), worker))
        if len(self._due) > self._idle and self._threads < MAX_THREADS:
            self._threads += 1
            Thread(target=self._serve, name="jobledger-background", daemon=True).start()
        self.changed.notify()

    def _serve(self) -> None:
        while True:
            with self.changed:
                worker = self._next()
            try:
                worker.run()
            except Exception:
                LOG.exception("a background worker failed")
            # The thread ends if there is no other work.
            del worker

    def _next(self) -> "BackgroundWorker":
        """Waits until a worker is due, and returns it."""
        while True:
            now = time.monotonic()
            if self._due and self._due[0][0] <= now:
                return heapq.heappop(self._due)[2]
            self._idle += 1
            try:
                self.changed.wait(self._due[0][0] - now if self._due else None)
            finally:
                self._idle -= 1


_crews: Final = [Crew()]
"""The one of this process."""
# A forked child has no threads of its parent.
os.register_at_fork(after_in_child=lambda: _crews.__setitem__(0, Crew()))


class BackgroundWorker:
    """Works after each series of writes of one ledger, in a thread that it shares with others."""

    def __init__(
        self,
        work: Callable[[Signal], object],
        *,
        pause_seconds: float = PAUSE_SECONDS,
        at_end: bool = False,
    ) -> None:
        """`work`, which must not raise, is given the signal that the ledger is closed.

        It begins at most every `pause_seconds`; with `at_end` once more when the ledger is closed.
        """
        self._work = work
        self._pause_seconds = pause_seconds
        self._at_end = at_end
        self._closed = Signal()
        self._crew = _crews[0]
        self._is_woken = self._is_working = self._has_worked = False

    def wake(self) -> None:
        """Notes that something was written."""
        if self._is_woken:
            return
        with self._crew.changed:
            if self._is_woken or self._closed.is_set():
                return
            self._is_woken = True
            if not self._is_working:
                self._crew.put(self, time.monotonic() + self._pause_seconds)

    def run(self) -> None:
        """Works once; called by a thread of the crew."""
        with self._crew.changed:
            if self._closed.is_set():
                return
            self._is_woken, self._is_working, self._has_worked = False, True, True
        try:
            self._work(self._closed)
        finally:
            with self._crew.changed:
                self._is_working = False
                if self._is_woken and not self._closed.is_set():
                    self._crew.put(self, time.monotonic() + self._pause_seconds)
                self._crew.changed.notify_all()

    def close(self) -> None:
        """Stops after the present work, or after a timeout if the server hangs."""
        with self._crew.changed:
            self._closed.set()
            was_used = self._is_woken or self._has_worked
            ended = self._crew.changed.wait_for(lambda: not self._is_working, CLOSE_TIMEOUT_SECONDS)
        if self._at_end and was_used and ended:
            self._work(self._closed)
