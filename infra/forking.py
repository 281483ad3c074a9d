"""Objects that a forked child makes again, to have connections, threads and locks of its own."""

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

Opened = TypeVar("Opened")
_OPEN: Final = WeakKeyDictionary[Any, Callable[[Any], None]]()
_OF_PARENTS: Final[list[dict[str, Any]]] = []
"""Parts that processes made from which this one was forked: unused, as their locks may never be released."""


def make_again_in_children(opened: Opened, make: Callable[[Opened], None]) -> None:
    """A forked child calls `make` with the object; objects that it was called for earlier come first."""
    _OPEN[opened] = make


def _make_all_again() -> None:
    for opened, make in list(_OPEN.items()):
        _OF_PARENTS.append(vars(opened).copy())
        make(opened)


os.register_at_fork(after_in_child=_make_all_again)
