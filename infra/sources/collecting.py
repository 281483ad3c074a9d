"""Fewer runs of Python's garbage collector while many objects are made that nothing cyclic holds.

The collector counts new objects and looks for cycles among all of them. Records, reports and events
by the ten thousand have none, and are freed by their counts: looking through them again and again
took half of the time of an import.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

NEW_OBJECTS: Final = 100_000
"""So many objects more than were freed begin a run, instead of Python's 700."""
_lock: Final = Lock()
_nested: Final = [0]
_before: Final = [gc.get_threshold()]


@contextmanager
def collecting_less() -> Iterator[None]:
    """While the collector runs seldom, for the whole process; threads may enter it at the same time.

    Yields:
        Nothing.

    Examples:
        >>> import gc
        >>> from jobledger.infra.sources.collecting import collecting_less
        >>> with collecting_less():
        ...     gc.get_threshold()[0]
        100000
    """
    with _lock:
        if not _nested[0]:
            _before[0] = gc.get_threshold()
            # A program that switched it off, by 0, or runs it still more seldom keeps that.
            if 0 < _before[0][0] < NEW_OBJECTS:
                gc.set_threshold(NEW_OBJECTS, *_before[0][1:])
        _nested[0] += 1
    try:
        yield
    finally:
        with _lock:
            _nested[0] -= 1
            if not _nested[0]:
                gc.set_threshold(*_before[0])
