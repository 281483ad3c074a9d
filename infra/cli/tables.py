"""Tables of jobs and events for people: with times to the second."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.infra.cli.jobs.columns import job_cells
from jobledger.infra.cli.times import shown_time, time_header
from jobledger.infra.eventstore.json_view import encode, time_text
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


def jobs_table(
    jobs: Iterable[Job], project: str | None = None, width: int | None = None, *, wide: bool = False
) -> Table:
    """Returns the jobs, one per line, as `job_cells` fits them, with coloured states."""
    header, rows = job_cells(jobs, project, width, wide=wide)
    table = Table(box=None)
    for column in header:
        table.add_column(column, no_wrap=True, overflow="ignore")
    for name, state, *rest in rows:
        colour = COLOURS.get(JobState[state], "") if state else ""
        table.add_row(Text(name), Text(state, style=colour), *map(Text, rest))
    return table


def counts_table(by: str, counts: Mapping[str, int]) -> Table:
    """Returns a table of the number of jobs for each value of a field."""
    table = Table(by, "jobs", box=None)
    for key, jobs in counts.items():
        state = JobState.__members__.get(key)
        table.add_row(state_text(state) if state else Text(key), f"{jobs:,}")
    return table


def fields_table(fields: Mapping[str, Any]) -> Table:
    """Returns the fields of one job, one per line."""
    table = Table(show_header=False, box=None)
    for field, value in fields.items():
        table.add_row(Text(field, style="dim"), cell(value))
    return table


def events_table(events: Iterable[RecordedEvent]) -> Table:
    """Returns the events, one per line; contradicted reports are highlighted."""
    table = Table(box=None)
    for column in (
        "v",
        "event",
        "state",
        time_header("occurred"),
        time_header("recorded"),
        "actor",
    ):
        table.add_column(column, no_wrap=True, overflow="ignore")
    table.add_column("data", overflow="fold")
    for event in events:
        table.add_row(
            str(event.version),
            _type_text(event),
            state_text(event.state),
            short(time_text(event.occurred_time)),
            short(time_text(event.recorded_time)),
            Text(event.actor or ""),
            cell(event.json),
        )
    return table


def events_text(events: Iterable[RecordedEvent]) -> Text:
    """Returns the events, each on a line, with the fields of its data below."""
    cells = [_event_cells(event) for event in events]
    header = [Text(name) for name in ("v", "event", "state", time_header("occurred"), "actor")]
    widths = [
        max(len(row[n]) for row in [header, *(c.line for c in cells)]) for n in range(len(header))
    ]
    lines = [_line(header, widths)]
    for event in cells:
        lines += [_line(event.line, widths), *event.below]
    return Text("\n").join(lines)


class _EventCells(NamedTuple):
    line: list[Text]
    below: list[Text]


def _event_cells(event: RecordedEvent) -> _EventCells:
    occurred, recorded = time_text(event.occurred_time), time_text(event.recorded_time)
    line = [
        Text(str(event.version)), _type_text(event), state_text(event.state), short(occurred),
        Text(event.actor or ""),
    ]  # fmt: skip
    below = [_field(key, value) for key, value in event.json.items()]
    if abs(event.recorded_time - event.occurred_time) >= timedelta(seconds=1):
        below.append(_field(time_header("recorded"), shown_time(recorded)))
    return _EventCells(line, below)


def _line(cells: list[Text], widths: list[int]) -> Text:
    padded = [cell + " " * (width - len(cell)) for cell, width in zip(cells, widths, strict=True)]
    line = Text(" ") + Text("  ").join(padded)
    line.rstrip()
    return line


def _field(name: str, value: object) -> Text:
    return Text.assemble("     ", (f"{name}: ", "dim"), cell(value))


def _type_text(event: RecordedEvent) -> Text:
    return Text(event.type, style="bold red" if event.type == "Contradicted" else "")


def state_text(state: JobState | None) -> Text:
    """Returns a state in its colour."""
    return Text("" if state is None else state.name, style=COLOURS.get(state, "") if state else "")


def short(time: str | None) -> Text:
    """Returns a time to the second."""
    return Text(shown_time(time))


def cell(value: object) -> Text:
    """Returns a value as JSON, but text unchanged; "" for an empty value."""
    if value is None or value == {}:
        return Text("")
    return Text(value if isinstance(value, str) else encode(value).decode())
