"""The group `import`: imports files with a mapping, or by a subcommand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from jobledger.domain.events import Event
from jobledger.infra.cli.context import ERR, OUT, Json, Target, counted, print_json, say, target
from jobledger.infra.cli.progress import move, progress_bar
from jobledger.infra.cli.sources.exported import import_history, origins
from jobledger.infra.cli.sources.trace import google_cluster_trace
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.sources.mapping.histories import Histories
from jobledger.infra.sources.mapping.importing import ImportSummary, MappedImport
from jobledger.infra.sources.mapping.model import read_mapping, shipped
from jobledger.infra.transfer.imports.exported import is_export
from rich.progress import DownloadColumn
from typer.core import TyperGroup

SHOWN_UNPLACED = 20
STDIN = "/dev/stdin"


class ImportGroup(TyperGroup):
    """A group whose first argument may be a mapping instead of a command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Takes an unknown command as one of the ledger's exports, or as a mapping: `import slurm-sacct FILE`."""
        # As usual, `-` is standard input.
        args = [STDIN if each == "-" else each for each in args]
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["history" if _is_history(args) else "file", *args]
        return super().resolve_command(ctx, args)


def _is_history(args: Sequence[str]) -> bool:
    """Whether the first argument is, or can only be meant as, one of the ledger's exports."""
    first, *rest = args
    if is_export(Path(first)):
        return True
    is_mapping = first in shipped() or first.endswith((".yaml", ".yml"))
    return not is_mapping and all(each.startswith("-") for each in rest)


importing = typer.Typer(
    cls=ImportGroup,
    no_args_is_help=True,
    help="Import histories of another system or ledger: jobledger import MAPPING FILE, or EXPORT.",
)
importing.command("google-cluster-trace")(google_cluster_trace)
importing.command("history")(import_history)
importing.command("origins")(origins)


@importing.command("mappings")
def list_mappings(json: Json = False) -> None:
    """List the mappings that come with the program."""
    found = [{"name": name, "title": read_mapping(name).title} for name in shipped()]
    if json:
        print_json(found)
        return
    width = max(len(each["name"]) for each in found)
    for each in found:
        say(f"{each['name']:<{width}}  {each['title']}")


@importing.command("file")
def import_file(
    context: typer.Context,
    mapping: Annotated[
        str,
        typer.Argument(
            metavar="MAPPING", help="A YAML file, or a mapping that `import mappings` lists."
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Files (.gz too); for sql, a connection string or a DuckDB file.",
        ),
    ],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing; show the first ten histories."),
    ] = False,
    json: Json = False,
) -> None:
    """Import the records of files as a mapping says. If they are imported again, nothing is added.

    Exits 1 if a record cannot be used.
    """
    aim, found = target(context), read_mapping(mapping)
    histories = Histories(found, aim.project, f"import {Path(mapping).stem}")
    imports = [MappedImport(found.source, file, histories) for file in files]
    would_write = _import(imports, aim, dry_run=dry_run)
    summaries = [each.summary for each in imports]
    if json:
        print_json([_json(summary, dry_run=dry_run) for summary in summaries])
    else:
        _print_histories(would_write, aim)
        for summary in summaries:
            _print(summary, dry_run=dry_run)
    if any(summary.unplaced_count for summary in summaries):
        raise typer.Exit(1)


def _import(imports: list[MappedImport], aim: Target, *, dry_run: bool) -> dict[str, list[Event]]:
    """Imports the files; a dry run writes nothing, and returns the first histories."""
    histories: dict[str, list[Event]] = {}
    with progress_bar(DownloadColumn()) as progress:
        for each in imports:
            file = Path(each.summary.source)
            size = file.stat().st_size if file.is_file() else None
            moved = partial(move, progress, progress.add_task(file.name, total=size))
            if dry_run:
                histories |= each.rehearse(moved)
            else:
                with aim.open() as ledger:
                    each.record(ledger, moved)
    return histories


def _print_histories(histories: dict[str, list[Event]], aim: Target) -> None:
    for name, events in histories.items():
        say(name.removeprefix(f"projects/{aim.project}/jobs/"))
        for event in events:
            data = event.data.encode().decode() if event.type != "Created" else ""
            say(f"  {time_text(event.occurred_time)}  {event.type:<18} {data[:120]}".rstrip())


def _print(summary: ImportSummary, *, dry_run: bool) -> None:
    for why in summary.unplaced[:SHOWN_UNPLACED]:
        ERR.print(f"{summary.source}, {why}", markup=False)
    if summary.unplaced_count > SHOWN_UNPLACED:
        more = summary.unplaced_count - SHOWN_UNPLACED
        ERR.print(f"{summary.source}: and {more} more", markup=False)
    did = "would write" if dry_run else "wrote"
    OUT.print(
        f"{summary.source}: {counted(summary.records, 'record')} of {counted(len(summary.jobs), 'job')};"
        f" {did} {counted(summary.events, 'event')} ({summary.contradicted} contradicted),"
        f" {summary.before} were recorded before, {summary.unplaced_count} could not be placed",
        markup=False,
    )


def _json(summary: ImportSummary, *, dry_run: bool) -> dict[str, Any]:
    return {
        "source": summary.source,
        "records": summary.records,
        "jobs": len(summary.jobs),
        "events": summary.events,
        "recordedBefore": summary.before,
        "contradicted": summary.contradicted,
        "unplaced": summary.unplaced,
        "unplacedCount": summary.unplaced_count,
        "dryRun": dry_run,
    }
