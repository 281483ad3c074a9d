"""`intervals`: when each job was in which state, on both clocks, and counts of all jobs' states."""

from __future__ import annotations

from jobledger.projections.template import Template, read


def functions() -> tuple[Template, ...]:
    """Returns the SQL functions of this projection."""
    return (Template(read(__name__, "fold")),)
