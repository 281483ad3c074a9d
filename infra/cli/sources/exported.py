"""The commands that import our own exports, and show the origins of imported events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from jobledger.infra.cli.context import ERR, Json, counted, print_json, say, target
from jobledger.infra.cli.progress import moving
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.transfer.imports.import_history import HistoryImport


def import_history(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="EXPORT", help="jsonl or CloudEvents (.gz too), or a Parquet folder."
        ),
    ],
    json: Json = False,
) -> None:
    """Import exports of this or another ledger, unchanged: to merge, migrate or restore.

    What is stored already, the same at the same version, is skipped. Exits 1 if a job forks:
    another event is stored at a version, or events before the export's first one are missing.
    """
    aim = target(context)
    with aim.open() as ledger:
        done = []
        for file in files:
            with moving(file.name) as progress:
                done.append(ledger.import_history(file, progress=progress))
    if json:
        print_json([_json(each) for each in done])
    for each in done:
        for name, why in each.forks.items():
            ERR.print(f"{each.file}: {name} forks: {why}", markup=False)
        if not json:
            say(
                f"{each.file}: {counted(each.events, 'event')} of {counted(each.jobs, 'job')} of the ledger"
                f" {each.origin}; wrote {each.written}, already stored: {each.repeated},"
                f" jobs that fork: {len(each.forks)}"
            )
    if any(each.forks for each in done):
        raise typer.Exit(1)


def origins(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id or name.")],
    ledger: Annotated[
        str | None,
        typer.Option("--of", metavar="LEDGER", help="Only events that come from that ledger."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the events as that ledger would export them, to compare receipts of it with.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show where a job's imported events had been before: ledger, position, recorded time."""
    aim = target(context)
    name = aim.name(job)
    with aim.open() as opened:
        found = [each for each in opened.origins(name) if ledger in (None, each.ledger)]
        if to is not None:
            count = opened.export_origin(name, ledger or (found[0].ledger if found else ""), to)
            say(f"{counted(count, 'event')} in {to}")
            return
        if not found:
            opened.history(name)  # It names a job that does not exist.
            where = "" if ledger is None else f" from {ledger!r}"
            ERR.print(f"no event of {name} was imported{where}", markup=False)
    if json:
        print_json(
            [each._asdict() | {"recorded_time": time_text(each.recorded_time)} for each in found]
        )
        return
    for each in found:
        signed = ", under a checkpoint" if each.checkpoint else ""
        say(
            f"v{each.version}  {each.ledger} @{each.position}"
            f"  recorded {time_text(each.recorded_time)}{signed}"
        )


def _json(done: HistoryImport) -> dict[str, object]:
    return {
        "source": done.file,
        "ledger": done.origin,
        "events": done.events,
        "jobs": done.jobs,
        "written": done.written,
        "recordedBefore": done.repeated,
        "forks": done.forks,
    }
