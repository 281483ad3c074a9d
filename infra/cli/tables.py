"""Tables of jobs and events, as people read them: times to the second, in UTC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.eventstore.stored_event import RecordedEvent
from rich.table import Table
from rich.text import Text

COLOURS: Final = {
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.PARTIALLY_SUCCEEDED: "yellow",
    JobState.FAILED: "red",
    JobState.EXPIRED: "red",
    JobState.CANCELLING: "magenta",
    JobState.CANCELLED: "magenta",
    JobState.PAUSED: "blue",
}


def jobs_table(jobs: Iterable[Job]) -> Table:
    """The jobs, one a line, with the last line of their error message."""
    table = Table(box=None)
    table.add_column("name", overflow="fold")
    for column in ("state", "attempt", "created", "ended"):
        table.add_column(column, no_wrap=True)
    table.add_column("error")
    for job in jobs:
        table.add_row(
            Text(job.name),
            state_text(job.state),
            str(job.attempt),
            short(time_text(job.create_time)),
            short(time_text(job.end_time)),
            Text((job.error_message or "").strip().rpartition("\n")[2][:60]),
        )
    return table


def events_table(events: Iterable[RecordedEvent]) -> Table:
    """The events, one a line; contradicted reports stand out."""
    table = Table(box=None)
    for column in ("v", "event", "state", "occurred", "recorded"):
        table.add_column(column, no_wrap=True)
    table.add_column("actor", overflow="fold")
    table.add_column("data", overflow="fold")
    for event in events:
        contradicted = event.type == "Contradicted"
        table.add_row(
            str(event.version),
            Text(event.type, style="bold red" if contradicted else ""),
            state_text(event.state),
            short(time_text(event.occurred_time)),
            short(time_text(event.recorded_time)),
            Text(event.actor or ""),
            cell(event.json),
        )
    return table


def state_text(state: JobState | None) -> Text:
    """A state in its colour."""
    return Text("" if state is None else state.name, style=COLOURS.get(state, "") if state else "")


def short(time: str | None) -> Text:
    """A time to the second."""
    return Text("" if time is None else time[:19].replace("T", " "))


def cell(value: object) -> Text:
    """A value as JSON, but text as it is; nothing of what holds nothing."""
    if value is None or value == {}:
        return Text("")
    return Text(value if isinstance(value, str) else orjson.dumps(value).decode())
