"""Commands that write: record, simulate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Event
from jobledger.domain.reports import parse_report
from jobledger.domain.values.canonical import decode_given
from jobledger.domain.values.times import parse_iso
from jobledger.infra.cli.context import (
    ERR,
    OUT,
    JobName,
    Json,
    counted,
    past_time,
    print_json,
    target,
)
from jobledger.infra.cli.progress import progress_bar
from jobledger.infra.eventstore.json_view import event_json, job_json
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.programs.users import user_name
from jobledger.infra.transfer.traces.simulation import simulate as simulated
from rich.progress import MofNCompleteColumn


def record(
    context: typer.Context,
    name: JobName,
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="The event type, such as Started or Failed.")
    ],
    data: Annotated[str, typer.Option(metavar="JSON", help="The event's data.")] = "{}",
    time: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it happened (ISO 8601); default: now.")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option(help="A repeated request with the same id writes nothing.")
    ] = None,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="The number of the attempt that the report is about.")
    ] = None,
    run_id: Annotated[
        str | None, typer.Option(help="Your own id of the attempt, instead of its number.")
    ] = None,
    json: Json = False,
) -> None:
    """Record a report on a job; one that the job's state does not allow is recorded as Contradicted."""
    aim = target(context)
    found = parse_report(event, decode_given(data))
    about = {
        "occurred_time": _time(time),
        "request_id": request_id,
        "actor": user_name(),
        "attempt": attempt,
        "run_id": run_id,
    }
    given = {key: value for key, value in about.items() if value is not None}
    with aim.open() as ledger:
        job, events = ledger.report(aim.name(name), found, **given)  # type: ignore[arg-type]
        job, events = ledger.opened(job), [*map(ledger.opened, events)]
    if json:
        print_json({"job": job_json(job), "events": [event_json(e) for e in events]})
        return
    for each in events:
        _print_recorded(each)


def _print_recorded(event: RecordedEvent) -> None:
    OUT.print(f"{event.name} v{event.version}: {event.type}", markup=False)
    if event.type == "Contradicted":
        state = event.json["state"]
        ERR.print(f"kept, but contradicted: the job was {state}", style="yellow", markup=False)


def simulate(
    context: typer.Context,
    jobs: Annotated[int, typer.Option(min=1, help="The number of jobs.")] = 1_000,
    seed: Annotated[
        int, typer.Option(help="The random seed; equal seeds make equal histories.")
    ] = 1,
    end: Annotated[
        str,
        typer.Option(
            "--end", "--date", metavar="TIME", help="The end of the week: all jobs ended by then."
        ),
    ] = "now",
) -> None:
    """Write a simulated week of a small cluster: the week that ends now, or one with a given end."""
    aim = target(context)
    until = past_time(end, "end")
    events = simulated(jobs, seed, aim.project, until)
    with aim.open() as ledger, progress_bar(MofNCompleteColumn()) as progress:
        bar = progress.add_task("simulating jobs", total=jobs)
        written = ledger.append_many(_shown(events, lambda: progress.advance(bar)))
    OUT.print(f"{counted(jobs, 'job')}, {counted(written, 'event')}")


def _shown(events: Iterable[Event], advance: Callable[[], None]) -> Iterator[Event]:
    """Yields the events, and advances at each job's first one."""
    for event in events:
        if event.version == 1:
            advance()
        yield event


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_iso(text)
    except ValueError as error:
        raise InvalidFieldError(
            "time", f"{text!r} is not an ISO 8601 time, such as 2026-12-31T23:59:59Z"
        ) from error
