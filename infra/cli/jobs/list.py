"""The command that lists jobs: list."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, NamedTuple

import typer
from jobledger.domain.job import Job
from jobledger.domain.values.moments import Clock
from jobledger.infra.cli.context import (
    ERR,
    OUT,
    AsOf,
    Json,
    OnClock,
    print_json,
    print_moment,
    target,
)
from jobledger.infra.cli.forms import (
    ColumnsOption,
    Form,
    FormOption,
    WideOption,
    parse_columns,
    print_documents,
)
from jobledger.infra.cli.jobs.columns import plain_table
from jobledger.infra.eventstore.json_view import job_json, moment_json
from jobledger.infra.read.answers import Page
from jobledger.infra.read.many_jobs import DEFAULT_PAGE_SIZE, MAX_PAGE
from jobledger.infra.read.reader import Reader

SHOWN = 50
"""Jobs in a table by default."""


FIELDS: Final = (
    "name", "project", "kind", "state", "version", "attempt", "createTime", "startTime", "endTime",
    "updateTime", "error", "errorMessage", "labels", "etag", "spec", "output",
)  # fmt: skip
"""The fields of a job in JSON."""
SEPARATED: Final = (
    "name", "state", "kind", "attempt", "createTime", "startTime", "endTime", "errorMessage", "labels",
)  # fmt: skip
"""The columns of csv and tsv, if none are chosen."""
WATCH_SECONDS: Final = 2.0


Filter = Annotated[
    str, typer.Option("--filter", help='AIP-160: state = FAILED AND labels.team = "ads"')
]
Limit = Annotated[
    int | None,
    typer.Option(min=0, help="The most jobs to list; default: 50 in a table, all in jsonl."),
]
OrderBy = Annotated[str, typer.Option(metavar="FIELDS", help="AIP-132: 'state, update_time desc'")]
PageSize = Annotated[
    int | None,
    typer.Option(
        min=1, max=MAX_PAGE, help="Show one page of this size, and the next page's token."
    ),
]
PageToken = Annotated[str, typer.Option(help="Show the page of this token, as of the same moment.")]
Watch = Annotated[
    bool, typer.Option("--watch", help="Print the list again every 2 s, until interrupted.")
]


class Look(NamedTuple):
    """How the jobs are printed."""

    form: Form
    project: str
    columns: list[str] | None
    wide: bool
    is_paged: bool = True
    """Whether a table longer than the terminal goes to the pager."""


def list_jobs(
    context: typer.Context,
    filter_: Filter = "",
    limit: Limit = None,
    format_: FormOption = Form.TABLE,
    columns: ColumnsOption = None,
    wide: WideOption = False,
    order_by: OrderBy = "",
    page_size: PageSize = None,
    page_token: PageToken = "",
    as_of: AsOf = None,
    clock: OnClock = None,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """List jobs, newest first, now or as of a moment."""
    aim = target(context)
    form = Form.JSON if json else format_
    look = Look(form, aim.project, parse_columns(columns, FIELDS), wide, not watch)
    with aim.read() as reader:
        if page_size is not None or page_token:
            page = reader.page(
                filter_,
                page_size=page_size or DEFAULT_PAGE_SIZE,
                page_token=page_token,
                order_by=order_by,
                as_of=as_of,
                clock=clock,
            )
            _print_page(page._replace(jobs=[*map(reader.decrypted, page.jobs)]), look)
            return
        wanted = _Wanted(filter_, order_by, as_of, clock, limit)
        _print_list(reader, wanted, look)
        while watch:
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
            _print_list(reader, wanted, look)


class _Wanted(NamedTuple):
    """The query for the listed jobs."""

    filter: str
    order_by: str
    as_of: str | None
    clock: Clock | None
    limit: int | None


def _print_list(reader: Reader, wanted: _Wanted, look: Look) -> None:
    """Prints the list once; with --watch it replaces the previous list on the terminal."""
    as_of, clock = wanted.as_of, wanted.clock
    moment = reader.moment(as_of, clock) if as_of or clock else None
    enough = _enough(look.form, wanted.limit)
    jobs = reader.scan(wanted.filter, limit=enough, order_by=wanted.order_by, as_of=moment)
    if not look.is_paged and OUT.width is not None:
        OUT.console.clear()
    if moment is not None:
        print_moment(moment)
    _print_jobs(map(reader.decrypted, jobs), look, wanted.limit)


def _print_jobs(jobs: Iterable[Job], look: Look, limit: int | None) -> None:
    """Prints the jobs; a table is cut at a number, with a note that there are more."""
    if look.form is not Form.TABLE:
        print_documents(map(job_json, jobs), look.form, look.columns or SEPARATED)
        return
    shown = SHOWN if limit is None else limit
    listed = list(jobs)
    _print_table(listed[:shown], look)
    if len(listed) > shown:
        ERR.print(f"and more than these {shown}: --limit, or --format jsonl for all", markup=False)


def _enough(form: Form, limit: int | None) -> int | None:
    """Returns how many jobs to read: for a table one more than it shows, to detect further ones."""
    return limit if form is not Form.TABLE else (SHOWN if limit is None else limit) + 1


def _print_page(page: Page, look: Look) -> None:
    if look.form is Form.JSON:
        token = page.next_page_token
        fields = {"jobs": [*map(job_json, page.jobs)], "nextPageToken": token}
        print_json(moment_json(page.moment) | fields)
        return
    print_moment(page.moment)
    _print_jobs(page.jobs, look, len(page.jobs))
    if page.next_page_token:
        ERR.print(f"--page-token {page.next_page_token}", style="dim", markup=False)


def _print_table(jobs: Sequence[Job], look: Look) -> None:
    if look.columns is not None:
        print_documents(map(job_json, jobs), Form.TABLE, look.columns)
        return
    if OUT.is_plain:
        OUT.print(plain_table(jobs, look.project, wide=look.wide))
        return
    from jobledger.infra.cli.tables import jobs_table

    table = jobs_table(jobs, look.project, OUT.width, wide=look.wide)
    if look.is_paged:
        OUT.print_long(table, wide=look.wide)
    else:
        OUT.print(table, wide=look.wide)
