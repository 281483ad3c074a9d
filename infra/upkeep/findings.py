"""Findings of verification."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A failed check; `position` is 0 if it is not about one event."""

    kind: str
    """gap, clock, unreadable, missing, extra, changed, differs, unchecked, or a kind of damage to the log."""
    position: int
    name: str
    detail: str
