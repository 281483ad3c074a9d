"""Commands that delete data and record the deletion: erase, prune."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.cli.context import ERR, OUT, Json, past_time, print_json, say, target
from jobledger.infra.cli.out_files import STDOUT
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.retention.archive import Export
from jobledger.infra.retention.erase import check_subject


def erase(
    context: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="The subject, such as user:alice.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    json: Json = False,
) -> None:
    """Erase all personal data of a subject permanently; all proofs stay valid."""
    with target(context).open() as ledger:
        if not yes:
            check_subject(ledger.reader, subject)
            _ask(f"Erase all personal data of {subject!r}? Nobody can undo it.")
        erasure = ledger.erase(subject, getpass.getuser())
    if json:
        print_json({"key": erasure.key, "position": erasure.position})
    else:
        say(f"erased: key {erasure.key}, recorded at position {erasure.position}")


Before = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Prune jobs whose last event was recorded before: ISO 8601, '400 days ago'.",
    ),
]
To = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Export the jobs to this new file (jsonl) first."),
]
Exported = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Prune only jobs that this export (jsonl) contains completely."
    ),
]
Compact = Annotated[
    bool,
    typer.Option(
        "--compact",
        help="Then return the disk space, while others read and write the ledger.",
    ),
]
SkipHeld = Annotated[
    bool, typer.Option("--skip-held", help="Leave out jobs that are held or pinned.")
]


def prune(
    context: typer.Context,
    before: Before,
    to: To = None,
    exported: Exported = None,
    compact: Compact = False,
    skip_held: SkipHeld = False,
    json: Json = False,
) -> None:
    """Export old jobs and delete them from the ledger; the log records that, and proofs stay valid."""
    export = _export(to, exported)
    time = past_time(before, "before")
    with target(context).open() as ledger:
        pruned = ledger.prune(time, export, getpass.getuser(), skip_held=skip_held)
        result: JsonObject = {
            "jobs": pruned.jobs,
            "events": pruned.events,
            "before": time_text(time),
        }
        result |= {"records": pruned.records, "file": str(to or exported) if pruned.jobs else None}
        try:
            if compact:
                result["bytes"] = ledger.compact()._asdict()
        finally:  # The pruned jobs are printed even if no disk space was returned.
            _print_pruned(result, json=json)


def _export(to: Path | None, exported: Path | None) -> Export:
    """Returns the export with the pruned jobs; raises InvalidFieldError unless exactly one file is given."""
    file = to or exported
    if file is None or (to and exported):
        raise InvalidFieldError("to", "is missing; give --to FILE, or --exported FILE")
    if to == STDOUT:
        raise InvalidFieldError("to", "must be a file: standard output may be lost")
    return Export(file, is_there=exported is not None)


def _print_pruned(result: JsonObject, *, json: bool) -> None:
    if json:
        print_json(result)
        return
    if result["jobs"]:
        say("{jobs} jobs with {events} events pruned; they are in {file}".format(**result))
    else:
        OUT.print("nothing to prune")
    if "bytes" in result:
        say(
            "the tables take {after:,} bytes of disk, and took {before:,}".format(**result["bytes"])
        )


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidFieldError("yes", "cannot be confirmed without a terminal; give --yes")
    ERR.print(question, markup=False)
    typer.confirm("Erase?", abort=True, err=True)
