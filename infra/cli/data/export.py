"""The command that exports."""

import sys
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.cli.context import AsOf, OnClock, aside, print_moment, target
from jobledger.infra.cli.out_files import STDOUT
from jobledger.infra.cli.progress import moving
from jobledger.infra.errors import ProofError
from jobledger.infra.ledger import Ledger
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import find_keys
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.settings import Settings
from jobledger.infra.transfer.exports import export as exporting
from jobledger.infra.transfer.exports.export import Format
from jobledger.infra.transfer.exports.partitions import Partition
from jobledger.infra.transfer.exports.selection import Selection

MAX_RECEIPTS: Final = 1_000
"""The most receipts in a page, as each takes about 2 kB."""
SIGNED: Final = (Format.JSONL, Format.PARQUET)
"""Formats that include a checkpoint of the log, if this machine can sign one."""


Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="One job; default: all jobs, or those of --filter."),
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format", help="The format; jsonl can be read again by show --from and history --from."
    ),
]
Filter = Annotated[
    str, typer.Option("--filter", help="Only jobs that matched this AIP-160 filter at the moment.")
]
To = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="The file to write; for parquet a new or empty folder."),
]
PartitionBy = Annotated[
    Partition | None,
    typer.Option(
        "--partition-by",
        help="The folders of parquet's files: by the day that events occurred (the default), or by day and kind of job.",
    ),
]


def export(
    context: typer.Context,
    name: Name = None,
    format_: FormatOption = Format.JSONL,
    filter_: Filter = "",
    to: To = None,
    as_of: AsOf = None,
    clock: OnClock = None,
    partition_by: PartitionBy = None,
) -> None:
    """Export the events of jobs up to a moment, as a history or in other programs' formats.

    Data is written as it is stored, with personal values encrypted, so that it can be verified and imported.
    """
    exporting.form_of(format_)
    to = None if to == STDOUT else to
    if partition_by is not None and format_ is not Format.PARQUET:
        raise InvalidFieldError("partition-by", f"is for parquet, and the format is {format_}")
    _check(name, format_, filter_, to)
    aim = target(context)
    job = "" if name is None else aim.name(name)
    with aim.open() as ledger:
        moment = _pinned(ledger, as_of, clock, job)
        wanted = _selection(ledger, moment, job, filter_, format_)
        total = None if job or filter_ else moment.position
        out: Path | BinaryIO = sys.stdout.buffer if to is None else to
        # If the export itself goes to the terminal, no progress is shown there.
        shows_progress = to is not None or not sys.stdout.isatty()
        with moving("exporting", total, shown=shows_progress) as move:
            partition = partition_by or Partition.DAY
            written = exporting.export(ledger.reader, wanted, format_, out, move, partition)
    print_moment(moment)
    if to is not None:
        aside(f"{written} events in {to}")


def _check(name: str | None, format_: Format, filter_: str, to: Path | None) -> None:
    """Raises InvalidFieldError for options that do not go together."""
    if to is None and format_ is Format.PARQUET:
        raise InvalidFieldError("to", "parquet is a folder of files; give --to PATH")
    if name is None and format_ is Format.HTML:
        raise InvalidFieldError("name", "html is a page of one job; give its NAME")
    if name is not None and filter_:
        raise InvalidFieldError("filter", "selects many jobs; leave out NAME or --filter")


def _selection(
    ledger: Ledger, moment: Moment, job: str, filter_: str, format_: Format
) -> Selection:
    """Returns what is exported, with its proofs as far as the format has them."""
    signed = _checkpoint(ledger, moment) if format_ in SIGNED else ""
    wanted = Selection(ledger.name, moment, job, filter_, signed)
    if format_ is not Format.HTML:
        return wanted
    receipts, keys = _receipts(ledger, job, moment)
    return wanted._replace(receipts=receipts, keys=keys)


def _checkpoint(ledger: Ledger, moment: Moment) -> str:
    """Returns a checkpoint that covers the moment, so that the files can be verified; "" if none can be signed."""
    ledger.checkpoint()
    with ledger.connection() as connection:
        kept = read_kept(connection)
    covers = kept is not None and Checkpoint.parse(kept.text).size >= moment.position
    return str(kept) if covers else ""


def _receipts(ledger: Ledger, job: str, moment: Moment) -> tuple[dict[int, str], list[str]]:
    """Returns receipts of the job's last events, at most MAX_RECEIPTS; none if this machine cannot sign a checkpoint."""
    known = [event.version for event in ledger.history(job) if event.position <= moment.position]
    try:
        receipts = {version: str(ledger.receipt(job, version)) for version in known[-MAX_RECEIPTS:]}
    except ProofError:
        return {}, []
    with ledger.connection() as connection:
        origin = Tree().log_state(connection).origin
    return receipts, [str(key.verifier) for key in find_keys(Settings(), origin)]


def _pinned(ledger: Ledger, as_of: str | None, clock: Clock | None, job: str) -> Moment:
    """Returns the moment; now is pinned, so that no later event is recorded with that time."""
    if as_of:
        return ledger.moment(as_of, clock, job)
    return ledger.moment("now", clock or Clock.RECORDED)
