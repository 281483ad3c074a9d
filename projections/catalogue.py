"""The catalogue of all projections."""

from __future__ import annotations

from typing import Final, NamedTuple

from jobledger.projections import intervals, jobs, search
from jobledger.projections.template import Template, read


class Projection(NamedTuple):
    """Rows derived from events by a fold; a change of meaning or columns needs a new version."""

    name: str
    version: int
    tables: tuple[str, ...]
    functions: tuple[Template, ...]
    """Makes `fold_NAME(first, last)`, and what else the projection needs."""
    follows: bool
    """Whether it catches up when it is read, instead of being written with the events."""
    by_job: bool = False
    """Whether each row is of one job's events alone, so that jobs can be folded apart."""

    @property
    def schema(self) -> bytes:
        """Creates the empty tables in the first schema of the search_path."""
        return read(f"jobledger.projections.{self.name}", "schema").encode()

    @property
    def comments(self) -> bytes:
        """Comments the tables and functions that the search_path finds first."""
        return read(f"jobledger.projections.{self.name}", "comments").encode()


JOBS: Final = Projection("jobs", 10, ("jobs",), jobs.functions(), follows=False, by_job=True)
INTERVALS: Final = Projection(
    "intervals",
    6,
    ("intervals", "state_changes", "late_jobs"),
    intervals.functions(),
    follows=True,
)
SEARCH: Final = Projection("search", 1, ("search_blocks",), search.functions(), follows=True)
PROJECTIONS: Final = (JOBS, INTERVALS, SEARCH)
