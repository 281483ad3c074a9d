"""Reads the next page of a long range of events while the caller works on the last one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

Page = list[tuple[Any, ...]]
"""The rows of some events; the first column is the position."""


class PagesAhead:
    """Pages of the events after a position, for one caller who reads them in order.

    The server and the caller work at the same time from the second full page on: who wants only a few
    events does not cause a second read.
    """

    def __init__(self, read: Callable[[int], Page], full: int) -> None:
        """`read` returns the page after a position, with `full` rows if more follow."""
        self._read = read
        self._full = full
        self._pages = 0
        self._threads = ThreadPoolExecutor(1, "jobledger-feed")
        self._ahead: Future[Page] | None = None

    def page(self, after: int) -> Page:
        """Returns the page after a position, which is 0 or that of the last row returned."""
        ahead, self._ahead = self._ahead, None
        rows = self._read(after) if ahead is None else ahead.result()
        if len(rows) < self._full:
            self._pages = 0
            return rows
        self._pages += 1
        if self._pages > 1:
            self._ahead = self._threads.submit(copy_context().run, self._read, rows[-1][0])
        return rows

    def close(self) -> None:
        """Ends its thread, without waiting for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)
