"""Commands that read: list, count, show, history, events."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from jobledger.domain.moments import Moment
from jobledger.domain.states import JobState
from jobledger.infra.cli.context import (
    ERR,
    OUT,
    AsOf,
    Json,
    OnClock,
    print_json,
    print_json_lines,
    print_moment,
    target,
)
from jobledger.infra.cli.tables import cell, events_table, jobs_table, state_text
from jobledger.infra.eventstore.json_view import event_json, job_json, moment_json
from jobledger.infra.read.reader import MAX_PAGE, USUAL_PAGE, Page
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from jobledger.infra.transfer.history_file import History

MaybeJobName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME", help="projects/P/jobs/ID, or just ID; not needed for a file of one job."
    ),
]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Of an export (jsonl), without a database."),
]
SHOWN = 50
"""Jobs in a table, if nobody says how many."""


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
    order_by: Annotated[
        str, typer.Option(metavar="FIELDS", help="AIP-132: 'state, update_time desc'")
    ] = "",
    page_size: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_PAGE, help="Show one page, and the next one's token."),
    ] = None,
    page_token: Annotated[str, typer.Option(help="Show the page after: the same moment.")] = "",
    as_of: AsOf = None,
    clock: OnClock = None,
    json: Json = False,
) -> None:
    """List jobs, newest first, as they are or were."""
    form = Format.JSON if json else format_
    with target(context).open() as ledger:
        if page_size is not None or page_token:
            page = ledger.page(
                filter_,
                page_size=page_size or USUAL_PAGE,
                page_token=page_token,
                order_by=order_by,
                as_of=as_of,
                clock=clock,
            )
            _print_page(page._replace(jobs=[*map(ledger.opened, page.jobs)]), form)
            return
        moment = ledger.moment(as_of, clock) if as_of or clock else None
        jobs = ledger.scan(filter_, limit=_enough(form, limit), order_by=order_by, as_of=moment)
        if moment is not None:
            print_moment(moment)
        if form is Format.JSONL:
            print_json_lines(map(job_json, map(ledger.opened, jobs)))
        elif form is Format.JSON:
            print_json([job_json(ledger.opened(job)) for job in jobs])
        else:
            shown = SHOWN if limit is None else limit
            listed = list(jobs)
            OUT.print(jobs_table(listed[:shown]))
            if len(listed) > shown:
                OUT.print(f"and more than these {shown}: --limit, or --format jsonl for all")


def _enough(form: Format, limit: int | None) -> int | None:
    """How many jobs to read: for a table one more than it shows, to know whether there are more."""
    return limit if form is not Format.TABLE else (SHOWN if limit is None else limit) + 1


def _print_page(page: Page, form: Format) -> None:
    jobs = [job_json(job) for job in page.jobs]
    match form:
        case Format.JSONL:
            print_moment(page.moment)
            print_json_lines(jobs)
        case Format.JSON:
            token = page.next_page_token
            print_json(moment_json(page.moment) | {"jobs": jobs, "nextPageToken": token})
        case Format.TABLE:
            print_moment(page.moment)
            OUT.print(jobs_table(page.jobs))
    if page.next_page_token and form is not Format.JSON:
        ERR.print(f"--page-token {page.next_page_token}", style="dim", markup=False)


def count(
    context: typer.Context,
    by: Annotated[
        str, typer.Option(metavar="FIELD", help="state, kind, labels.KEY, or another field.")
    ] = "state",
    filter_: Annotated[str, typer.Option("--filter", help="AIP-160, as for list.")] = "",
    as_of: AsOf = None,
    clock: OnClock = None,
    json: Json = False,
) -> None:
    """Count jobs by state, or by another field, as they are or were."""
    with target(context).open() as ledger:
        counted = ledger.count(by, filter_, as_of=as_of, clock=clock)
    counts = {"" if key is None else key: jobs for key, jobs in counted.counts.items()}
    if json:
        print_json(moment_json(counted.moment) | {"counts": counts})
        return
    print_moment(counted.moment)
    table = Table(by, "jobs", box=None)
    for key, jobs in counts.items():
        state = JobState.__members__.get(key)
        table.add_row(state_text(state) if state else Text(key), f"{jobs:,}")
    OUT.print(table)


def show(
    context: typer.Context,
    name: MaybeJobName = None,
    as_of: AsOf = None,
    clock: OnClock = None,
    from_: From = None,
    json: Json = False,
) -> None:
    """Show one job as it is, or was; in JSON, what it was as of, too."""
    aim = target(context)
    moment: Moment | None
    if from_ is not None:
        job, moment = _history_in(from_, aim.name(name) if name else None).get(as_of, clock)
    else:
        job_name = aim.name(_needed(name))
        with aim.open() as ledger:
            moment = ledger.moment(as_of, clock, job_name) if as_of or clock else None
            job = ledger.opened(ledger.get(job_name, as_of=moment))
    if moment is not None:
        print_moment(moment)
    if json:
        asked = moment if as_of or clock else None
        print_json(job_json(job) | (moment_json(asked) if asked else {}))
        return
    table = Table(show_header=False, box=None)
    for field, value in job_json(job).items():
        table.add_row(Text(field, style="dim"), cell(value))
    OUT.print(table)


def history(
    context: typer.Context, name: MaybeJobName = None, from_: From = None, json: Json = False
) -> None:
    """Show all that happened to one job, oldest first."""
    aim = target(context)
    if from_ is not None:
        opened = _history_in(from_, aim.name(name) if name else None)
        print_moment(opened.moment)
        events = opened.events
    else:
        job_name = aim.name(_needed(name))
        with aim.open() as ledger:
            events = [*map(ledger.opened, ledger.history(job_name))]
    if json:
        print_json([event_json(event) for event in events])
    else:
        OUT.print(events_table(events))


def _history_in(file: Path, name: str | None) -> History:
    """Reads an export; the reader of files is imported for this alone."""
    from jobledger.infra.transfer.read_export import open_history

    return open_history(file, name)


def _needed(name: str | None) -> str:
    if name is None:
        raise typer.BadParameter("needed without --from", param_hint="NAME")
    return name


def events(
    context: typer.Context,
    after: Annotated[int, typer.Option(min=0, help="Begin after this position.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for more.")] = False,
    json: Json = True,
) -> None:
    """Print the ledger's events in their order, one JSON document a line."""
    assert json  # There is no other form.
    with target(context).open() as ledger:
        feed = map(ledger.opened, ledger.events(after, follow=follow))
        print_json_lines(map(event_json, feed))
