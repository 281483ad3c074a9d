"""The command that imports Google's cluster trace."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from jobledger.infra.cli.context import ERR, OUT, Json, print_json, target
from jobledger.infra.cli.progress import move, progress_bar
from jobledger.infra.errors import InputError
from jobledger.infra.transfer.traces.google_cluster import Kind
from jobledger.infra.transfer.traces.import_trace import Importer, Summary
from rich.progress import DownloadColumn


def google_cluster_trace(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="The trace's files, as CSV (.gz too).")
    ],
    kind: Annotated[Kind, typer.Option(help="The table of the trace that the files are of.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing, and print what an import would do.")
    ] = False,
    json: Json = False,
) -> None:
    """Import job or task events of clusterdata-2011-2.

    Rows that were imported before, from this file or another, are skipped.
    """
    aim = target(context)
    summaries, broken = [], []
    with aim.open() as ledger, progress_bar(DownloadColumn()) as progress:
        importer = Importer(ledger, aim.project, kind, dry_run=dry_run)
        for file in files:
            bar = progress.add_task(file.name, total=file.stat().st_size if file.exists() else None)
            summary = Summary(str(file))
            summaries.append(summary)
            try:
                importer.run(file, summary, partial(move, progress, bar))
            except InputError as error:
                broken.append(error)
    _report(summaries, broken, json=json, dry_run=dry_run)
    if broken or any(summary.bad for summary in summaries):
        raise typer.Exit(1)


def _report(
    summaries: list[Summary], broken: list[InputError], *, json: bool, dry_run: bool
) -> None:
    bad = [error for summary in summaries for error in summary.bad]
    for error in [*bad, *broken]:
        ERR.print(f"jobledger: {error}", markup=False)
    totals = {
        "files": len(summaries),
        "rows": sum(s.rows for s in summaries),
        "imported": sum(s.imported for s in summaries),
        "importedBefore": sum(s.before for s in summaries),
        "afterTheTrace": sum(s.after_the_trace for s in summaries),
        "bad": len(bad),
        "broken": len(broken),
        "events": sum(s.events for s in summaries),
        "contradicted": sum(s.contradicted for s in summaries),
    }
    if json:
        print_json(totals | ({"dryRun": True} if dry_run else {}))
    else:
        OUT.print(
            ("dry run, nothing is written: " if dry_run else "")
            + "{files} files, {rows} rows: {imported} imported as {events} events"
            " ({contradicted} contradicted), {importedBefore} imported before,"
            " {afterTheTrace} from after the trace, {bad} bad".format(**totals),
            markup=False,
        )
