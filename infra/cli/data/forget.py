"""Commands that forget, so that it is known that something was: erase, prune."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import ERR, OUT, Json, past_time, print_json, say, target
from jobledger.infra.cli.out_files import STDOUT
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.retention.archive import Export
from jobledger.infra.retention.erase import check_subject


def erase(
    context: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="As it was written, such as user:alice.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Make all personal data of a subject unreadable, for ever. Every proof still verifies."""
    with target(context).open() as ledger:
        if not yes:
            check_subject(ledger.reader, subject)
            _ask(f"Erase all personal data of {subject!r}? Nobody can undo it.")
        erasure = ledger.erase(subject, getpass.getuser())
    if json:
        print_json({"key": erasure.key, "position": erasure.position})
    else:
        say(f"erased: key {erasure.key}, recorded at position {erasure.position}")


def prune(
    context: typer.Context,
    before: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Jobs of which all was recorded before: ISO 8601, '400 days ago'."
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Export them to it first: a new file, jsonl."),
    ] = None,
    exported: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Only those that an export (jsonl) holds whole."),
    ] = None,
    json: Json = False,
) -> None:
    """Take jobs that have ended or were deleted out of the ledger; the log says so, and proofs still verify."""
    file = to or exported
    if file is None or (to and exported):
        raise InvalidFieldError("to", "takes --to FILE, or --exported FILE of an export there is")
    if to == STDOUT:
        raise InvalidFieldError("to", "takes a file that stays, and standard output may be lost")
    time = past_time(before, "before")
    with target(context).open() as ledger:
        export = Export(file, is_there=exported is not None)
        pruned = ledger.prune(time, export, getpass.getuser())
    if json:
        print_json(
            {"jobs": pruned.jobs, "events": pruned.events, "before": time_text(time)}
            | {"records": pruned.records, "file": str(file) if pruned.jobs else None}
        )
    elif pruned.jobs:
        said = f"{pruned.jobs} jobs with {pruned.events} events pruned; they are in {file}"
        say(said)
    else:
        OUT.print("nothing to prune")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidFieldError("yes", "nobody can be asked here: say --yes")
    ERR.print(question, markup=False)
    typer.confirm("Erase?", abort=True, err=True)
