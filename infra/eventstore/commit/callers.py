"""Threads that wait for a commit: each one wakes the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from threading import Lock, Thread

from jobledger.infra.eventstore.writes.pending import Pending


class Caller:
    """A thread that waits until its writes are settled, and then wakes the next thread.

    If all were woken at once, they and the committer would compete for the interpreter's lock:
    64 callers would write a third as fast.
    """

    __slots__ = ("_lock", "following", "writes")

    def __init__(self, writes: Sequence[Pending]) -> None:
        self.writes = writes
        self.following: Caller | None = None
        self._lock = Lock()
        self._lock.acquire()

    def wait(self) -> None:
        """Blocks until the thread is woken."""
        try:
            self._lock.acquire()
        except BaseException:
            # The wait was interrupted, but others wait behind it: another thread takes its place in the line.
            Thread(target=self._wait_instead, daemon=True).start()
            raise
        self._wake_following()

    def wake(self) -> None:
        """Lets the waiting thread continue."""
        self._lock.release()

    def _wait_instead(self) -> None:
        self._lock.acquire()
        self._wake_following()

    def _wake_following(self) -> None:
        if self.following is not None:
            self.following.wake()


def wake(callers: Sequence[Caller]) -> None:
    """Wakes the first caller, which wakes the second, and so on."""
    for caller, following in pairwise(callers):
        caller.following = following
    callers[0].wake()
