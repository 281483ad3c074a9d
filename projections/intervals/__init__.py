"""`intervals`: when each job was in which state, on both clocks, and counts of a whole fleet's states."""

from __future__ import annotations

from jobledger.projections.template import Template, read


def functions() -> tuple[Template, ...]:
    """What the database needs of this projection."""
    return (Template(read(__name__, "fold")),)
