"""Tables of jobs and events, as people read them: times to the second, in UTC."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.infra.cli.jobs.columns import columns_of, to_the_second
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
        cells = [Text(cell) for cell in columns_of(job)]
        table.add_row(cells[0], state_text(job.state), *cells[2:])
    return table


def counts_table(by: str, counts: Mapping[str, int]) -> Table:
    """How many jobs there are of each value of a field."""
    table = Table(by, "jobs", box=None)
    for key, jobs in counts.items():
        state = JobState.__members__.get(key)
        table.add_row(state_text(state) if state else Text(key), f"{jobs:,}")
    return table


def fields_table(fields: Mapping[str, Any]) -> Table:
    """The fields of one job, one a line."""
    table = Table(show_header=False, box=None)
    for field, value in fields.items():
        table.add_row(Text(field, style="dim"), cell(value))
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
    return Text(to_the_second(time))


def cell(value: object) -> Text:
    """A value as JSON, but text as it is; nothing of what holds nothing."""
    if value is None or value == {}:
        return Text("")
    return Text(value if isinstance(value, str) else orjson.dumps(value).decode())
