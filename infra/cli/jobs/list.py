"""The command that lists jobs: list."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from jobledger.domain.job import Job
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
from jobledger.infra.cli.jobs.columns import plain_table
from jobledger.infra.eventstore.json_view import job_json, moment_json
from jobledger.infra.read.reader import MAX_PAGE, USUAL_PAGE, Page

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
    with target(context).read() as reader:
        if page_size is not None or page_token:
            page = reader.page(
                filter_,
                page_size=page_size or USUAL_PAGE,
                page_token=page_token,
                order_by=order_by,
                as_of=as_of,
                clock=clock,
            )
            _print_page(page._replace(jobs=[*map(reader.decrypted, page.jobs)]), form)
            return
        moment = reader.moment(as_of, clock) if as_of or clock else None
        jobs = reader.scan(filter_, limit=_enough(form, limit), order_by=order_by, as_of=moment)
        if moment is not None:
            print_moment(moment)
        if form is Format.JSONL:
            print_json_lines(map(job_json, map(reader.decrypted, jobs)))
        elif form is Format.JSON:
            print_json([job_json(reader.decrypted(job)) for job in jobs])
        else:
            shown = SHOWN if limit is None else limit
            listed = list(jobs)
            _print_table(listed[:shown])
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
            _print_table(page.jobs)
    if page.next_page_token and form is not Format.JSON:
        ERR.print(f"--page-token {page.next_page_token}", style="dim", markup=False)


def _print_table(jobs: Sequence[Job]) -> None:
    if OUT.is_plain:
        OUT.print(plain_table(jobs))
        return
    from jobledger.infra.cli.tables import jobs_table

    OUT.print(jobs_table(jobs))
