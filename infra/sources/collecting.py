"""Makes Python's garbage collector run less often while many objects without cycles are created.

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
"""The garbage collector runs after this many new objects, instead of after Python's 700."""
_lock: Final = Lock()
_nested: Final = [0]
_before: Final = [gc.get_threshold()]


@contextmanager
def collecting_less() -> Iterator[None]:
    """A block in which the collector runs rarely, for the whole process; several threads may enter it.

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
            # A program that switched the collector off, by 0, or made it run even less often, keeps its setting.
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
