"""Commands that read: list, show, history, events."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import orjson
import typer
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.infra.cli.context import (
    OUT,
    JobName,
    Json,
    print_json,
    print_json_lines,
    target,
)
from jobledger.infra.rows import RecordedEvent
from jobledger.infra.shapes import event_json, job_json, time_text
from rich.table import Table
from rich.text import Text

COLOURS = {
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.PARTIALLY_SUCCEEDED: "yellow",
    JobState.FAILED: "red",
    JobState.EXPIRED: "red",
    JobState.CANCELLING: "magenta",
    JobState.CANCELLED: "magenta",
    JobState.PAUSED: "blue",
}


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def list_jobs(
    context: typer.Context,
    filter_: Annotated[
        str, typer.Option("--filter", help='AIP-160: state = FAILED AND labels.team = "ads"')
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=0, help="At most so many; a table shows 50, jsonl all.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    form = Format.JSON if json else format_
    with target(context).open() as ledger:
        if form is Format.JSONL:
            print_json_lines(map(job_json, ledger.scan(filter_, limit=limit)))
        elif form is Format.JSON:
            print_json([job_json(job) for job in ledger.scan(filter_, limit=limit)])
        else:
            shown = 50 if limit is None else limit
            jobs = ledger.list(filter_, limit=shown + 1)
            OUT.print(_jobs_table(jobs[:shown]))
            if len(jobs) > shown:
                OUT.print(f"and more than these {shown}: --limit, or --format jsonl for all")


def show(context: typer.Context, name: JobName, json: Json = False) -> None:
    """Show one job as it is."""
    aim = target(context)
    with aim.open() as ledger:
        job = ledger.get(aim.name(name))
    if json:
        print_json(job_json(job))
        return
    table = Table(show_header=False, box=None)
    for field, value in job_json(job).items():
        table.add_row(Text(field, style="dim"), _cell(value))
    OUT.print(table)


def history(context: typer.Context, name: JobName, json: Json = False) -> None:
    """Show all that happened to one job, oldest first."""
    aim = target(context)
    with aim.open() as ledger:
        events = ledger.history(aim.name(name))
    if json:
        print_json([event_json(event) for event in events])
    else:
        OUT.print(_events_table(events))


def events(
    context: typer.Context,
    after: Annotated[int, typer.Option(min=0, help="Begin after this position.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for more.")] = False,
    json: Json = True,
) -> None:
    """Print the ledger's events in their order, one JSON document a line."""
    assert json  # There is no other form.
    with target(context).open() as ledger:
        print_json_lines(map(event_json, ledger.events(after, follow=follow)))


def _jobs_table(jobs: Iterable[Job]) -> Table:
    table = Table(box=None)
    table.add_column("name", overflow="fold")
    for column in ("state", "attempt", "created", "ended"):
        table.add_column(column, no_wrap=True)
    table.add_column("error")
    for job in jobs:
        table.add_row(
            Text(job.name),
            _state(job.state),
            str(job.attempt),
            _short(time_text(job.create_time)),
            _short(time_text(job.end_time)),
            Text((job.error_message or "").strip().rpartition("\n")[2][:60]),
        )
    return table


def _events_table(events: Iterable[RecordedEvent]) -> Table:
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
            _state(event.state),
            _short(time_text(event.occurred_time)),
            _short(time_text(event.recorded_time)),
            Text(event.actor or ""),
            _cell(event.json),
        )
    return table


def _state(state: JobState | None) -> Text:
    return Text("" if state is None else state.name, style=COLOURS.get(state, "") if state else "")


def _short(time: str | None) -> Text:
    """To the second, as people read it; UTC."""
    return Text("" if time is None else time[:19].replace("T", " "))


def _cell(value: object) -> Text:
    if value is None or value == {}:
        return Text("")
    return Text(value if isinstance(value, str) else orjson.dumps(value).decode())
