"""The columns of a table of jobs: their content, those that fit the terminal, and the table as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.infra.cli.forms import align, one_line
from jobledger.infra.cli.times import shown_time, time_header
from jobledger.infra.eventstore.json_view import time_text

MAX_ERROR: Final = 60
"""The most characters of an error message's last line, if the output has no width."""
MIN_ERROR: Final = 20
"""The characters of an error for which other columns are left out."""
OPTIONAL: Final = ("attempt", "ended", "created")
"""Columns that are left out of a narrow table, in this order."""
GAP: Final = 2
"""Spaces between two columns."""


class Columns(NamedTuple):
    """One job's cells, by column."""

    name: str
    state: str
    attempt: str
    created: str
    ended: str
    error: str


class JobCells(NamedTuple):
    """The table: the columns' headers, and the cells of each job."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def job_cells(
    jobs: Iterable[Job], project: str | None = None, width: int | None = None, *, wide: bool = False
) -> JobCells:
    """Returns the cells of a table of jobs.

    Args:
        jobs: The jobs, in the order of the table.
        project: Names in this project are shown as ids.
        width: The width of the terminal in characters; None does not fit the cells to it.
        wide: Keep names and errors whole.

    Returns:
        The columns and the rows.
    """
    rows = [columns_of(job, None if wide else project, wide=wide) for job in jobs]
    kept = [*Columns._fields]
    headers = Columns(
        "name", "state", "attempt", time_header("created"), time_header("ended"), "error"
    )
    if width is not None and not wide:
        rows, kept = _fit(headers, rows, width)
    return JobCells(
        [getattr(headers, column) for column in kept],
        [[getattr(row, column) for column in kept] for row in rows],
    )


def columns_of(job: Job, project: str | None = None, *, wide: bool = False) -> Columns:
    """Returns the cells of a job."""
    last_line = one_line((job.error_message or "").strip().rpartition("\n")[2])
    return Columns(
        name=job.name.removeprefix(f"projects/{project}/jobs/"),
        state="" if job.state is None else job.state.name,
        attempt=str(job.attempt),
        created=shown_time(time_text(job.create_time)),
        ended=shown_time(time_text(job.end_time)),
        error=last_line if wide else cut(last_line, MAX_ERROR),
    )


def cut(text: str, width: int) -> str:
    """Returns the text, cut with an ellipsis if it is too long."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def plain_table(
    jobs: Iterable[Job], project: str | None = None, width: int | None = None, *, wide: bool = False
) -> str:
    """Returns the jobs, one per line, below the columns' names."""
    return align(*job_cells(jobs, project, width, wide=wide))


def _fit(headers: Columns, rows: list[Columns], width: int) -> tuple[list[Columns], list[str]]:
    """Cuts errors to the remaining width, and drops columns that do not fit."""
    kept = [*Columns._fields]
    longest = {
        name: max(len(row[index]) for row in (headers, *rows))
        for index, name in enumerate(Columns._fields)
    }
    for column in OPTIONAL:
        if _room(longest, kept, width) >= min(longest["error"], MIN_ERROR):
            break
        kept.remove(column)
    room = max(_room(longest, kept, width), len(headers.error))
    return [row._replace(error=cut(row.error, room)) for row in rows], kept


def _room(longest: dict[str, int], kept: Sequence[str], width: int) -> int:
    """Returns how many characters the other columns leave for the error."""
    return width - sum(longest[name] for name in kept if name != "error") - GAP * len(kept)
