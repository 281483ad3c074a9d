"""What a table of jobs says, and the table as plain text, for which no library is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.infra.eventstore.json_view import time_text

MAX_ERROR: Final = 60
"""Characters shown of an error message's last line."""
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
"""What would move the cursor or break the line."""


class Columns(NamedTuple):
    """One job's cells, by column."""

    name: str
    state: str
    attempt: str
    created: str
    ended: str
    error: str


def columns_of(job: Job) -> Columns:
    """The cells of a job."""
    last_line = (job.error_message or "").strip().rpartition("\n")[2]
    return Columns(
        name=job.name,
        state="" if job.state is None else job.state.name,
        attempt=str(job.attempt),
        created=to_the_second(time_text(job.create_time)),
        ended=to_the_second(time_text(job.end_time)),
        error=_CONTROLS.sub(" ", last_line)[:MAX_ERROR],
    )


def plain_table(jobs: Iterable[Job]) -> str:
    """The jobs one a line under the columns' names, however long that makes the lines."""
    rows = [Columns._fields, *map(columns_of, jobs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "".join(f" {cell:<{width}} " for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def to_the_second(time: str | None) -> str:
    """A time as people read it; nothing for none."""
    return "" if time is None else time[:19].replace("T", " ")
