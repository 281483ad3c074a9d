"""`intervals`: when each job was in which state, on both clocks, and counts of a whole fleet's states."""

from __future__ import annotations

from importlib import resources


def functions() -> str:
    """What the database needs of this projection."""
    return resources.files(__name__).joinpath("fold.sql").read_text()
