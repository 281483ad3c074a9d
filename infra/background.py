"""Background workers: threads that work after writes, so that readers need not wait for that work.

Unfinished work is done by the next process that writes, or by the reader that needs it.
"""

import time
from collections.abc import Callable
from threading import Event as Signal
from threading import Lock, Thread
from typing import Final

RECENT_SECONDS: Final = 0.1
PAUSE_SECONDS: Final = 0.5
CLOSE_TIMEOUT_SECONDS: Final = 30.0
"""How long closing waits for work that has begun."""


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


class BackgroundWorker:
    """A thread that starts with the first write, and works after each series of writes."""

    def __init__(
        self,
        name: str,
        work: Callable[[Signal], object],
        *,
        pause_seconds: float = PAUSE_SECONDS,
        at_end: bool = False,
    ) -> None:
        """`work`, which must not raise, is given the signal that the ledger is closed.

        It begins at most every `pause_seconds`; with `at_end` once more when the ledger is closed.
        """
        self._name = name
        self._work = work
        self._pause_seconds = pause_seconds
        self._at_end = at_end
        self._written = Signal()
        self._closed = Signal()
        self._starting = Lock()
        self._thread: Thread | None = None

    def wake(self) -> None:
        """Notes that something was written."""
        if self._written.is_set():
            return
        self._written.set()
        with self._starting:
            if self._thread is None and not self._closed.is_set():
                self._thread = Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stops after the present work, or after a timeout if the server hangs."""
        self._closed.set()
        with self._starting:
            thread = self._thread
        if thread is not None:
            self._written.set()
            thread.join(CLOSE_TIMEOUT_SECONDS)
            if self._at_end and not thread.is_alive():
                self._work(self._closed)

    def _serve(self) -> None:
        while not self._closed.wait(self._pause_seconds):
            self._written.wait()
            if self._closed.is_set():
                return
            self._written.clear()
            self._work(self._closed)
