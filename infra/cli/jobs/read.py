"""Commands that read jobs and events: count, show, history, events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.moments import Moment
from jobledger.infra.cli.context import (
    OUT,
    AsOf,
    Json,
    OnClock,
    aside,
    counted,
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
from jobledger.infra.eventstore.json_view import event_json, job_json, moment_json

if TYPE_CHECKING:
    from jobledger.infra.read.reader import Reader
    from jobledger.infra.transfer.imports.history_file import History

MaybeJobName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME", help="projects/P/jobs/ID or ID; not needed for a file with one job."
    ),
]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Read an export (jsonl) instead of a database."),
]


def count(
    context: typer.Context,
    by: Annotated[
        str, typer.Option(metavar="FIELD", help="state, kind, labels.KEY, or another field.")
    ] = "state",
    filter_: Annotated[str, typer.Option("--filter", help="AIP-160, as for list.")] = "",
    as_of: AsOf = None,
    clock: OnClock = None,
    format_: FormOption = Form.TABLE,
    json: Json = False,
) -> None:
    """Count jobs by state or another field, now or as of a moment."""
    with target(context).read() as reader:
        counted = reader.count(by, filter_, as_of=as_of, clock=clock)
    counts = {"" if key is None else key: jobs for key, jobs in counted.counts.items()}
    if json or format_ is Form.JSON:
        print_json(moment_json(counted.moment) | {"counts": counts})
        return
    print_moment(counted.moment)
    if format_ is not Form.TABLE:
        rows = ({by: key, "jobs": jobs} for key, jobs in counts.items())
        print_documents(rows, format_, [by, "jobs"])
        return
    from jobledger.infra.cli.tables import counts_table

    OUT.print(counts_table(by, counts))


def show(
    context: typer.Context,
    name: MaybeJobName = None,
    as_of: AsOf = None,
    clock: OnClock = None,
    from_: From = None,
    format_: FormOption = Form.TABLE,
    json: Json = False,
) -> None:
    """Show one job, now or as of a moment; JSON includes the moment."""
    aim = target(context)
    moment: Moment | None
    if from_ is not None:
        job, moment = _history_in(from_, aim.name(name) if name else None).get(as_of, clock)
    else:
        job_name = aim.name(_needed(name))
        with aim.read() as reader:
            moment = reader.moment(as_of, clock, job_name) if as_of or clock else None
            job = reader.decrypted(reader.get(job_name, as_of=moment))
    if moment is not None:
        print_moment(moment)
    document = job_json(job)
    if json or format_ is Form.JSON:
        asked = moment if as_of or clock else None
        print_json(document | (moment_json(asked) if asked else {}))
        return
    if format_ is not Form.TABLE:
        print_documents([document], format_, [*document])
        return
    from jobledger.infra.cli.tables import fields_table

    OUT.print(fields_table(document))


EVENT_FIELDS: Final = (
    "position", "name", "version", "type", "occurredTime", "recordedTime", "actor", "requestId", "data",
    "state",
)  # fmt: skip
"""The fields of an event in JSON."""


def history(
    context: typer.Context,
    name: MaybeJobName = None,
    from_: From = None,
    format_: FormOption = Form.TABLE,
    columns: ColumnsOption = None,
    wide: WideOption = False,
    json: Json = False,
) -> None:
    """Show all events of one job, oldest first; legal holds and pins are named on standard error."""
    aim = target(context)
    chosen = parse_columns(columns, EVENT_FIELDS)
    if from_ is not None:
        opened = _history_in(from_, aim.name(name) if name else None)
        print_moment(opened.moment)
        events = opened.events
    else:
        job_name = aim.name(_needed(name))
        with aim.read() as reader:
            events = [*map(reader.decrypted, reader.history(job_name))]
            _print_holds(reader, job_name)
    form = Form.JSON if json else format_
    if form is not Form.TABLE or chosen is not None:
        print_documents(map(event_json, events), form, chosen or EVENT_FIELDS)
        return
    from jobledger.infra.cli.tables import events_table, events_text

    OUT.print_long(events_table(events) if wide else events_text(events), wide=wide)


def _print_holds(reader: Reader, name: str) -> None:
    """Prints the legal holds and pins of a job on standard error, also with --server."""
    from jobledger.infra.retention.holds import holds

    through_server = getattr(type(reader), "holds", None)
    for held in (through_server or holds)(reader, name):
        aside(f"{name} has been {held.sentence}")


def _history_in(file: Path, name: str | None) -> History:
    """Reads an export; the module that reads files is imported only for this."""
    from jobledger.infra.transfer.imports.read_export import open_history

    return open_history(file, name)


def _needed(name: str | None) -> str:
    if name is None:
        raise typer.BadParameter("needed without --from", param_hint="NAME")
    return name


def events(
    context: typer.Context,
    after: Annotated[int, typer.Option(min=0, help="Print events after this position.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for further events.")] = False,
    format_: FormOption = Form.JSONL,
    json: Annotated[
        bool, typer.Option("--json", help="No effect: output is always one JSON document per line.")
    ] = False,
) -> None:
    """Print all events of the ledger in commit order, one JSON document per line."""
    form = Form.JSONL if json else format_
    if follow and form in (Form.TABLE, Form.JSON):
        raise InvalidFieldError(
            "format", f"{form} needs all events, and --follow never ends; use jsonl, csv or tsv"
        )
    with target(context).read() as reader:
        reader.check_reached(after)
        if pruned := reader.pruned(after, reader.size()):
            count = sum(last - first + 1 for first, last in pruned)
            aside(f"left out: {counted(count, 'pruned event')}")
        feed = map(reader.decrypted, reader.events(after, follow=follow))
        print_documents(map(event_json, feed), form, EVENT_FIELDS)
